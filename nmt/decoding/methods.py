"""The methods of decoding (`decoding.method`): beam search, sampling, and minimum Bayes risk over either."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Protocol

from nmt.config.decoding import DecodingConfig
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.interface import SearchModel, SearchOptions
from nmt.decoding.sampling import Sampler
from nmt.decoding.search import Search
from nmt.decoding.sources import Sources, Special
from nmt.decoding.tree import SearchTree


class Decoding(Protocol):
    """Some sentences being translated by any method; `Search` says what the methods do."""

    @property
    def active(self) -> list[int]:
        """The sentences that are not done."""
        ...

    def step(self) -> list[int]:
        """One step of all active sentences; returns those that are done."""
        ...

    def cancel(self, sentence: int) -> None:
        """Remove a sentence in the next step; it has no hypotheses."""
        ...

    def shared(self, sentence: int) -> list[int]:
        """The tokens with which the first hypothesis will begin, as far as that is certain."""
        ...

    def hypotheses(self, sentences: Sequence[int]) -> list[list[Hypothesis]]:
        """The hypotheses of each of these sentences, which are done, best first."""
        ...

    def tree(self, sentence: int) -> SearchTree:
        """The beam of a sentence, which is done and whose trace is kept."""
        ...


def hypotheses_per_sentence(config: DecodingConfig, nbest: int) -> int:
    """How many hypotheses of a sentence are computed at a time, at most."""
    return {"beam": config.beam_size, "sample": nbest, "mbr": config.mbr.count}[config.method]


def is_random(config: DecodingConfig) -> bool:
    """Whether translations are drawn."""
    return config.method == "sample" or (config.method == "mbr" and config.mbr.candidates == "samples")


def begin(
    model: SearchModel[Any],
    sources: Sources,
    config: DecodingConfig,
    special: Special,
    options: SearchOptions,
    text: Callable[[list[int]], str],
) -> Decoding:
    """Begin to translate sentences by the method of the settings.

    Args:
        model, sources, special, options: as for `beam_search`; with sampling, `options.nbest` is the number
            of draws.
        config: `method`, and its settings.
        text: tokens → the text of a translation.

    Raises:
        ConfigError: if a setting is out of range.
    """
    if config.method == "mbr":
        return MinimumBayesRisk(model, sources, config, special, options, text)
    if config.method == "sample":
        return Sampler(model, sources, config, special, options)
    distinct = config.distinct and options.nbest > 1
    return Search(model, sources, config, special, replace(options, text=text) if distinct else options)


class MinimumBayesRisk:
    """Candidates by another method, then the n best of them by expected chrF2; the arguments are those of
    `begin`.
    """

    def __init__(
        self,
        model: SearchModel[Any],
        sources: Sources,
        config: DecodingConfig,
        special: Special,
        options: SearchOptions,
        text: Callable[[list[int]], str],
    ) -> None:
        n, self._weighted = config.mbr.count, config.mbr.candidates == "nbest"
        method = "beam" if self._weighted else "sample"
        config = replace(config, method=method, beam_size=n, distinct=False)
        self._candidates = begin(model, sources, config, special, replace(options, nbest=n), text)
        self._nbest, self._text = options.nbest, text

    @property
    def active(self) -> list[int]:
        """The sentences that are not done."""
        return self._candidates.active

    def step(self) -> list[int]:
        """One step of all active sentences; returns those that are done."""
        return self._candidates.step()

    def cancel(self, sentence: int) -> None:
        """Remove a sentence in the next step; it has no hypotheses."""
        self._candidates.cancel(sentence)

    def shared(self, sentence: int) -> list[int]:
        """Nothing is certain before a sentence is done."""
        if sentence in self._candidates.active:
            return []
        (group,) = self.hypotheses([sentence])
        return group[0].tokens if group else []

    def hypotheses(self, sentences: Sequence[int]) -> list[list[Hypothesis]]:
        """The best candidates of each of these sentences, with different texts; their score is the expected
        chrF2, 0 to 100.
        """
        from nmt.decoding.mbr import rank_hypotheses  # fastchrf is needed for this method only

        groups = self._candidates.hypotheses(sentences)
        ranked = (
            rank_hypotheses(group, [self._text(one.tokens) for one in group], self._weighted)
            for group in groups
        )
        return [group[: self._nbest] for group in ranked]

    def tree(self, sentence: int) -> SearchTree:
        """The beam that the candidates come from."""
        return self._candidates.tree(sentence)
