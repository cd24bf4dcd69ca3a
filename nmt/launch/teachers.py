"""The settings of teachers with `distillation.teacher_overrides`: composed as the command line would be with
these overrides at its end.
"""

import shlex
from collections.abc import Sequence

from hydra import compose
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nmt.config.schema import key_of
from nmt.config.settings import Config
from nmt.errors import ConfigError
from nmt.launch.compose import explain_hydra_error, to_config
from nmt.launch.overrides import as_typed, literal

_OF_THE_STUDENT = ("name", "runs", "resume", "seed", "device", "threads", "pretraining", "distillation")


def teacher_settings(config: Config) -> list[Config]:
    """The settings for each entry of `distillation.teacher_overrides`.

    Args:
        config: the settings of the job that Hydra is running.

    Raises:
        ConfigError: for an entry that is invalid, which it names.
    """
    found = []
    for number, entry in enumerate(config.distillation.teacher_overrides):
        try:
            found.append(_composed(_overrides(entry)))
        except (HydraException, OmegaConfBaseException, ConfigError) as error:
            reason = str(error) if isinstance(error, ConfigError) else explain_hydra_error(error)
            raise ConfigError(f"distillation.teacher_overrides[{number}]: {reason}") from error
    return found


def _overrides(entry: str) -> list[str]:
    """The overrides of an entry, which are separated by spaces and may be quoted as in a shell."""
    try:
        overrides = shlex.split(entry)
    except ValueError as error:
        raise ConfigError(f"{entry}: {error}") from error
    for override in overrides:
        key = key_of(override)
        if not key or "=" not in override:
            raise ConfigError(f"{override}: not a setting; write KEY=VALUE, with spaces between several")
        if key.partition(".")[0] in _OF_THE_STUDENT:
            raise ConfigError(f"{override}: not a setting of a single teacher; leave it out")
    return overrides


def _composed(overrides: Sequence[str]) -> Config:
    given = HydraConfig.get().overrides
    own = [str(one) for one in OmegaConf.to_container(given.task) or []]
    own = [one for one in own if not key_of(one).startswith(("pretraining.", "distillation."))]
    search = [one for one in given.hydra if key_of(one) == "hydra.searchpath"]
    alone = "distillation.soft_weight=0"  # a teacher may have what a student with soft labels may not
    composed = compose("config", [*search, *own, alone, *literal(overrides, sweep=False)])
    return to_config(composed, [as_typed(one) for one in [*own, *overrides]])
