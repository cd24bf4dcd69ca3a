"""Settings composed by Hydra: `configs/` and overrides over the schema in `nmt.config`."""

from collections.abc import Iterable
from dataclasses import fields
from pathlib import Path

from hydra.errors import MissingConfigException, OverrideParseException
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import ConfigAttributeError, ConfigKeyError, OmegaConfBaseException

from nmt.config.data import OWN_NAMES
from nmt.config.extra_corpus import ExtraCorpus
from nmt.config.schema import expand_home, key_of
from nmt.config.settings import Config, no_such_setting
from nmt.config.validation import check
from nmt.data.name_list import own_list
from nmt.errors import ConfigError


def configs_folder() -> Path:
    """The folder of YAML files: inside an installed package, or next to it in a checkout."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parent / "configs"


def to_config(composed: DictConfig, overrides: Iterable[str] = ()) -> Config:
    """Convert a composed config to our dataclasses and validate it; a leading `~` in paths is expanded.
    With `resume`, validation is left to `nmt.runs.resume`, which merges in the settings of the run first.

    Args:
        composed: the config composed by Hydra.
        overrides: from the command line, `key=value` each.

    Raises:
        ConfigError: for an unknown key, an invalid value, or an invalid combination.
    """
    values = OmegaConf.to_container(composed, resolve=False)
    assert isinstance(values, dict)
    values.pop("hydra", None)
    try:
        strict = OmegaConf.merge(OmegaConf.structured(Config), values)  # rejects keys added with `+key=value`
        config = OmegaConf.to_object(strict)
    except OmegaConfBaseException as error:
        raise ConfigError(explain_hydra_error(error)) from error
    assert isinstance(config, Config)
    expand_home(config)
    typed = set(map(key_of, overrides))
    if config.data.names == OWN_NAMES and "data.names" not in typed and own_list(config.data) is None:
        config.data.names = None  # a preset for many languages asks for it
    if config.resume is None:
        check(config, typed)
    return config


def explain_hydra_error(error: Exception, overrides: Iterable[str] = ()) -> str:
    """Turn an error of Hydra or OmegaConf into one line that names the key and how to fix it.

    Args:
        error: the exception.
        overrides: the overrides that may have caused it.
    """
    if isinstance(error, OverrideParseException):
        return (
            f"{error.override}: cannot be parsed; write KEY=VALUE, and quote a value with special characters"
        )
    if isinstance(error, MissingConfigException) and error.options is not None:
        group, _, choice = str(error.missing_cfg_file).rpartition("/")
        plugins = "; others are Hydra plugins to install" if group.startswith("hydra/") else ""
        return f"{group}={choice}: no such choice; available: {', '.join(error.options)}{plugins}"
    cause = error if isinstance(error, OmegaConfBaseException) else error.__cause__ or error.__context__
    if not isinstance(cause, OmegaConfBaseException):
        return " ".join(str(error).split())
    key = cause.full_key or ""
    if cause.object_type is ExtraCorpus:
        return _explain_in_extra(key, cause)
    if isinstance(cause, ConfigKeyError | ConfigAttributeError):  # of a misspelt `a.b.c`, the key may be `a`
        return no_such_setting(next((k for k in map(key_of, overrides) if k.startswith(f"{key}.")), key))
    if key.startswith("data.extra"):
        return f"{key}: must be a list of corpora, such as [{{kind: tsv, path: FILE, weight: 0.5}}]"
    reason = _first_line(cause)
    return f"{key}: {reason}" if key else reason


def _explain_in_extra(key: str, cause: OmegaConfBaseException) -> str:
    """The line for an error in a corpus of `data.extra`; OmegaConf does not say which."""
    if isinstance(cause, ConfigKeyError | ConfigAttributeError):
        known = ", ".join(item.name for item in fields(ExtraCorpus))
        return f"data.extra: {key}: no such setting; a corpus has {known}"
    return f"data.extra: {key}: {_first_line(cause)}"


def _first_line(error: Exception) -> str:
    return " ".join(str(error).partition("\n")[0].split())
