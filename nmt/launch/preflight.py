"""Preflight check of a sweep: all jobs are composed and validated before Hydra starts the first."""

import os
from collections.abc import Sequence
from itertools import product
from pathlib import Path

from hydra import compose, initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nmt.errors import ConfigError, NmtError
from nmt.launch.compose import configs_folder, explain_hydra_error, to_config
from nmt.launch.overrides import as_typed
from nmt.launch.sweep import check_job, check_unlisted, make_folder


def is_basic(plugin: DictConfig) -> bool:
    """Whether a node `hydra.sweeper` or `hydra.launcher` is Hydra's own, not of a plugin."""
    return str(plugin["_target_"]).endswith((".BasicSweeper", ".BasicLauncher"))


def check_sweep(arguments: Sequence[str]) -> tuple[Path, list[str]]:
    """Validate a sweep and create its folder; returns the folder, and the keys of the settings that vary.

    With Hydra's own sweeper all jobs are known in advance; with others (Optuna) each is validated when it
    starts.

    Args:
        arguments: the command line after `-m`, as Hydra will get it.

    Raises:
        ConfigError: for anything wrong with it.
        HydraException: if what all jobs have in common cannot be composed.
    """
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise ConfigError("a sweep (-m) cannot run under torchrun: start torchrun for each job")
    if flags := [argument for argument in arguments if argument.startswith("-")]:
        raise ConfigError(f"{flags[0]}: cannot be combined with -m")
    with initialize_config_dir(str(configs_folder()), version_base="1.3"):
        parser = OverridesParser.create(GlobalHydra.instance().config_loader())
        overrides = parser.parse_overrides(list(arguments))
        common = [str(one.input_line) for one in overrides if not one.is_sweep_override()]
        config = _compose(common)
        sweeper = config.hydra.sweeper
        params = sweeper.get("params") or {}
        varying = [*params, *(one.get_key_element() for one in overrides if one.is_sweep_override())]
        if is_basic(sweeper):
            preset = parser.parse_overrides([f"{key}={value}" for key, value in params.items()])
            _check_jobs(config, _jobs(preset + overrides), varying)
        else:
            same = [key for key in ("name", "resume") if not OmegaConf.is_interpolation(config, key)]
            check_unlisted(
                {key: config[key] for key in same}, config.training.metric, sweeper.get("direction")
            )
        return make_folder(lambda: Path(_compose(common).hydra.sweep.dir)), varying


def _compose(overrides: list[str]) -> DictConfig:
    config = compose("config", overrides, return_hydra_config=True)
    HydraConfig.instance().set_config(config)  # for `${hydra:…}`
    return config


def _jobs(overrides: Sequence[Override]) -> list[list[str]]:
    """The overrides of every job, in the order of Hydra's own sweeper."""
    values: dict[str, list[str]] = {}
    for one in overrides:
        key, sweeps = one.get_key_element(), one.is_sweep_override()
        if sweeps and (one.is_hydra_override() or not one.is_discrete_sweep()):
            raise ConfigError(f"{one.input_line}: not a list of values; add hydra/sweeper=optuna")
        choices = one.sweep_string_iterator() if sweeps else [one.get_value_element_as_str()]
        values[key] = [f"{key}={choice}" for choice in choices]
    return list(map(list, product(*values.values())))


def _check_jobs(config: DictConfig, jobs: Sequence[list[str]], varying: Sequence[str]) -> None:
    folders: set[Path] = set()
    errors: list[str] = []
    for number, all_overrides in enumerate(jobs):
        overrides = [as_typed(one) for one in all_overrides if not one.startswith(("hydra.", "hydra/"))]
        try:
            job = _compose([*all_overrides, f"hydra.job.num={number}"])
            if job.runs != config.runs:
                raise ConfigError(
                    f"runs={job.runs}: all jobs of a sweep use the same runs= folder; give a single one"
                )
            check_job(to_config(job, overrides), overrides, folders, here=is_basic(config.hydra.launcher))
        except (NmtError, HydraException, OmegaConfBaseException) as error:
            reason = str(error) if isinstance(error, NmtError) else explain_hydra_error(error, overrides)
            own = " ".join(one for one in overrides if one.partition("=")[0] in varying)
            errors.append(f"{reason} (job {own})" if own else reason)
    if errors:
        several = f"; {len(errors)} of the {len(jobs)} jobs are invalid" if len(errors) > 1 else ""
        raise ConfigError(errors[0] + several)
