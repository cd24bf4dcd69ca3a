"""Run a task with the settings from the command line, or once per job of a sweep, by Hydra."""

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nmt.config.schema import key_of
from nmt.config.settings import Config, rename_overrides
from nmt.errors import ConfigError, NmtError, StoppedError
from nmt.launch.compose import configs_folder, explain_hydra_error, to_config
from nmt.launch.overrides import as_typed, literal, quote, split_arguments
from nmt.launch.preflight import check_sweep, is_basic
from nmt.launch.results import failures, read_jobs, recorded, table_at_end
from nmt.launch.sweep import own_run

Task = Callable[[Config, str, tuple[str, ...]], float | None]


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
    sweep, arguments = split_arguments(rename_overrides(sys.argv[1:]))
    if nameless := [argument for argument in arguments if key_of(argument) == ""]:
        raise ConfigError(f"{nameless[0]}: has no key; write KEY=VALUE")
    arguments = literal(arguments, sweep)
    try:
        errors = _run_sweep(task, arguments) if sweep else _run_hydra(task, arguments)
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(explain_hydra_error(error, arguments)) from error
    if errors:
        raise errors[0]


def _run_sweep(task: Task, arguments: Sequence[str]) -> Sequence[NmtError]:
    folder, varying = check_sweep(arguments)
    with table_at_end(folder, varying):
        sweep_dir = f"hydra.sweep.dir={quote(str(folder))}"
        errors = _run_hydra(task, ["--multirun", *arguments, sweep_dir], sweep=True)
    stops = [error for error in errors if isinstance(error, StoppedError)]
    return stops or failures(read_jobs(folder)) or errors


def _run_hydra(task: Task, arguments: Sequence[str], sweep: bool = False) -> Sequence[NmtError]:
    """Run Hydra; returns the errors of `task`, which Hydra would print in many lines."""
    os.environ["HYDRA_FULL_ERROR"] = "1"  # raise other exceptions, do not print them
    errors: list[NmtError] = []

    @hydra.main(version_base="1.3", config_path=str(configs_folder()), config_name="config")
    def main(composed: DictConfig) -> float | None:
        try:
            if errors and isinstance(errors[-1], StoppedError):
                raise errors[-1]
            return _run_job(task, composed, sweep)
        except NmtError as error:
            errors.append(error)
            if not is_basic(HydraConfig.get().sweeper):  # others must see failures
                raise NmtError(str(error)) from error
        return None

    sys.argv[1:] = arguments
    try:
        main()
    except NmtError as error:
        errors.append(error)
    return errors


def _run_job(task: Task, composed: DictConfig, sweep: bool) -> float | None:
    """Run `task` with composed settings; a job of a sweep gets its own run folder and is recorded."""
    here = HydraConfig.get()
    name = f"{here.runtime.choices['data']}-{here.runtime.choices['model']}"
    task_overrides = OmegaConf.to_container(here.overrides.task, resolve=False) or []
    overrides = tuple(as_typed(str(override)) for override in task_overrides)
    if here.mode is not RunMode.MULTIRUN:
        try:
            return task(to_config(composed, overrides), name, overrides)
        except StoppedError as stop:
            if stop.score is None:
                raise
            return stop.score  # the run was finished
    if not sweep:
        raise ConfigError("hydra.mode=MULTIRUN: start a sweep with -m on the command line")
    with recorded(Path(here.runtime.output_dir), here.job.num, overrides) as job:
        name += f"-{Path(here.sweep.dir).name.removeprefix('sweep-')}-{here.job.num}"
        config, overrides = own_run(job, to_config(composed, overrides), name)
        job.score = task(config, name, overrides)
    return job.score
