"""What the options of a document ask of each of its segments: constraints, and texts that are given."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from nmt.config.decoding import DecodingConfig
from nmt.data.tokenizer import Tokenizer
from nmt.decoding.constraints.builder import ConstraintBuilder
from nmt.decoding.constraints.pieces import Pieces
from nmt.decoding.constraints.request import ConstraintRequest
from nmt.errors import ConfigError
from nmt.library.options import TranslationOptions
from nmt.library.segments import Document, sentence_end
from nmt.library.unknown import nothing_unknown

NOTHING = ConstraintRequest()
_REQUESTS = 64  # kept, as building one takes time


@dataclass(frozen=True)
class Steering:
    """What is asked of one segment.

    Attributes:
        request: constraints on its translation.
        given: its translation, which is only to be scored; None: it is searched for.
    """

    request: ConstraintRequest = NOTHING
    given: str | None = None


FREE = Steering()


def steer(
    document: Document,
    options: TranslationOptions,
    own: DecodingConfig,
    excluded: Sequence[str] = (),
    is_unknown: Callable[[str], bool] = nothing_unknown,
) -> list[Steering]:
    """What is asked of each segment of a document.

    A prefix is divided at the places where the document is: what it has of a segment in full is that
    segment's translation, and the last of it is the prefix of the next segment. Phrases that must appear are
    asked of the longest segment, the others of all.

    Args:
        document: the text.
        options: what is asked of its translation.
        own: the settings of the run.
        excluded: continuations of the prefix, up to the end of a word, that are not wanted.
        is_unknown: whether a segment is copied, if its copy is as it is asked to be.

    Raises:
        ConfigError: if a prefix has more lines than the document.
    """
    segments = document.segments
    common = ConstraintRequest(
        required=options.required,
        forbidden=options.forbidden,
        glossary=options.glossary,
        keep=options.keep,
        no_repeat_ngram=own.no_repeat_ngram if options.no_repeat_ngram is None else options.no_repeat_ngram,
    )
    if not segments or (common == NOTHING and not options.prefix and not excluded):
        return [Steering(given=part.text) if is_unknown(part.text) else FREE for part in segments]
    free = replace(common, required=())
    longest = max(range(len(segments)), key=lambda index: len(segments[index].text))
    found = [Steering(common if index == longest else free) for index in range(len(segments))]
    if options.prefix or excluded:
        parts = _divided(options.prefix, document)
        for index, part in enumerate(parts[:-1]):
            found[index] = Steering(given=part)
        index = len(parts) - 1
        request = found[index].request
        found[index] = Steering(replace(request, prefix=parts[-1], excluded=excluded))
    return [
        Steering(given=part.text)
        if how.given is None and is_unknown(part.text) and _allows_copy(how.request, part.text)
        else how
        for part, how in zip(segments, found, strict=True)
    ]


def _allows_copy(request: ConstraintRequest, text: str) -> bool:
    """Whether nothing is asked of the translation of a text but what every copy is like."""
    if request.prefix or request.excluded or request.required:
        return False
    terms, folded = (*request.forbidden, *request.glossary), text.casefold()
    return not any(term.removesuffix("*").casefold() in folded for term in terms)


def _divided(prefix: str, document: Document) -> list[str]:
    """The parts of a prefix for the first segments; all but the last are complete."""
    parts: list[str] = []
    rest = prefix.lstrip()
    for following in document.segments[1:]:
        newline = "\n" in following.before
        end = rest.find("\n") if newline else sentence_end(rest)
        if end < 0:
            return [*parts, rest]
        part, after = rest[:end].strip(), rest[end:].lstrip()
        if not part:
            raise ConfigError("prefix: has a blank line where the text has none")
        parts.append(part)
        rest = after
    if "\n" in rest.strip():
        raise ConfigError("prefix: has more lines than the text; leave out what follows its last line")
    return [*parts, rest]


def _fixed(target: str | Sequence[str]) -> str | tuple[str, ...]:
    """Target terms, of which JSON has lists, as a value that can be looked up."""
    return target if isinstance(target, str) else tuple(target)


class Builders:
    """The builders of constraints for one vocabulary, which are kept. Several threads can use them.

    Args:
        target: the tokenizer of translations.
    """

    def __init__(self, target: Tokenizer) -> None:
        self._pieces = Pieces(target)
        self._build = lru_cache(_REQUESTS)(self._make)

    def of(self, request: ConstraintRequest) -> ConstraintBuilder:
        """The builder for a request.

        Raises:
            ConfigError: if nothing meets it.
        """
        return self._build(
            request.prefix,
            tuple(request.required),
            tuple(request.forbidden),
            tuple((term, _fixed(target)) for term, target in request.glossary.items()),
            tuple(request.keep),
            request.no_repeat_ngram,
            tuple(request.excluded),
        )

    def _make(
        self,
        prefix: str,
        required: Sequence[str | tuple[str, ...]],
        forbidden: Sequence[str],
        glossary: Sequence[tuple[str, str | tuple[str, ...]]],
        keep: Sequence[str],
        no_repeat_ngram: int,
        excluded: Sequence[str],
    ) -> ConstraintBuilder:
        request = ConstraintRequest(
            prefix, required, forbidden, dict(glossary), keep, no_repeat_ngram, excluded
        )
        return ConstraintBuilder(self._pieces, request)
