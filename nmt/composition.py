"""Settings from the command line: Hydra composes `configs/` over the schema in `nmt.config`."""

import dataclasses
import difflib
import os
import re
import signal
import sys
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException, OverrideParseException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nmt.config.schema import key_of, settings
from nmt.config.settings import RENAMED, Config
from nmt.config.validation import check
from nmt.errors import ConfigError, NmtError, StoppedError
from nmt.overrides import quoted, renamed, unquoted
from nmt.sweep import Refused, errors, read_jobs, recorded, table

Task = Callable[[Config, str, tuple[str, ...]], float | None]
HYDRAS_SWEEPER = "hydra._internal.core_plugins.basic_sweeper.BasicSweeper"


def configs_folder() -> Path:
    """The folder of YAML files: inside an installed package, or next to it in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def to_config(composed: DictConfig, words: Sequence[str] = ()) -> Config:
    """Convert a composed config to our dataclasses and validate it; a leading `~` in paths is expanded.
    With `resume`, validation is left to `nmt.resume`, which merges in the settings of the run first.

    Args:
        composed: the config composed by Hydra.
        words: the overrides from the command line, `key=value` each.

    Raises:
        ConfigError: for an unknown key, an invalid value, or an invalid combination.
    """
    try:
        plain = OmegaConf.to_object(composed)
    except OmegaConfBaseException as error:  # an interpolation that cannot be resolved
        raise ConfigError(explain(error)) from error
    assert isinstance(plain, Config), type(plain)
    _refuse_additions(plain)
    _expand_home(plain)
    if plain.resume is None:
        check(plain, {key_of(word) for word in words})
    return plain


def _expand_home(config: Any) -> None:
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            _expand_home(value)
        elif item.metadata["literal"] == "path" and value:
            home = os.path.expanduser  # Path.expanduser would drop "./" and "//"
            setattr(config, item.name, home(value) if isinstance(value, str) else [*map(home, value)])


def _refuse_additions(config: Any, prefix: str = "") -> None:
    """Reject keys added with `+key=value` that are not in the schema; nothing would read them."""
    known = {item.name for item in dataclasses.fields(config)}
    for name, value in vars(config).items():
        if name not in known:
            raise ConfigError(_no_such_setting(prefix + name))
        if dataclasses.is_dataclass(value):
            _refuse_additions(value, f"{prefix}{name}.")


def _no_such_setting(key: str) -> str:
    if key in RENAMED:
        return f"{key}: renamed to {RENAMED[key]}"
    near = difflib.get_close_matches(key, [name for name, _, _ in settings(Config())], n=1)
    return f"{key}: no such setting" + (
        f"; did you mean {near[0]}?" if near else "; `--help` lists all settings"
    )


def explain(error: Exception) -> str:
    """Turn an error of Hydra or OmegaConf into one line that names the key and how to fix it."""
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override}: cannot be parsed; write KEY=VALUE, and quote a value with special characters"
        )
    text = str(error)
    causes = [text, str(error.__cause__ or "")]
    for cause in causes:
        unknown = re.search(r"Could not override '([^']+)'|full_key: (\S+)", cause)
        if unknown and any("is not in" in part or "Key '" in part for part in causes):
            return _no_such_setting(unknown[1] or unknown[2])
    missing = re.search(
        r"Could not find '([^']+)/([^'/]+)'\s+Available options in '[^']+':\n((?:\t\S+\n?)+)", text
    )
    if missing:
        plugins = "; others are Hydra plugins to install" if missing[1].startswith("hydra/") else ""
        choices = ", ".join(missing[3].split())
        return f"{missing[1]}={missing[2]}: no such choice; available: {choices}{plugins}"
    key_line = re.search(r"full_key: (\S+)", text) or re.search(r"full_key: (\S+)", causes[1])
    first = " ".join((causes[1] or text).splitlines()[0].split())
    return f"{key_line[1]}: {first}" if key_line else " ".join(text.split())


def with_config(task: Task) -> None:
    """Run `task` with the settings from the command line, or once per job of a sweep (`-m`) and then print
    the table of results.

    Args:
        task: takes the settings, a default name for the run (`<data>-<model>`), and the overrides; returns
            the score that a sweep compares, the best value of `training.metric`.

    Raises:
        ConfigError: for a misspelt key, a wrong type, an invalid value or combination; in a sweep before
            the first job, if all jobs are known in advance.
        NmtError: raised by `task`; in a sweep the first failure, after all jobs have run.
        StoppedError: if a signal stopped `task`; the remaining jobs of a sweep are not run.
    """
    ConfigStore.instance().store(name="schema", node=Config)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let exceptions propagate: `nmt.cli` prints them in one line
    HydraConfig.instance().cfg = None
    failures: list[NmtError] = []  # not raised inside Hydra, which would print too much about them
    at_termination = signal.getsignal(signal.SIGTERM)
    _prepare_words()

    @hydra.main(version_base="1.3", config_path=str(configs_folder()), config_name="config")
    def main(composed: DictConfig) -> float | None:
        try:
            if failures and isinstance(failures[-1], StoppedError):
                raise failures[-1]
            return _run(task, composed)
        except NmtError as error:
            failures.append(error)
            if HydraConfig.get().sweeper["_target_"] != HYDRAS_SWEEPER:  # others must see failures
                raise NmtError(str(error)) from error
        return None

    try:
        main()
    except Refused as refused:
        raise refused.error from None
    except NmtError as error:
        failures.append(error)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain(error)) from error
    finally:
        if HydraConfig.initialized():  # by the preflight check of a sweep
            signal.signal(signal.SIGTERM, at_termination)
            stops: list[NmtError] = [error for error in failures if isinstance(error, StoppedError)]
            failures = _end_sweep(stops) or failures
    if failures:
        raise failures[0]


def _prepare_words() -> None:
    """Rewrite the overrides in `sys.argv` so that Hydra's grammar reads them as typed."""
    words, notes = renamed(sys.argv[1:])
    for note in notes:
        print(note, file=sys.stderr)
    sys.argv[1:] = quoted(words)


def varying(sweep: Any) -> list[str]:
    """The keys that vary in a sweep, from Hydra's own config (node `hydra`)."""
    overrides = OverridesParser.create().parse_overrides(words_of(sweep))
    keys = [*(sweep.sweeper.get("params") or {})]
    return keys + [override.get_key_element() for override in overrides if override.is_sweep_override()]


def words_of(here: Any) -> list[str]:
    """The overrides from the command line, as passed to Hydra, from Hydra's own config (node `hydra`)."""
    words = OmegaConf.to_container(here.overrides.task, resolve=False)
    assert isinstance(words, list)
    return list(map(str, words))


def _run(task: Task, composed: DictConfig) -> float | None:
    """Run `task`; a job of a sweep gets its own run folder, and its result is recorded."""
    here = HydraConfig.get()
    default = f"{here.runtime.choices['data']}-{here.runtime.choices['model']}"
    words = unquoted(words_of(here))
    if here.mode is not RunMode.MULTIRUN:
        score, _ = _score(task, to_config(composed, words), default, words)
        return score
    with recorded(Path(here.runtime.output_dir), here.job.num, words) as job:
        config = to_config(composed, words)
        if config.resume is None:
            sweep = Path(here.sweep.dir).name.removeprefix("sweep-")
            name = f"{default}-{sweep}-{here.job.num}" if config.name is None else config.name
            folder = Path(config.runs) / name
            going_on = job.again and folder.exists()
            config = replace(config, name=name, resume=str(folder) if going_on else None)
            words = () if going_on else words
        job.metric, job.run = _metric_and_run(config, words)
        job.score, stop = _score(task, config, default, words)
    if stop is not None:
        raise stop
    return job.score


def _score(
    task: Task, config: Config, name: str, words: tuple[str, ...]
) -> tuple[float | None, StoppedError | None]:
    """The result of `task`, and the signal that arrived too late to stop it, if any."""
    try:
        return task(config, name, words), None
    except StoppedError as stop:
        if stop.score is None:
            raise
        return stop.score, stop


def _metric_and_run(config: Config, words: tuple[str, ...]) -> tuple[str, str]:
    if config.resume is None:
        return config.training.metric, str(Path(config.runs) / str(config.name))
    from nmt.resume import Request, resumed

    settings, run = resumed(Request(config, "", words))
    return settings.training.metric, os.path.relpath(run.folder)


def _end_sweep(stops: list[NmtError]) -> list[NmtError]:
    """Print the table of a sweep. Returns at most one error: the signal that stopped it, or the failures."""
    sweep = HydraConfig.get()
    jobs = read_jobs(Path(sweep.sweep.dir))
    if jobs:
        print("", table(jobs, varying(sweep)), sep="\n", flush=True)
    return stops[:1] or errors(jobs)
