"""Validation: invalid settings and combinations are rejected before any work."""

import math
from collections.abc import Collection, Mapping
from typing import Any

from nmt.config.data import DataConfig
from nmt.config.model import ModelConfig
from nmt.config.schema import Condition, as_text, settings
from nmt.config.settings import Config
from nmt.config.training import TrainingConfig
from nmt.errors import ConfigError

_COMPARE = {
    "at least": lambda value, limit: value >= limit,
    "above": lambda value, limit: value > limit,
    "at most": lambda value, limit: value <= limit,
    "below": lambda value, limit: value < limit,
}


def _violations(config: Any) -> list[str]:
    found = []
    for key, item, value in settings(config):
        if value is None:
            continue
        choices = item.metadata.get("choices")
        if choices and value not in choices:
            found.append(f"{key}={value}: choose one of {', '.join(choices)}")
        if isinstance(value, float) and math.isinf(value):
            found.append(f"{key}={value}: must be a finite number")
        if item.metadata["literal"] and any("\ud800" <= sign <= "\udfff" for sign in as_text(value)):
            found.append(f"{key}={as_text(value)}: the name is not valid UTF-8; rename the file or folder")
        for word, limit in item.metadata.get("bounds", {}).items():
            if not _COMPARE[word](value, limit):  # also true of NaN
                found.append(f"{key}={value}: must be {word} {limit:g}")
    return found


def _holds(condition: Condition, values: Mapping[str, Any]) -> bool:
    return all(values[key] in allowed for key, allowed in condition.items())


def _as_typed(key: str) -> str:
    """A key as used on the command line: `data.source` is set by the group `data=`."""
    return "data" if key == "data.source" else key


def _unused(config: Config, typed: Collection[str]) -> list[str]:
    """Settings that have no effect given the others.

    Overrides typed by the user are always rejected. Numbers from config files may be unused: experiments
    set sizes for all kinds of models. Other unused values must be at their default.
    """
    found, values = [], {key: value for key, _, value in settings(config)}
    for key, item, value in settings(config):
        used, unused = item.metadata["used_if"], item.metadata["unused_if"]
        if (used is None or _holds(used, values)) and (unused is None or not _holds(unused, values)):
            continue
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if key in typed or not (value == item.metadata["default"] or is_number):
            found.append(f"{key}={as_text(value)}: {_why_unused(used, unused, values)}; leave it out")
    return found


def _why_unused(used: Condition | None, unused: Condition | None, values: Mapping[str, Any]) -> str:
    for key, allowed in (used or {}).items():
        if values[key] not in allowed:
            needed = " or ".join(map(as_text, allowed))
            return (
                f"has no effect with {_as_typed(key)}={as_text(values[key])}, only with "
                f"{_as_typed(key)}={needed}"
            )
    reasons = (f"{_as_typed(key)}={as_text(values[key])}" for key in unused or {})
    return "has no effect with " + " and ".join(reasons)


def _missing(config: Config) -> list[str]:
    found, values = [], {key: value for key, _, value in settings(config)}
    for key, item, value in settings(config):
        required = item.metadata["required_if"]
        if required is not None and _holds(required, values) and not value:
            reason = " and ".join(f"{_as_typed(name)}={values[name]}" for name in required)
            found.append(f"{key}: {reason} needs it; add {key}=FILE")
    return found


def _model_conflicts(model: ModelConfig) -> list[str]:
    return _encoder_conflicts(model) + _decoder_conflicts(model) + _attention_conflicts(model)


def _encoder_conflicts(model: ModelConfig) -> list[str]:
    encoder, found = model.encoder, []
    if encoder.type == "recurrent" and encoder.bidirectional and encoder.size % 2:
        found.append(f"model.encoder.size={encoder.size}: must be even when model.encoder.bidirectional=true")
    if encoder.type == "convolutional" and encoder.kernel % 2 == 0:
        found.append(f"model.encoder.kernel={encoder.kernel}: must be odd, for symmetric padding")
    if encoder.type == "self_attention":
        found += _not_divided("model.encoder.heads", encoder.heads, {"model.encoder.size": encoder.size})
        found += _odd("model.encoder.size", encoder.size)
    recurrent = encoder.type == "recurrent" or model.decoder.style != "transformer"
    if model.initialisation == "orthogonal" and not recurrent:
        found.append(
            "model.initialisation=orthogonal: the model has no recurrent layers; use uniform or xavier"
        )
    return found


def _decoder_conflicts(model: ModelConfig) -> list[str]:
    decoder = model.decoder
    if decoder.style != "transformer":
        return []
    return _not_divided("model.decoder.heads", decoder.heads, {"model.decoder.size": decoder.size}) + _odd(
        "model.decoder.size", decoder.size
    )


def _attention_conflicts(model: ModelConfig) -> list[str]:
    attention, encoder, decoder = model.attention, model.encoder, model.decoder
    if decoder.style in ("vector", "transformer"):
        return []
    found = []
    if attention.score == "dot" and encoder.size != decoder.size:
        found.append(
            "model.attention.score=dot: needs model.encoder.size and model.decoder.size to be equal, "
            f"not {encoder.size} and {decoder.size}"
        )
    if attention.heads > 1:
        sizes = {"model.encoder.size": encoder.size}
        if attention.score in ("additive", "concat"):
            sizes["model.attention.size"] = attention.size
        elif attention.score != "location":
            sizes["model.decoder.size"] = decoder.size
        found += _not_divided("model.attention.heads", attention.heads, sizes)
    if attention.score == "location":
        if attention.coverage:
            found.append(
                "model.attention.coverage=true: model.attention.score=location has no keys to add it to"
            )
        if encoder.type != "recurrent" and encoder.positions > attention.positions:
            found.append(
                f"model.attention.positions={attention.positions}: fewer than "
                f"model.encoder.positions={encoder.positions}; the score would not cover all positions"
            )
    return found


def _not_divided(key: str, heads: int, sizes: dict[str, int]) -> list[str]:
    return [f"{key}={heads}: does not divide {name}={size}" for name, size in sizes.items() if size % heads]


def _odd(key: str, size: int) -> list[str]:
    return [f"{key}={size}: must be even, for sinusoidal positions"] if size % 2 else []


def _held_out_conflicts(data: DataConfig, split: str) -> list[str]:
    path, source, targets = (
        getattr(data, f"{split}_{name}") for name in ("path", "source_path", "target_paths")
    )
    key = f"data.{split}"
    if path is not None and (source is not None or targets):
        return [f"{key}_path and {key}_source_path: two {split} sets; give only one of them"]
    if source is not None and not targets:
        return [f"{key}_target_paths: {key}_source_path needs it; add {key}_target_paths=FILE"]
    if source is None and targets:
        return [f"{key}_source_path: {key}_target_paths needs it; add {key}_source_path=FILE"]
    if data.swap and len(targets) > 1:
        return [f"{key}_target_paths: with data.swap=true this is the source side; give only one file"]
    return []


def _data_conflicts(data: DataConfig) -> list[str]:
    found = []
    if data.source == "tsv" and data.source_column == data.target_column:
        found.append(f"data.target_column={data.target_column}: the same as data.source_column")
    if data.source == "tsv" and data.alignment_column in (data.source_column, data.target_column):
        found.append(f"data.alignment_column={data.alignment_column}: already a column of sentences")
    found += _held_out_conflicts(data, "dev") + _held_out_conflicts(data, "test")
    if data.dev_fraction + data.test_fraction > 0.5:
        found.append("data.dev_fraction + data.test_fraction: more than half; too little left to train on")
    return found


def _training_conflicts(training: TrainingConfig) -> list[str]:
    if training.teacher_forcing_decay == "exponential" and training.teacher_forcing == 0:
        return ["training.teacher_forcing=0: must be above 0 when training.teacher_forcing_decay=exponential"]
    return []


def _guiding_conflicts(config: Config) -> list[str]:
    if not config.training.guided_alignment:
        return []
    key, found = f"training.guided_alignment={config.training.guided_alignment:g}", []
    if config.model.decoder.style == "vector":
        found.append(f"{key}: model.decoder.style=vector has no attention to guide")
    if config.model.attention.span == "hard":
        found.append(
            f"{key}: model.attention.span=hard has one-hot weights, which cannot be guided; use another span"
        )
    needed = {"tsv": "alignment_column", "moses": "alignment_path"}.get(config.data.source)
    if config.data.source == "manythings":
        found.append(
            f"{key}: data=manythings has no word alignments; use data=tsv or data=moses with alignments"
        )
    elif needed and getattr(config.data, needed) is None:
        found.append(f"{key}: needs word alignments; add data.{needed}=…")
    return found


def check(config: Config, typed: Collection[str] = ()) -> None:
    """Reject invalid values and combinations, all in one error.

    Args:
        config: the settings.
        typed: keys that the user typed: any that has no effect is rejected.

    Raises:
        ConfigError: names every key at fault and what is allowed.
    """
    found = (
        _violations(config)
        + _missing(config)
        + _unused(config, typed)
        + _data_conflicts(config.data)
        + _model_conflicts(config.model)
        + _training_conflicts(config.training)
        + _guiding_conflicts(config)
    )
    if found:
        raise ConfigError("; ".join(found))
