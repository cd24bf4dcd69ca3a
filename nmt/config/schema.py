"""Tools for the schema of settings: dataclass fields with help and bounds, and conversion to plain data."""

import copy
import dataclasses
import os
import types
import typing
from collections.abc import Mapping
from dataclasses import field, fields
from typing import Any, TypeVar

from nmt.errors import ConfigError

T = TypeVar("T")
Condition = Mapping[str, tuple[Any, ...]]
"""Dotted keys of other settings and values; it holds if each of these settings has one of its values."""


def option(
    default: Any,
    help: str,
    *,
    choices: tuple[str, ...] = (),
    at_least: float | None = None,
    above: float | None = None,
    at_most: float | None = None,
    below: float | None = None,
    literal: str = "",
    used_if: Condition | None = None,
    unused_if: Condition | None = None,
    required_if: Condition | None = None,
    used_by: str = "",
) -> Any:
    """A dataclass field with its help and the rules that `nmt.config.validation` enforces.

    Args:
        default: the default value.
        help: one line for `--help`.
        choices: the allowed values; empty: any.
        at_least, above, at_most, below: bounds of a number.
        literal: "name" or "path" for a string that is taken as typed, not parsed; in a path a leading `~` is
            the home folder.
        used_if: the setting has an effect only if this condition holds.
        unused_if: the setting has no effect if this condition holds.
        required_if: the setting must be given if this condition holds.
        used_by: key of an extension point (`nmt.config.extensions`): the setting has an effect only with
            choices that list it in `uses` or `requires`, and must be given with the latter.
    """
    bounds = {"at least": at_least, "above": above, "at most": at_most, "below": below}
    metadata = {
        "help": help,
        "default": default,
        "choices": choices,
        "bounds": {relation: limit for relation, limit in bounds.items() if limit is not None},
        "literal": literal,
        "used_if": used_if,
        "unused_if": unused_if,
        "required_if": required_if,
        "used_by": used_by,
    }
    if isinstance(default, list | dict):
        return field(default_factory=lambda: copy.copy(default), metadata=metadata)
    return field(default=default, metadata=metadata)


def settings(config: Any, prefix: str = "") -> list[tuple[str, dataclasses.Field[Any], Any]]:
    """Every leaf of `config` as (dotted key, field, value), in the order of definition."""
    leaves = []
    for item in fields(config):
        key, value = prefix + item.name, getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            leaves += settings(value, key + ".")
        else:
            leaves.append((key, item, value))
    return leaves


def expand_home(config: Any) -> None:
    """Expand a leading `~` in the settings that are paths, in place."""
    for item in fields(config):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            expand_home(value)
        elif isinstance(value, list) and any(map(dataclasses.is_dataclass, value)):
            for one in value:
                expand_home(one)
        elif item.metadata["literal"] == "path" and value:
            home = os.path.expanduser  # Path.expanduser would drop "./" and "//"
            setattr(config, item.name, home(value) if isinstance(value, str) else [*map(home, value)])


def as_text(value: Any) -> str:
    """A value as written on the command line or in YAML."""
    if isinstance(value, list):
        return f"[{','.join(map(as_text, value))}]"
    if dataclasses.is_dataclass(value):
        given = ((item.name, getattr(value, item.name), item.metadata["default"]) for item in fields(value))
        return f"{{{', '.join(f'{key}: {as_text(one)}' for key, one, default in given if one != default)}}}"
    return "null" if value is None else str(value).lower() if isinstance(value, bool) else str(value)


def key_of(override: str) -> str:
    """The key of an override `key=value`, also with Hydra's prefix `+`, `++` or `~`."""
    return override.lstrip("+~").partition("=")[0]


def to_dict(config: Any) -> dict[str, Any]:
    """A config as nested dicts of plain values."""
    return dataclasses.asdict(config)


def rename_keys(values: dict[str, Any], renamed: Mapping[str, str]) -> dict[str, Any]:
    """Nested settings with old keys renamed; a value under the new key takes precedence.

    Args:
        values: nested dicts, as returned by `to_dict`; not modified.
        renamed: dotted old key → dotted new key.
    """
    values = copy.deepcopy(values)
    for old, new in renamed.items():
        *groups, name = old.split(".")
        section: Any = values
        for group in groups:
            section = section.get(group) if isinstance(section, dict) else None
        if not isinstance(section, dict) or name not in section:
            continue
        value = section.pop(name)
        *groups, name = new.split(".")
        section = values
        for group in groups:
            section = section.setdefault(group, {}) if isinstance(section, dict) else None
        if isinstance(section, dict):
            section.setdefault(name, value)
    return values


def _matches(value: Any, kind: Any) -> bool:
    if kind is float:
        return isinstance(value, int | float) and not isinstance(value, bool)
    if typing.get_origin(kind) in (types.UnionType, typing.Union):
        return any(_matches(value, option) for option in typing.get_args(kind))
    if typing.get_origin(kind) is list:
        return isinstance(value, list) and all(_matches(one, typing.get_args(kind)[0]) for one in value)
    return type(value) is kind or (kind is types.NoneType and value is None)


def from_dict(kind: type[T], values: Any, where: str) -> T:
    """Build a config dataclass from plain data, strictly; missing keys get their defaults.

    Safe for untrusted data: nothing in it can name code to run.

    Raises:
        ConfigError: for an unknown key or a value of the wrong type; names `where` and the key.
    """
    if not isinstance(values, dict):
        raise ConfigError(f"{where}: expected a mapping, found {type(values).__name__}")
    kinds = typing.get_type_hints(kind)
    unknown = sorted(str(key) for key in values.keys() - kinds.keys())
    if unknown:
        raise ConfigError(f"{where}.{unknown[0]}: no such setting")
    arguments: dict[str, Any] = {}
    for key, value in values.items():
        if dataclasses.is_dataclass(kinds[key]):
            arguments[key] = from_dict(typing.cast(type[Any], kinds[key]), value, f"{where}.{key}")
        elif isinstance(value, list) and any(map(dataclasses.is_dataclass, typing.get_args(kinds[key]))):
            (one,) = typing.get_args(kinds[key])
            arguments[key] = [from_dict(one, item, f"{where}.{key}[{k}]") for k, item in enumerate(value)]
        elif _matches(value, kinds[key]):
            arguments[key] = value
        else:
            raise ConfigError(f"{where}.{key}={value!r}: wrong type {type(value).__name__}")
    return kind(**arguments)
