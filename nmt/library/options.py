"""What can be asked of a translation: one validated dataclass for the library, the command and the server."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

from nmt.config.decoding import DecodingConfig, MbrConfig
from nmt.config.schema import option
from nmt.config.validation import violations
from nmt.decoding.constraints.request import KINDS
from nmt.errors import ConfigError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

_T = TypeVar("_T", bound="DataclassInstance")
LARGE = 1_000_000
"""Larger numbers than this have no further effect, or overflow."""


class OptionError(ConfigError):
    """An option that is misspelt, of the wrong type, out of range, or in conflict with another.

    Attributes:
        field: its name.
        problem: what is wrong with it.
    """

    def __init__(self, field: str, problem: str, value: object = None) -> None:
        super().__init__(f"{field}{'' if value is None else f'={value}'}: {problem}")
        self.field, self.problem = field, problem

    def __reduce__(self) -> tuple[object, ...]:
        """As an error of the same message, in another process, too."""
        return _option_error, (self.field, self.problem, str(self))


def _option_error(field: str, problem: str, message: str) -> OptionError:
    error = OptionError(field, problem)
    error.args = (message,)
    return error


@dataclass(frozen=True)
class TranslationOptions:
    """Options of one translation. Search settings that are None are those of the run (`decoding.*`).

    Raises:
        OptionError: for a value of the wrong type or out of range, or one that has no effect with the others.
    """

    nbest: int = option(1, "number of translations; the beam is at least as large", at_least=1)
    beam_size: int | None = option(None, "beam size (1: greedy)", at_least=1)
    length_penalty: float | None = option(
        None, "exponent of the length in the score", at_least=0, at_most=100
    )
    normalisation: str | None = option(None, "length normalisation", choices=("power", "wu"))
    coverage_penalty: float | None = option(None, "weight of the coverage penalty", at_least=0, at_most=LARGE)
    patience: float | None = option(
        None, "stop when this × beam size hypotheses have ended", above=0, at_most=LARGE
    )
    exact: bool = option(False, "search without decoding.lookahead")
    distinct: bool | None = option(None, "n best: no two with the same text")
    min_length: int | None = option(None, "minimum length in subwords", at_least=0, at_most=LARGE)
    max_length: int | None = option(None, "maximum length in subwords", at_least=1, at_most=LARGE)
    prefix: str = option("", "characters that the translation begins with, which may end inside a word")
    required: Sequence[str] = option((), "phrases that must appear")
    forbidden: Sequence[str] = option((), "phrases that must not appear")
    glossary: Mapping[str, str | tuple[str, ...]] = option(
        {}, "source term → the target term that translates it, or several"
    )
    keep: Sequence[str] = option((), f"kinds of things that stay as they are: {', '.join(KINDS)}")
    no_repeat_ngram: int | None = option(
        None, "no sequence of so many subwords occurs twice (0: any may)", at_least=0, at_most=LARGE
    )
    attention: bool = option(False, "whether the translation has its attention and coverage")
    tree: bool = option(False, "whether the translation has the beam as a tree")
    sample: bool = option(False, "draw random translations, nbest of them, instead of searching for the best")
    mbr: str | None = option(
        None, "of several candidates the one most like all of them (chrF)", choices=("nbest", "samples")
    )
    mbr_size: int | None = option(None, "number of candidates of mbr", at_least=2)
    candidates: int | None = option(
        None,
        "of a consensus or a reverse model: number of candidates of each run",
        at_least=1,
        at_most=LARGE,
    )
    reverse_weight: float | None = option(
        None, "of a reverse model: its weight in the score", at_least=0, at_most=LARGE
    )
    temperature: float | None = option(
        None, "of sampling: divides the log-probabilities", at_least=1e-6, at_most=LARGE
    )
    top_k: int | None = option(
        None, "of sampling: only the most probable tokens, so many", at_least=1, at_most=LARGE
    )
    top_p: float | None = option(
        None, "of sampling: only the most probable tokens, with this probability together", above=0, at_most=1
    )
    seed: int | None = option(None, "of sampling", at_least=0)
    to: str | None = option(
        None, "language of the translation, of a model that knows several (default: of the main direction)"
    )
    examples: int = option(
        0, "how many training pairs to show that the translation is most like", at_least=0, at_most=100
    )
    retrieval_weight: float | None = option(
        None, "weight of training tokens in similar contexts, which are retrieved", at_least=0, below=1
    )
    retrieval_k: int | None = option(
        None, "of retrieval and examples: number of tokens", at_least=1, at_most=LARGE
    )
    retrieval_temperature: float | None = option(
        None, "of retrieval and examples: bandwidth of the kernel", above=0, at_most=LARGE
    )

    def __post_init__(self) -> None:
        for name, kinds in OPTIONS.items():
            _check_kind(name, getattr(self, name), kinds)
        for name in ("required", "forbidden", "keep"):
            _check_phrases(name, getattr(self, name))
        for term, target in self.glossary.items():
            _check_phrases("glossary", (term, *(target if isinstance(target, list | tuple) else (target,))))
        for kind in self.keep:
            if kind not in KINDS:
                raise OptionError("keep", f"choose from {', '.join(KINDS)}", kind)
        if found := violations(self):
            key, _, problem = found[0].partition(": ")
            name, _, value = key.partition("=")
            raise OptionError(name, problem, value)
        self._check_sampling()

    def _check_sampling(self) -> None:
        if self.sample and self.mbr:
            raise OptionError("mbr", "has no effect with sample=True; leave out one of them")
        if self.mbr_size is not None and not self.mbr:
            raise OptionError("mbr_size", "has no effect without mbr; add mbr='nbest'")
        random = self.sample or self.mbr == "samples"
        why = "with sample=True" if self.sample else f"with mbr={self.mbr!r}"
        searching = {"exact": self.exact, "tree": self.tree} if random else {}
        searching |= {"beam_size": self.beam_size is not None} if random or self.mbr else {}
        for name, given in searching.items():
            if given:
                raise OptionError(name, f"has no effect {why}; leave it out")
        for name in SAMPLING:
            if getattr(self, name) is not None and not random:
                raise OptionError(name, "has no effect without sample=True or mbr='samples'; leave it out")

    def changed(self, changes: Mapping[str, Any]) -> "TranslationOptions":
        """With other values of some fields, by name.

        Raises:
            OptionError: if there is no such field, or as for the class.
        """
        for name in changes:
            if name not in OPTIONS:
                raise OptionError(name, f"no such option; choose from {', '.join(OPTIONS)}")
        return _changed(self, changes)

    def decoding(self, own: DecodingConfig) -> DecodingConfig:
        """The search settings, where they are not given those of the run."""
        given = {name: getattr(self, name) for name in _SEARCH if getattr(self, name) is not None}
        settings = dataclasses.replace(own, **given)
        settings.beam_size = max(settings.beam_size, self.nbest)
        settings.lookahead = None if self.exact else settings.lookahead
        drawing = {name: getattr(self, name) for name in SAMPLING if getattr(self, name) is not None}
        settings.sampling = _changed(own.sampling, drawing)
        asked = {name: getattr(self, f"retrieval_{name}") for name in RETRIEVAL}
        asked = {name: value for name, value in asked.items() if value is not None}
        settings.retrieval = _changed(own.retrieval, asked)
        if self.sample:
            settings.method = "sample"
        elif self.mbr:
            settings.method = "mbr"
            settings.mbr = MbrConfig(self.mbr, self.mbr_size)
        if settings.method == "mbr":
            settings.mbr = dataclasses.replace(settings.mbr, size=max(settings.mbr.count, self.nbest))
        return settings


def _changed(settings: _T, changes: Mapping[str, Any]) -> _T:
    return dataclasses.replace(settings, **changes) if changes else settings


_SEARCH = (
    "beam_size",
    "length_penalty",
    "normalisation",
    "coverage_penalty",
    "patience",
    "distinct",
    "no_repeat_ngram",
    "min_length",
    "max_length",
    "candidates",
    "reverse_weight",
)
"""Options that are settings of the search (`decoding.*`)."""
SAMPLING = ("temperature", "top_k", "top_p", "seed")
"""Options that are settings of sampling (`decoding.sampling.*`)."""
RETRIEVAL = ("weight", "k", "temperature")
"""Settings of retrieval (`decoding.retrieval.*`), options with `retrieval_` before the name."""
_NUMBER, _WHOLE, _NOTHING = (int, float), (int,), (type(None),)
OPTIONS: dict[str, tuple[type, ...]] = {
    "nbest": _WHOLE,
    "beam_size": _WHOLE + _NOTHING,
    "length_penalty": _NUMBER + _NOTHING,
    "normalisation": (str, *_NOTHING),
    "coverage_penalty": _NUMBER + _NOTHING,
    "patience": _NUMBER + _NOTHING,
    "exact": (bool,),
    "distinct": (bool, *_NOTHING),
    "min_length": _WHOLE + _NOTHING,
    "max_length": _WHOLE + _NOTHING,
    "prefix": (str,),
    "required": (list, tuple),
    "forbidden": (list, tuple),
    "glossary": (Mapping,),
    "keep": (list, tuple),
    "no_repeat_ngram": _WHOLE + _NOTHING,
    "attention": (bool,),
    "tree": (bool,),
    "sample": (bool,),
    "mbr": (str, *_NOTHING),
    "mbr_size": _WHOLE + _NOTHING,
    "candidates": _WHOLE + _NOTHING,
    "reverse_weight": _NUMBER + _NOTHING,
    "temperature": _NUMBER + _NOTHING,
    "top_k": _WHOLE + _NOTHING,
    "top_p": _NUMBER + _NOTHING,
    "seed": _WHOLE + _NOTHING,
    "to": (str, *_NOTHING),
    "examples": _WHOLE,
    "retrieval_weight": _NUMBER + _NOTHING,
    "retrieval_k": _WHOLE + _NOTHING,
    "retrieval_temperature": _NUMBER + _NOTHING,
}


def _check_kind(name: str, value: object, kinds: tuple[type, ...]) -> None:
    if not isinstance(value, kinds) or (isinstance(value, bool) and bool not in kinds):
        named = " or ".join(_NAMES.get(kind, kind.__name__) for kind in kinds)
        raise OptionError(name, f"must be {named}, not {type(value).__name__}")


_NAMES = {
    int: "a whole number",
    float: "a number",
    bool: "True or False",
    str: "text",
    list: "a list",
    tuple: "a tuple",
    type(None): "None",
    Mapping: "a mapping",
}


def _check_phrases(name: str, phrases: Sequence[object]) -> None:
    for phrase in phrases:
        if not isinstance(phrase, str):
            raise OptionError(name, f"must be texts, not {type(phrase).__name__}")
        if not phrase.strip():
            raise OptionError(name, "a phrase is empty; leave it out")
