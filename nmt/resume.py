"""Going on with a run: its settings with what the command line changes, as far as that makes sense."""

import copy
import functools
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nmt.checking import check
from nmt.config import Config
from nmt.data.prepare import Prepared
from nmt.errors import ConfigError, RunError
from nmt.files import write_text
from nmt.schema import key_of, settings
from nmt.storage.run import Run, reopen_run, write_config

logger = logging.getLogger("nmt")
_LAUNCHES = "launches"
"""Below a run: the names of the launchers whose processes train it."""
_GROUPS = ("data", "model", "experiment")
_OTHERS = ("resume", "name", "runs")
"""Settings that say which run, not what it does."""
_PLACES = (
    "data.archive",
    "data.path",
    "data.source_path",
    "data.target_path",
    "data.alignment_path",
    "data.cache",
    "data.dev_path",
    "data.dev_source_path",
    "data.dev_target_paths",
    "data.test_path",
    "data.test_source_path",
    "data.test_target_paths",
)
"""Settings of the data that may change: the same bytes elsewhere are the same data."""


@dataclass(frozen=True)
class Request:
    """What a command line asks for.

    Attributes:
        config: the settings, composed; checked, unless they go on with a run.
        name: a default name for the run, `<data>-<model>`.
        overrides: the words of the command line, `key=value` each.
    """

    config: Config
    name: str
    overrides: tuple[str, ...]


def mark_launches(run: Run, launches: Sequence[str | None]) -> None:
    """Let processes that their launchers start again find the run that they had begun.

    Args:
        run: theirs.
        launches: what names the launcher of each process; None without one.
    """
    known = {launch for launch in launches if launch is not None}
    if known:
        write_text(run.folder / _LAUNCHES, "".join(f"{launch}\n" for launch in sorted(known)))


def restarted(request: Request, launch: str) -> Request:
    """A request for a new run; or, when the launcher has begun one already and starts its processes again,
    for going on with that.
    """
    runs = Path(request.config.runs)
    begun = [
        file
        for file in runs.glob(f"*/{_LAUNCHES}")
        if launch in file.read_text(encoding="utf-8").splitlines()
    ]
    if not begun:
        return request
    newest = max(begun, key=lambda file: file.stat().st_mtime).resolve().parent
    return Request(replace(request.config, resume=str(newest)), request.name, ())


def resumed(request: Request) -> tuple[Config, Run]:
    """The settings of the run to go on with, changed by the command line. Nothing is written.

    Raises:
        ConfigError: for a change that would make another model or other data, or settings that are
            impossible together.
        RunError: when there is no such run.
    """
    assert request.config.resume is not None
    run, before = reopen_run(Path(request.config.resume))
    config, asked = copy.deepcopy(before), {key: value for key, _, value in settings(request.config)}
    for word in request.overrides:
        key = key_of(word)
        if key in _GROUPS:
            raise ConfigError(
                f"{word}: a resumed run keeps its {key}; leave it out, or start a new run without resume="
            )
        if key not in asked:
            raise ConfigError(f"{word}: more than one setting; with resume= name each that is to change")
        if key not in _OTHERS:
            *groups, name = key.split(".")
            setattr(functools.reduce(getattr, groups, config), name, asked[key])
    for key, old, new in _changes(before, config):
        group = key.partition(".")[0]
        if group in ("model", "seed") or (group == "data" and key not in _PLACES):
            what = "another model" if group == "model" else "other training data"
            raise ConfigError(
                f"{key}: {old} → {new} would make {what}; leave it out, or start a new run without resume="
            )
    check(config, {key_of(word) for word in request.overrides})
    return replace(config, name=before.name, runs=str(run.folder.parent), resume=request.config.resume), run


def keep_settings(run: Run, config: Config) -> None:
    """Write the settings a run goes on with into its folder; what is changed in them is told.

    Raises:
        RunError: when those before cannot be read.
    """
    _, before = reopen_run(run.folder)
    for key, old, new in _changes(before, config):
        logger.warning(f"{key}: {old} → {new}")
    write_config(run, replace(config, resume=None))


def _changes(before: Config, after: Config) -> list[tuple[str, Any, Any]]:
    """Key, old value, new value of every setting that is another now."""
    pairs = zip(settings(before), settings(after), strict=True)
    return [(key, old, new) for (key, _, old), (_, _, new) in pairs if old != new and key not in _OTHERS]


def refuse_other_data(run: Run, prepared: Prepared) -> None:
    """Refuse to go on with data that have changed.

    Raises:
        RunError: naming the run.
    """
    try:
        before = json.loads(run.prepared.read_text(encoding="utf-8"))["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{run.prepared}: missing or damaged") from error
    if before != prepared.report["fingerprint"]:
        raise RunError(
            f"{run.folder}: was trained on other data than these ({prepared.folder}); name the files it was "
            "trained on, or start a new run without resume="
        )
