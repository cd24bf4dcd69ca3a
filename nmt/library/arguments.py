"""Command-line arguments that are options of the library; imports nothing heavy."""

import argparse
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from nmt import cli
from nmt.config.decoding import COMBINE
from nmt.errors import ConfigError

if TYPE_CHECKING:
    from nmt.library.options import TranslationOptions


class _Flag(NamedTuple):
    """An argument, and the option that it gives.

    Attributes:
        name: of the argument.
        field: of `TranslationOptions`.
        settings: for `add_argument`.
    """

    name: str
    field: str
    settings: dict[str, Any]


def _number(name: str, kind: type, metavar: str, help: str) -> _Flag:
    field = name.removeprefix("--").replace("-", "_")
    return _Flag(name, field, {"type": kind, "metavar": metavar, "help": help})


SEARCH = (
    _number("--length-penalty", float, "P", "exponent of the length by which log-probability is divided"),
    _Flag(
        "--normalisation",
        "normalisation",
        {"choices": ("power", "wu"), "help": "length normalisation (wu: Wu et al. 2016)"},
    ),
    _number("--coverage-penalty", float, "W", "weight of the coverage penalty (Wu et al. 2016)"),
    _number("--patience", float, "P", "stop when P × beam size hypotheses have ended (Kasai et al. 2022)"),
    _Flag(
        "--distinct",
        "distinct",
        {"action": "store_const", "const": True, "help": "n best: no two with the same text"},
    ),
    _number("--min-length", int, "N", "minimum length of a translation in subwords"),
    _number("--max-length", int, "N", "maximum length of a translation in subwords"),
    _number("--no-repeat-ngram", int, "N", "no sequence of N subwords occurs twice in a translation"),
)
SAMPLING = (
    _Flag(
        "--sample",
        "sample",
        {
            "action": "store_true",
            "help": "draw translations (N with --nbest N) from the model's distribution, without search; "
            "they depend on the sentence and the seed, not on other lines",
        },
    ),
    _Flag(
        "--mbr",
        "mbr",
        {
            "choices": ("nbest", "samples"),
            "help": "minimum Bayes risk: of an n-best list or of samples, the translation most like all of "
            "them (chrF)",
        },
    ),
    _number("--mbr-size", int, "N", "number of candidates of --mbr (default: the 12 best, or 64 samples)"),
    _number("--temperature", float, "T", "divide log-probabilities by T; below 1 favours probable tokens"),
    _number("--top-k", int, "K", "draw among the K most probable tokens only"),
    _number(
        "--top-p", float, "P", "draw only among the most probable tokens that together have probability P"
    ),
    _number("--seed", int, "N", "another N draws other translations"),
)
RETRIEVAL = (
    _number("--examples", int, "N", "after each translation, the N training pairs that it is most like"),
    _number("--retrieval-weight", float, "W", "weight of the training tokens that are retrieved (0: off)"),
    _number("--retrieval-k", int, "K", "retrieve the K nearest training tokens"),
    _number("--retrieval-temperature", float, "T", "bandwidth of the kernel, exp(−squared distance / T)"),
)
CONSTRAINTS = (
    _Flag(
        "--prefix",
        "prefix",
        {"metavar": "TEXT", "help": "what every translation begins with; it may end inside a word"},
    ),
    _Flag(
        "--require",
        "required",
        {"action": "append", "metavar": "PHRASE", "help": "a phrase that every translation has; repeatable"},
    ),
    _Flag(
        "--forbid",
        "forbidden",
        {"action": "append", "metavar": "PHRASE", "help": "a phrase that no translation has; repeatable"},
    ),
    _Flag(
        "--keep",
        "keep",
        {
            "type": lambda text: text.split(","),
            "metavar": "KINDS",
            "help": "keep things as they are: url, email, number, emoji, separated by commas",
        },
    ),
)
OTHERS = {
    "--beam-size": "beam_size",
    "--nbest": "nbest",
    "--exact": "exact",
    "--to": "to",
    "--candidates": "candidates",
    "--reverse-weight": "reverse_weight",
}
"""Arguments of commands with an option of the library each."""


def add_library_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for the search, and for what translations must be like."""
    group = parser.add_argument_group("search", "by default as the settings of the run say (decoding.*)")
    for flag in SEARCH:
        group.add_argument(flag.name, dest=flag.field, **flag.settings)
    group = parser.add_argument_group("sampling and minimum Bayes risk")
    for flag in SAMPLING:
        group.add_argument(flag.name, dest=flag.field, **flag.settings)
    group = parser.add_argument_group(
        "training set", "with the datastore of the run: python -m nmt.datastore"
    )
    for flag in RETRIEVAL:
        group.add_argument(flag.name, dest=flag.field, **flag.settings)
    group = parser.add_argument_group("what translations must be like")
    for flag in CONSTRAINTS:
        group.add_argument(flag.name, dest=flag.field, **flag.settings)
    group.add_argument(
        "--glossary",
        metavar="FILE",
        help="translate terms as in FILE: lines of a source term, a tab and its translation (or several)",
    )


def add_combining_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments of commands for several runs that translate together, and for a reverse model."""
    group = parser.add_argument_group("several runs, and a reverse model")
    add_combine(group)
    group.add_argument(
        "--reverse",
        type=cli.path,
        metavar="RUN",
        help="a run of the other direction (data.swap=true): prefer translations from which it finds the "
        "source again",
    )
    group.add_argument(
        "--candidates",
        type=int,
        metavar="N",
        help="with --combine consensus or --reverse: choose among the N best of each run (default: "
        "decoding.candidates of the first run)",
    )
    group.add_argument(
        "--reverse-weight",
        type=float,
        metavar="W",
        help="weight of the reverse model in the score (default: decoding.reverse_weight of the first run)",
    )


def add_combine(group: argparse._ActionsContainer) -> None:
    """Add `--combine`."""
    group.add_argument(
        "--combine",
        choices=COMBINE,
        help="several runs: mean: search with the mean of their probabilities, for which they need the same "
        "tokenizers; consensus: of the best translations of each, the one most like all of them (chrF), with "
        "any tokenizers (default: decoding.combine of the first run)",
    )


def check_combining(arguments: argparse.Namespace) -> None:
    """Check the arguments of `add_combining_arguments` before any work.

    Raises:
        ConfigError: for one that has no effect.
    """
    alone = len(arguments.run or []) < 2
    if arguments.combine and alone:
        raise ConfigError("--combine: has no effect with one run; give several --run")
    if arguments.candidates is not None and (alone or arguments.combine == "mean") and not arguments.reverse:
        raise ConfigError("--candidates: has no effect without --combine consensus or --reverse RUN")
    if arguments.reverse_weight is not None and not arguments.reverse:
        raise ConfigError("--reverse-weight: has no effect without --reverse RUN")


def translation_options(arguments: argparse.Namespace, attention: bool) -> "TranslationOptions":
    """The options that the arguments of a command give.

    Raises:
        ConfigError: for one that is wrong, naming the argument.
        DataError: if the glossary is.
    """
    from nmt.decoding.constraints.glossary import read_glossary

    names = OTHERS | {flag.name: flag.field for flag in (*SEARCH, *SAMPLING, *RETRIEVAL, *CONSTRAINTS)}
    values = {field: getattr(arguments, field, None) for field in names.values()}
    if arguments.glossary:
        names, values["glossary"] = (
            names | {"--glossary": "glossary"},
            read_glossary(Path(arguments.glossary)),
        )
    return _options(names, values | {"attention": attention})


def add_retrieval_arguments(parser: argparse.ArgumentParser) -> None:
    """Add the arguments for retrieval to a command that has no others of the library."""
    for flag in RETRIEVAL:
        if flag.field != "examples":
            parser.add_argument(flag.name, dest=flag.field, **flag.settings)


def retrieval_options(arguments: argparse.Namespace) -> "TranslationOptions":
    """The options that the arguments of `add_retrieval_arguments` give.

    Raises:
        ConfigError: for one that is wrong, naming the argument.
    """
    names = {flag.name: flag.field for flag in RETRIEVAL}
    return _options(names, {field: getattr(arguments, field, None) for field in names.values()})


def _options(names: Mapping[str, str], values: Mapping[str, Any]) -> "TranslationOptions":
    """Options that arguments with these names give; None: not given."""
    from nmt.library.options import OptionError, TranslationOptions

    given = {field: value for field, value in values.items() if value is not None}
    try:
        return TranslationOptions(**given)
    except OptionError as error:
        flags = {field: name for name, field in names.items()}
        shown = _shown(given.get(error.field))
        raise ConfigError(f"{flags[error.field]}{shown}: {error.problem}") from error


def _shown(value: object) -> str:
    if isinstance(value, float):
        return f" {value:g}"
    return f" {value}" if isinstance(value, int | str) and not isinstance(value, bool) else ""
