"""The training pairs that a translation is most like: of which its words are made."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from nmt.alignment.words import piece_groups
from nmt.config.decoding import DecodingConfig, RetrievalConfig
from nmt.data.text import CharSpan
from nmt.errors import ConfigError
from nmt.library.options import TranslationOptions
from nmt.library.translated import SupportedWord, TrainingExample, Translation

_LEAST = 0.05  # the support of a word, from which on it is listed


class Supporting(Protocol):
    """Finds the training sentences that support a translation; `nmt.retrieval.supporting` says what the
    method does.
    """

    @property
    def pairs(self) -> Sequence[tuple[str, str]]:
        """The training pairs, source and target."""
        ...

    def of_tokens(
        self, source: Sequence[int], target: Sequence[int], config: RetrievalConfig
    ) -> list[dict[int, float]]:
        """Of each token, the support of training sentences."""
        ...


@dataclass(frozen=True)
class ExampleFinder:
    """Finds the training examples of translations.

    Attributes:
        supporting: reads the datastore of the run when it is first called, and raises an `NmtError` if there
            is none.
        decoding: the settings of the run.
    """

    supporting: Callable[[], Supporting]
    decoding: DecodingConfig

    def check(self, options: TranslationOptions) -> None:
        """Raise an `NmtError` if the options need a datastore, and there is none."""
        weight = options.retrieval_weight
        if options.examples or (self.decoding.retrieval.weight if weight is None else weight):
            self.supporting()

    def find(self, translation: Translation, options: TranslationOptions) -> tuple[TrainingExample, ...]:
        """The `options.examples` training pairs that support a translation most, the best first; of equals,
        the first of the training set.
        """
        supporting, config = self.supporting(), options.decoding(self.decoding).retrieval
        tokens: list[dict[int, float]] = []
        for one in translation.segments:
            tokens += supporting.of_tokens(one.source.ids, one.target.ids, config)
        total: dict[int, float] = defaultdict(float)
        for of_token in tokens:
            for sentence, weight in of_token.items():
                total[sentence] += weight / len(tokens)
        best = sorted(total.items(), key=lambda item: (-item[1], item[0]))[: options.examples]
        groups = piece_groups(
            [CharSpan(token.start, token.end) for token in translation.tokens],
            [CharSpan(word.start, word.end) for word in translation.words],
        )
        return tuple(
            TrainingExample(
                *supporting.pairs[sentence],
                weight,
                tuple(_words(translation, groups, [of_token.get(sentence, 0.0) for of_token in tokens])),
            )
            for sentence, weight in best
        )


def _words(
    translation: Translation, groups: Sequence[Sequence[int]], weights: Sequence[float]
) -> list[SupportedWord]:
    found = []
    for word, group in zip(translation.words, groups, strict=True):
        weight = sum(weights[token] for token in group) / max(len(group), 1)
        if weight >= _LEAST and word.is_content:
            found.append(SupportedWord(word.text, word.start, word.end, weight))
    return found


def no_datastore(reason: str) -> Callable[[], Supporting]:
    """For what has no datastore: raises a `ConfigError` when it is called."""

    def refuse() -> Supporting:
        raise ConfigError(reason)

    return refuse


NO_EXAMPLES = ExampleFinder(no_datastore("retrieval and examples need a datastore"), DecodingConfig())
