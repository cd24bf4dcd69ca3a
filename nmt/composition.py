"""Settings from the command line: Hydra composes `configs/` over the schema of `nmt.config`."""

import dataclasses
import difflib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hydra
from hydra.core.config_store import ConfigStore
from hydra.core.hydra_config import HydraConfig
from hydra.errors import HydraException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from nmt.checking import check
from nmt.config import Config, settings
from nmt.errors import ConfigError, NmtError, StoppedError


def configs_folder() -> Path:
    """Where the YAML files are: inside an installed package, or beside it in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def to_config(composed: DictConfig) -> Config:
    """A composed config as our dataclasses, checked; but with `resume` most settings are those of the run,
    and only together with them can they be checked.

    Raises:
        ConfigError: for an unknown key, an impossible value or combination.
    """
    try:
        plain = OmegaConf.to_object(composed)
    except OmegaConfBaseException as error:  # an interpolation that leads nowhere
        raise ConfigError(_explain(error)) from error
    assert isinstance(plain, Config), type(plain)
    _refuse_additions(plain)
    if plain.resume is None:
        check(plain)
    return plain


def _refuse_additions(config: Any, prefix: str = "") -> None:
    """Refuse what `+key=value` has put beside the settings; nothing would read it."""
    known = {item.name for item in dataclasses.fields(config)}
    for name, value in vars(config).items():
        if name not in known:
            raise ConfigError(_no_such_setting(prefix + name))
        if dataclasses.is_dataclass(value):
            _refuse_additions(value, f"{prefix}{name}.")


def _no_such_setting(key: str) -> str:
    near = difflib.get_close_matches(key, [name for name, _, _ in settings(Config())], n=1)
    return f"{key}: no such setting" + (f"; did you mean {near[0]}?" if near else "; `--help` lists them all")


def _explain(error: Exception) -> str:
    """Hydra's and OmegaConf's messages in one line that names the key and the way out."""
    text = str(error)
    causes = [text, str(error.__cause__ or "")]
    for cause in causes:
        unknown = re.search(r"Could not override '([^']+)'|full_key: (\S+)", cause)
        if unknown and any("is not in" in part or "Key '" in part for part in causes):
            return _no_such_setting(unknown[1] or unknown[2])
    missing = re.search(
        r"Could not find '([^'/]+)/([^']+)'\s+Available options in '[^']+':\n((?:\t\S+\n?)+)", text
    )
    if missing:
        return f"{missing[1]}={missing[2]}: no such choice; there are {', '.join(missing[3].split())}"
    key_line = re.search(r"full_key: (\S+)", text) or re.search(r"full_key: (\S+)", causes[1])
    first = " ".join((causes[1] or text).splitlines()[0].split())
    return f"{key_line[1]}: {first}" if key_line else " ".join(text.split())


def with_config(task: Callable[[Config, str, tuple[str, ...]], float | None]) -> None:
    """Run `task` with the settings of the command line, or with each of a sweep (`-m`).

    Args:
        task: takes the settings, a default name for the run, `<data>-<model>`, and the words of the
            command line; gives the score that a sweep compares.

    Raises:
        ConfigError: for a misspelt key, a wrong type, an impossible value or combination.
        NmtError: what `task` raised; of a sweep, the first, after all jobs had their turn.
        StoppedError: when a signal stopped `task`; the jobs of a sweep after it have no turn.
    """
    ConfigStore.instance().store(name="schema", node=Config)
    os.environ["HYDRA_FULL_ERROR"] = "1"  # let exceptions through: `nmt.cli` says them in one line
    failures: list[NmtError] = []  # of a sweep's jobs; Hydra would print more about one than the user needs
    stops: list[StoppedError] = []

    @hydra.main(version_base="1.3", config_path=str(configs_folder()), config_name="config")
    def main(composed: DictConfig) -> float | None:
        if stops:
            return None
        choices = HydraConfig.get().runtime.choices
        words = OmegaConf.to_container(HydraConfig.get().overrides.task, resolve=False)
        assert isinstance(words, list)
        try:
            return task(to_config(composed), f"{choices['data']}-{choices['model']}", tuple(map(str, words)))
        except StoppedError as stop:
            stops.append(stop)
        except NmtError as error:
            failures.append(error)
        return None

    try:
        main()
    except (HydraException, OmegaConfBaseException) as error:
        raise ConfigError(_explain(error)) from error
    if stops:
        raise stops[0]
    if len(failures) > 1:
        raise NmtError(f"{len(failures)} jobs of the sweep failed; the first: {failures[0]}")
    if failures:
        raise failures[0]
