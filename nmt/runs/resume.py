"""Resuming a run: its settings merged with the overrides from the command line, where a change is allowed."""

import copy
import functools
import json
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from nmt.config.schema import as_text, key_of, settings
from nmt.config.settings import Config
from nmt.config.validation import check
from nmt.data.prepare import Prepared
from nmt.errors import ConfigError, RunError
from nmt.files import write_text
from nmt.runs.run import Run, reopen_run, write_config

logger = logging.getLogger("nmt")
_LAUNCHES = "launches"
"""File in the run folder: the launches of torchrun whose processes train the run."""
_GROUPS = ("data", "model", "experiment")
_OTHERS = ("resume", "name", "runs")
"""Settings that identify the run and do not affect training."""
_FIXED = {
    "training.initialise_from": "different initial weights",
    "training.subword_sampling": "different training data",
    "training.subword_sampling_below": "different training data",
}
"""Training settings that may not change, and what a change would mean."""
_FIXED_GROUPS = ("model", "seed", "data", "pretraining", "distillation")
"""Groups of settings that may not change, but for the places of files and `HOW_FAST`."""
HOW_FAST = ("distillation.processes",)
"""Settings that change only how long it takes."""
_LOCATIONS = (
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
    "data.names",
    "data.tokenizer.path",
    "pretraining.path",
    "pretraining.target_path",
)
"""Data settings that may change: the same bytes at another path are the same data."""


@dataclass(frozen=True)
class Request:
    """What the command line requests.

    Attributes:
        config: the composed settings; validated, unless they resume a run.
        name: a default name for the run, `<data>-<model>`.
        overrides: the overrides from the command line, `key=value` each.
        latest: whether `latest`, next to the run folder, is to point to the run.
    """

    config: Config
    name: str
    overrides: tuple[str, ...]
    latest: bool = True


def mark_launches(run: Run, launches: Sequence[str | None]) -> None:
    """Record the launches in the run folder, so that processes restarted by `torchrun` find their run.

    Args:
        run: the run that they train.
        launches: `Processes.launch` of each process.
    """
    known = {launch for launch in launches if launch is not None}
    if known:
        write_text(run.folder / _LAUNCHES, "".join(f"{launch}\n" for launch in sorted(known)))


def restarted(request: Request, launch: str) -> Request:
    """The request unchanged; or, if `torchrun` has restarted the processes of this launch, a request to
    resume their run.
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
    """The settings of the run to resume, with the overrides applied. Nothing is written.

    Raises:
        ConfigError: for a change that would mean a different model or different data, or an invalid
            combination of settings.
        RunError: if there is no such run.
    """
    assert request.config.resume is not None
    run, before = reopen_run(Path(request.config.resume))
    config, asked = copy.deepcopy(before), {key: value for key, _, value in settings(request.config)}
    for override in request.overrides:
        key = key_of(override)
        if key in _GROUPS:
            raise ConfigError(
                f"{override}: a resumed run keeps its {key}; leave it out, or start a new run without resume="
            )
        if key not in asked:
            raise ConfigError(
                f"{override}: more than one setting; with resume= override each setting by its own key"
            )
        if key not in _OTHERS:
            *groups, name = key.split(".")
            setattr(functools.reduce(getattr, groups, config), name, asked[key])
    for key, old, new in changed_settings(before, config):
        group = key.partition(".")[0]
        if key in _FIXED or (group in _FIXED_GROUPS and not _is_same(key, old, new)):
            what = _FIXED.get(key, "a different model" if group == "model" else "different training data")
            raise ConfigError(
                f"{key}: {_shown(old)} → {_shown(new)} would mean {what}; leave it out, or start a new run "
                "without resume="
            )
    check(config, {key_of(override) for override in request.overrides}, stored=True)
    return replace(config, name=before.name, runs=str(run.folder.parent), resume=request.config.resume), run


def _is_same(key: str, old: Any, new: Any) -> bool:
    """Whether a changed setting changes no result: a data setting may mean the same bytes at another path."""
    if key != "data.extra":
        return key in (*_LOCATIONS, *HOW_FAST)
    paths = {"path": None, "target_path": None, "alignment_path": None, "soft_labels": None}
    return [replace(one, **paths) for one in old] == [replace(one, **paths) for one in new]


def keep_settings(run: Run, config: Config) -> None:
    """Write the settings of a resumed run to its folder, and log every change.

    Raises:
        RunError: if the previous settings cannot be read.
    """
    _, before = reopen_run(run.folder)
    for key, old, new in changed_settings(before, config):
        logger.warning(f"{key}: {_shown(old)} → {_shown(new)}")
    write_config(run, replace(config, resume=None))


def _shown(value: Any) -> str:
    return as_text(value) if isinstance(value, list) else str(value)


def changed_settings(before: Config, after: Config) -> list[tuple[str, Any, Any]]:
    """Key, old value and new value of every changed setting."""
    pairs = zip(settings(before), settings(after), strict=True)
    return [(key, old, new) for (key, _, old), (_, _, new) in pairs if old != new and key not in _OTHERS]


def refuse_other_data(run: Run, prepared: Prepared, instead: str = "start a new run without resume=") -> None:
    """Refuse to use the data for what needs that of the run, such as resuming it, if it is not.

    Args:
        run: the run.
        prepared: the data.
        instead: what else the user can do.

    Raises:
        RunError: names the run.
    """
    try:
        before = json.loads(run.prepared.read_text(encoding="utf-8"))["fingerprint"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{run.prepared}: missing or corrupt") from error
    if before != prepared.report["fingerprint"]:
        raise RunError(
            f"{run.folder}: was trained on different data than {prepared.folder}; give the files it was "
            f"trained on, or {instead}"
        )
