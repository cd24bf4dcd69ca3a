"""Paths and names on the command line (`key=value`) are quoted, so that Hydra takes them literally.

`data.path=pairs (1).tsv` and `name=2024_10_01` work, although Hydra's grammar would reject the first and
parse the second as a number.
"""

import argparse
import re
from collections.abc import Iterable, Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Quote, QuotedString

from nmt.config.schema import key_of, settings
from nmt.config.settings import Config
from nmt.errors import ConfigError

_LITERAL = {item[0]: isinstance(item[2], list) for item in settings(Config()) if item[1].metadata["literal"]}
"""The settings that are paths or names → whether they are lists."""
_SWEEP_FUNCTION = re.compile(r"(choice|range|interval|glob|shuffle|sort|tag)\(.*\)", re.DOTALL)
_QUOTED = re.compile(r"'(?:[^'\\]|\\.)*'|\"(?:[^\"\\]|\\.)*\"", re.DOTALL)
_ITEM = re.compile(rf"\s*(?:{_QUOTED.pattern})\s*(?=,|$)|[^,]+", re.DOTALL)
_INTERPOLATION = re.compile(r"\$\{[^{}]+\}")


def split_arguments(arguments: Sequence[str]) -> tuple[bool, list[str]]:
    """Whether the command line starts a sweep (`-m`), and the rest of it; `--config-dir` becomes an override.

    Raises:
        ConfigError: if that folder does not exist.
    """
    flags = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    flags.add_argument("-m", "--multirun", action="store_true")
    flags.add_argument("--config-dir", type=Path)
    known, rest = flags.parse_known_args(arguments)
    if known.config_dir is not None:
        if not known.config_dir.is_dir():
            raise ConfigError(f"--config-dir {known.config_dir}: no such folder")
        rest.insert(0, f"hydra.searchpath=[{quote(f'file://{known.config_dir.absolute()}')}]")
    return known.multirun or "hydra.mode=MULTIRUN" in rest, rest


def literal(arguments: Iterable[str], sweep: bool) -> list[str]:
    """The command line with the values of paths and names quoted.

    Quoted values and `null` are left as they are, and `${…}` stays an interpolation, unless a file with
    exactly that name exists. In lists and sweeps, commas separate values, unless such a file exists.
    """
    return [_literal(one, sweep) if key_of(one) in _LITERAL and "=" in one else one for one in arguments]


def _literal(override: str, sweep: bool) -> str:
    key, _, value = override.partition("=")
    is_list = _LITERAL[key_of(override)]
    if _exists(value):
        return f"{key}=[{quote(value)}]" if is_list else f"{key}={quote(value)}"
    if sweep and _SWEEP_FUNCTION.fullmatch(value):
        return override
    if not is_list:
        return f"{key}={','.join(map(_unless_quoted, _items(value) if sweep and ',' in value else [value]))}"
    lists = []  # FILE or [FILE,FILE,…]; in a sweep also several such lists
    for one in re.split(r"(?<=\]),(?=\[)", value) if sweep else [value]:
        inner = one[1:-1] if one.startswith("[") and one.endswith("]") else one
        lists.append(
            f"[{','.join(_unless_quoted(item) for item in _items(inner) if item not in ('', 'null'))}]"
        )
    return f"{key}={','.join(lists)}"


def _exists(value: str) -> bool:
    try:
        return bool(value) and Path(value).expanduser().exists()
    except (OSError, ValueError, RuntimeError):
        return False


def _items(value: str) -> list[str]:
    """Split at commas, except inside quotes."""
    return [item.strip() for item in _ITEM.findall(value)]


def _unless_quoted(value: str) -> str:
    if value in ("", "null") or _QUOTED.fullmatch(value):
        return value
    return quote(value, escape=not _INTERPOLATION.search(value))


def quote(value: str, escape: bool = True) -> str:
    """Quote a value for Hydra; `escape`: `${` is literal too, not an interpolation."""
    text = re.sub(r"(\\*)\$\{", r"\1\1\\${", value) if escape else value
    return QuotedString(text, Quote.single).with_quotes()


def as_typed(override: str) -> str:
    """Undo `literal` for an override with a single value."""
    key, _, value = override.partition("=")
    if key_of(override) not in _LITERAL or not value.startswith("'"):
        return override
    text = str(OverridesParser.create().parse_override(override).value())
    return f"{key}=" + re.sub(r"(\\*)\\\$\{", lambda escaped: escaped[1][: len(escaped[1]) // 2] + "${", text)
