"""Command-line overrides (`key=value`), rewritten before Hydra parses them.

Paths and names are taken as typed: `data.path=pairs (1).tsv` and `name=2024_10_01` work, although Hydra's
grammar would reject the first and parse the second as a number. Old keys are replaced by new ones.
"""

import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from hydra.core.override_parser.types import Quote, QuotedString

from nmt.config.schema import key_of, settings
from nmt.config.settings import RENAMED, Config
from nmt.errors import ConfigError

_LITERAL = {key: item.metadata["literal"] for key, item, _ in settings(Config()) if item.metadata["literal"]}
_LISTS = {key for key, _, value in settings(Config()) if isinstance(value, list)}
_GRAMMAR = re.compile(r"(choice|range|interval|glob|shuffle|sort|tag)\(.*\)", re.DOTALL)
"""Hydra's functions for the values of a sweep."""
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_PART = re.compile(rf"\s*(?:{_QUOTED.pattern})\s*(?=,|$)|[^,]+", re.DOTALL)
_INTERPOLATION = re.compile(r"\$\{[^{}]+\}")
_DOLLAR = re.compile(r"(\\*)\\\$\{")
_ESCAPED = re.compile(r"\\+'|\\+$")


def quoted(words: Sequence[str]) -> list[str]:
    """Quote the values of paths and names, so that Hydra takes them literally.

    Quoted values and `null` are left as they are, and `${…}` stays an interpolation, unless a file with
    exactly that name exists. In lists and sweeps (`-m`), commas separate values, unless such a file exists.

    Args:
        words: the command-line arguments, including flags.

    Raises:
        ConfigError: for a path or name that is not valid Unicode.
    """
    sweep = bool({"-m", "--multirun"} & set(words))
    return [_quoted(word, sweep) for word in words]


def _quoted(word: str, sweep: bool) -> str:
    key, equals, value = word.partition("=")
    if not equals or key_of(word) not in _LITERAL:
        return word
    try:
        value.encode()
    except UnicodeEncodeError as error:
        shown = value.encode(errors="backslashreplace").decode()
        raise ConfigError(f"{key}={shown}: the name is not valid UTF-8; rename the file or folder") from error
    if key_of(word) in _LISTS:
        return f"{key}={_list(value, sweep)}"
    if _exists(value):
        return f"{key}={_quote(value, exists=True)}"
    if value in ("", "null") or _QUOTED.fullmatch(value) or (sweep and _GRAMMAR.fullmatch(value)):
        return word
    if sweep and "," in value:
        return f"{key}={','.join(map(_quote, _separated(value)))}"
    return f"{key}={_quote(value)}"


def _list(value: str, sweep: bool) -> str:
    """A list of paths: FILE or [FILE,FILE,…]; in a sweep also several such lists."""
    if _exists(value):
        return f"[{_quote(value, exists=True)}]"
    if sweep and _GRAMMAR.fullmatch(value):
        return value
    if sweep and "],[" in value:
        return ",".join(_list(part, sweep=False) for part in re.split(r"(?<=\]),(?=\[)", value))
    inner = value[1:-1] if value.startswith("[") and value.endswith("]") else value
    return f"[{','.join(_quote(part) for part in _separated(inner) if part not in ('', 'null'))}]"


def _exists(value: str) -> bool:
    try:
        return bool(value) and Path(value).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def _separated(value: str) -> list[str]:
    """Split at commas, except inside quotes."""
    return [part.strip() for part in _PART.findall(value)]


def _quote(value: str, exists: bool = False) -> str:
    """Quote a value for Hydra. `${…}` stays an interpolation, unless a file with exactly that name exists."""
    if not exists and _QUOTED.fullmatch(value):
        return value
    if value == "???":  # OmegaConf's marker for a missing value
        value = "./???"
    if exists or not _INTERPOLATION.search(value):
        value = re.sub(r"(\\*)\$\{", r"\1\1\\${", value)
    return QuotedString(value, Quote.single).with_quotes()


def unquoted(words: Iterable[str]) -> tuple[str, ...]:
    """Undo `quoted`: the overrides as they were typed."""
    return tuple(_unquoted(word) for word in words)


def _unquoted(word: str) -> str:
    key, _, value = word.partition("=")
    if key_of(word) in _LITERAL and len(value) > 1 and value[0] == value[-1] == "'":
        typed = re.sub(_ESCAPED, _plain, value[1:-1])
        return f"{key}={re.sub(_DOLLAR, _plain_dollar, typed)}"
    return word


def _plain(match: re.Match[str]) -> str:
    """Half of the backslashes, and the quotation mark that they escape, if any."""
    backslashes, mark = match[0].rstrip("'"), match[0][len(match[0].rstrip("'")) :]
    return backslashes[: len(backslashes) // 2] + mark


def _plain_dollar(match: re.Match[str]) -> str:
    return match[1][: len(match[1]) // 2] + "${"


def renamed(words: Iterable[str]) -> tuple[list[str], list[str]]:
    """Replace old keys in the overrides; returns the new overrides and a note for each old key."""
    found, notes = [], []
    for word in words:
        old = key_of(word)
        if old in RENAMED and "=" in word:
            word = word.replace(old, RENAMED[old], 1)
            notes.append(f"note: {old} has been renamed to {RENAMED[old]}")
        found.append(word)
    return found, notes
