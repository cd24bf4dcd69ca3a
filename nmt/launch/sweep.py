"""The jobs of a sweep, apart from Hydra: checks before the first starts, and a run folder for each."""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from nmt.config.settings import Config
from nmt.errors import ConfigError
from nmt.launch.results import Job, direction_of


def shared_folder(key: str, value: str) -> ConfigError:
    """The error of two jobs with the same run folder; `key`: `name` or `resume`."""
    advice = {
        "name": f"make it differ, as in 'name={value}-${{hydra:job.num}}', or leave it out",
        "resume": "list each run only once",
    }
    return ConfigError(
        f"{key}={value}: more than one job of the sweep would use this run folder; {advice[key]}"
    )


def check_unlisted(shared: Mapping[str, str | None], metric: str, direction: Any) -> None:
    """Reject what is invalid in any sweep whose jobs are not known in advance.

    Args:
        shared: the settings `name` and `resume`, where they are the same in all jobs.
        metric: the metric of the scores.
        direction: in which the sweeper searches for the best, or None.

    Raises:
        ConfigError: if all jobs would share a run folder, or the worst score would be searched for.
    """
    for key, value in shared.items():
        if value is not None:
            raise shared_folder(key, value)
    asked, right = getattr(direction, "name", direction), direction_of(metric)
    if asked in ("minimize", "maximize") and asked != right:
        raise ConfigError(
            f"hydra.sweeper.direction={asked}: would search for the worst {metric}; "
            f"add hydra.sweeper.direction={right}"
        )


def make_folder(name: Callable[[], Path]) -> Path:
    """Create the folder of a sweep, not shared with any other sweep; `name` may contain the time.

    Raises:
        ConfigError: if it exists.
    """
    while True:
        folder = name()
        try:
            folder.mkdir(parents=True)
            return folder
        except FileExistsError as error:
            time.sleep(1)  # another sweep started in the same second
            if name() == folder:
                raise ConfigError(f"hydra.sweep.dir={folder}: exists; choose another folder") from error


def check_job(config: Config, overrides: Sequence[str], folders: set[Path], here: bool) -> None:
    """Run all checks of a job that come before training.

    Args:
        config: the settings of the job.
        overrides: the overrides of the job.
        folders: run folders of the jobs before it, where known in advance; the folder of this job is added.
        here: whether the job will run on this machine, with its devices and files.

    Raises:
        NmtError: for anything wrong with the job.
    """
    from nmt.data.extra import check_extra, check_pretraining
    from nmt.data.held_out import check_files
    from nmt.device import choose_device
    from nmt.runs.resume import Request, resumed
    from nmt.runs.run import check_name
    from nmt.training.precision import choose_precision

    if config.resume is not None:
        shared = shared_folder("resume", config.resume)
        config, run = resumed(Request(config, "", tuple(overrides)))
        folders_of_job = {run.folder}
    else:
        check_name(config)
        shared = shared_folder("name", str(config.name))
        folders_of_job = set() if config.name is None else {Path(config.runs) / config.name}
    if folders_of_job & folders:
        raise shared
    folders |= folders_of_job
    if here:
        choose_precision(config.training.precision, choose_device(config.device))
        check_files(config.data)
        check_extra(config.data)
        check_pretraining(config)


def own_run(job: Job, config: Config, name: str) -> tuple[Config, tuple[str, ...]]:
    """The settings and overrides that a job trains with, in its own run; a requeued job resumes its run.

    Args:
        job: its `metric` and `run` are set.
        config: the composed settings.
        name: the name of the run if the settings have none.
    """
    from nmt.runs.resume import Request, resumed

    overrides = tuple(job.overrides)
    if config.resume is None:
        config = replace(config, name=name if config.name is None else config.name)
        folder = Path(config.runs) / str(config.name)
        job.metric, job.run = config.training.metric, str(folder)
        if not (job.again and folder.exists()):
            return config, overrides
        config, overrides = replace(config, resume=str(folder)), ()
    settings, run = resumed(Request(config, "", overrides))
    job.metric, job.run = settings.training.metric, os.path.relpath(run.folder)
    return config, overrides
