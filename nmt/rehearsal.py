"""Preflight check of a sweep: validates all jobs before the first starts. See `configs/config.yaml`."""

import copy
import os
import signal
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hydra._internal.core_plugins.basic_sweeper import BasicSweeper
from hydra.core.config_loader import ConfigLoader
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException
from hydra.experimental.callback import Callback
from omegaconf import DictConfig, OmegaConf, open_dict, read_write
from omegaconf.errors import OmegaConfBaseException

from nmt.composition import HYDRAS_SWEEPER, explain, to_config, varying, words_of
from nmt.errors import ConfigError, NmtError
from nmt.overrides import unquoted
from nmt.sweep import Refused

_HYDRAS_LAUNCHER = "hydra._internal.core_plugins.basic_launcher.BasicLauncher"


class Rehearsal(Callback):
    """Rejects a sweep with an invalid job before anything is trained or written.

    With Hydra's own sweeper all jobs are known in advance. With others (Optuna) they are not; each job is
    validated when it starts.
    """

    def on_multirun_start(self, config: DictConfig, **kwargs: Any) -> None:
        """Validate a sweep and create its folder.

        Raises:
            Refused: for anything wrong with it.
        """
        try:
            _refuse_impossible(config)
            _make_folder(config)
        except Exception as error:
            HydraConfig.instance().cfg = None
            raise Refused(_ours(error)) from error
        HydraConfig.instance().set_config(config)  # outside of jobs: `with_config` needs it at the end
        signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # still prints the table


def _ours(error: Exception) -> Exception:
    """Convert errors of Hydra and OmegaConf to ours."""
    if isinstance(error, HydraException | OmegaConfBaseException):
        return ConfigError(explain(error))
    return error


def _refuse_impossible(config: DictConfig) -> None:
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise ConfigError("a sweep (-m) cannot run under torchrun: start torchrun for each job")
    if config.hydra.sweeper["_target_"] != HYDRAS_SWEEPER:
        _refuse_unknown(config)
        return
    loader = GlobalHydra.instance().config_loader()
    jobs, keys = _jobs(config, loader), varying(config.hydra)
    taken: set[Path] = set()
    refusals: list[str] = []
    for number, words in enumerate(jobs):
        try:
            _rehearse(config, _compose(config, loader, number, words), words, taken)
        except (NmtError, HydraException, OmegaConfBaseException) as error:
            own = " ".join(word for word in unquoted(words) if word.partition("=")[0] in keys)
            refusals.append(f"{_ours(error)} (job {own})" if own else str(_ours(error)))
    if refusals:
        several = f"; {len(refusals)} of the {len(jobs)} jobs are invalid" if len(refusals) > 1 else ""
        raise ConfigError(refusals[0] + several)


def _refuse_unknown(config: DictConfig) -> None:
    """Reject what is invalid in any sweep whose jobs are not known in advance."""
    from nmt.training.selection import LOWER_IS_BETTER

    plain = OmegaConf.to_container(config, resolve=False)
    assert isinstance(plain, dict)
    for key in ("name", "resume"):
        if plain[key] is not None and "${" not in plain[key]:
            raise _shared(key, plain[key])
    direction = config.hydra.sweeper.get("direction")
    asked, metric = getattr(direction, "name", direction), config.training.metric
    right = "minimize" if metric in LOWER_IS_BETTER else "maximize"
    if asked in ("minimize", "maximize") and asked != right:
        raise ConfigError(
            f"hydra.sweeper.direction={asked}: would search for the worst {metric}; "
            f"add hydra.sweeper.direction={right}"
        )


def _shared(key: str, value: Any) -> ConfigError:
    ways = {
        "name": f"make it differ, as in 'name={value}-${{hydra:job.num}}', or leave it out",
        "resume": "list each run only once",
    }
    return ConfigError(
        f"{key}={value}: more than one job of the sweep would use this run folder; {ways[key]}"
    )


def _jobs(config: DictConfig, loader: ConfigLoader) -> list[list[str]]:
    """The overrides of every job, in the order of Hydra's own sweeper."""
    words = [f"{key}={value}" for key, value in (config.hydra.sweeper.params or {}).items()]
    words += words_of(config.hydra)
    overrides = OverridesParser.create(config_loader=loader).parse_overrides(words)
    for override in overrides:
        if override.is_sweep_override() and not override.is_discrete_sweep():
            raise ConfigError(f"{override.input_line}: not a list of values; add hydra/sweeper=optuna")
    return BasicSweeper.split_arguments(overrides, None)[0]


def _rehearse(config: DictConfig, job: DictConfig, words: Sequence[str], taken: set[Path]) -> None:
    """Run all checks of a job that come before training.

    Args:
        config: the config of the sweep.
        job: the settings of the job.
        words: the overrides of the job.
        taken: run folders of the jobs before it, where known in advance; the folder of this job is added.

    Raises:
        NmtError, OmegaConfBaseException: for anything wrong with the job.
    """
    from nmt.data.held_out import check_files
    from nmt.device import choose_device
    from nmt.resume import Request, resumed
    from nmt.storage.run import check_name
    from nmt.training.precision import choose_precision

    if job.runs != config.runs:
        raise ConfigError(
            f"runs={job.runs}: all jobs of a sweep use the same runs= folder; give a single one"
        )
    settings, folder = to_config(job, words), None
    if settings.resume is not None:
        settings, run = resumed(Request(settings, "", tuple(words)))
        folder = run.folder
    else:
        check_name(settings)
        folder = Path(settings.runs) / settings.name if settings.name is not None else None
    if folder in taken:
        raise _shared("name", settings.name) if settings.resume is None else _shared("resume", job.resume)
    taken.update([folder] if folder else [])
    if config.hydra.launcher["_target_"] == _HYDRAS_LAUNCHER:  # it will run on this machine
        choose_precision(settings.training.precision, choose_device(settings.device))
        check_files(settings.data)


def _compose(config: DictConfig, loader: ConfigLoader, number: int, words: Sequence[str]) -> DictConfig:
    """The settings of a job, as Hydra will compose them."""
    job = loader.load_sweep_config(config, list(words))
    with open_dict(job):
        job.hydra.job.num = job.hydra.job.id = number
    HydraConfig.instance().set_config(job)  # for `${hydra:…}` interpolations
    job = copy.deepcopy(job)
    with read_write(job), open_dict(job):
        del job["hydra"]
    return job


def _make_folder(config: DictConfig) -> None:
    """Create the folder of the sweep, not shared with any other sweep."""
    while True:
        folder = Path(config.hydra.sweep.dir)
        try:
            folder.mkdir(parents=True)
            return
        except FileExistsError as error:
            time.sleep(1)  # the name contains the time, and another sweep started in the same second
            OmegaConf.clear_cache(config)
            if Path(config.hydra.sweep.dir) == folder:
                raise ConfigError(f"hydra.sweep.dir={folder}: exists; choose another folder") from error
