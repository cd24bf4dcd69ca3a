"""Validation: invalid settings and combinations are rejected before any work."""

import math
from collections.abc import Collection, Mapping
from dataclasses import Field
from typing import Any, cast

from nmt.config.data import DataConfig
from nmt.config.decoding import DecodingConfig
from nmt.config.directions import direction_conflicts
from nmt.config.extensions import EXTENSION_POINTS, SCORES, SOURCES, AlignedCorpus, MultiHeadScore
from nmt.config.extra_corpus import ExtraCorpus, in_extra, unsuitable
from nmt.config.model import ModelConfig
from nmt.config.schema import Condition, as_text, settings
from nmt.config.settings import Config
from nmt.config.stage_conflicts import stage_conflicts
from nmt.config.training import TrainingConfig
from nmt.errors import ConfigError

_COMPARE = {
    "at least": lambda value, limit: value >= limit,
    "above": lambda value, limit: value > limit,
    "at most": lambda value, limit: value <= limit,
    "below": lambda value, limit: value < limit,
}


def violations(config: Any, prefix: str = "") -> list[str]:
    """What is wrong with single values, one line each.

    Args:
        config: a dataclass of `option` fields, or of such dataclasses.
        prefix: of the keys.
    """
    found = []
    for key, item, value in settings(config, prefix):
        if value is None:
            continue
        choices = item.metadata.get("choices")
        if choices and value not in choices:
            found.append(f"{key}={value}: choose one of {', '.join(choices)}")
        if isinstance(value, float) and math.isinf(value):
            found.append(f"{key}={value}: must be a finite number")
        if item.metadata["literal"] and any("\ud800" <= sign <= "\udfff" for sign in as_text(value)):
            found.append(f"{key}={as_text(value)}: the name is not valid UTF-8; rename the file or folder")
        for relation, limit in item.metadata.get("bounds", {}).items():
            if not _COMPARE[relation](value, limit):  # also true of NaN
                found.append(f"{key}={value}: must be {relation} {limit:g}")
    return found


def _holds(condition: Condition, values: Mapping[str, Any]) -> bool:
    return all(values[key] in allowed for key, allowed in condition.items())


def _as_typed(key: str) -> str:
    """A key as used on the command line: `data.source` is set by the group `data=`."""
    return "data" if key == "data.source" else key


def _unused(config: Config, typed: Collection[str], stored: bool) -> list[str]:
    """Settings that have no effect given the others.

    Overrides typed by the user are always rejected. Numbers from config files may be unused: experiments
    set sizes for all kinds of models. Other unused values must be at their default, unless they are those
    of an existing run.
    """
    found, values = [], {key: value for key, _, value in settings(config)}
    for key, item, value in settings(config):
        is_number = isinstance(value, int | float) and not isinstance(value, bool)
        if key not in typed and (stored or is_number or value == item.metadata["default"]):
            continue
        used, unused = _used_if(key, item), item.metadata["unused_if"]
        if (used is None or _holds(used, values)) and (unused is None or not _holds(unused, values)):
            continue
        found.append(f"{key}={as_text(value)}: {_why_unused(used, unused, values)}; leave it out")
    return found


def _used_if(key: str, item: Field[Any]) -> Condition | None:
    """The condition under which a setting has an effect, including the choices of its extension point."""
    used: Condition | None = item.metadata["used_if"]
    point = EXTENSION_POINTS.get(item.metadata["used_by"])
    return used if point is None else {**(used or {}), point.key: point.using(key)}


def _required_if(key: str, item: Field[Any]) -> Condition | None:
    """The condition under which a setting must be given, likewise."""
    required: Condition | None = item.metadata["required_if"]
    point = EXTENSION_POINTS.get(item.metadata["used_by"])
    return required if point is None else {**(required or {}), point.key: point.requiring(key)}


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
        required = None if value else _required_if(key, item)
        if required is not None and _holds(required, values):
            reason = " and ".join(f"{_as_typed(name)}={values[name]}" for name in required)
            found.append(f"{key}: {reason} needs it; add {key}=FILE")
    return found


def _model_conflicts(model: ModelConfig) -> list[str]:
    return _encoder_conflicts(model) + _decoder_conflicts(model) + _bridge_conflicts(model)


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


def _bridge_conflicts(model: ModelConfig) -> list[str]:
    encoder, decoder, key = model.encoder, model.decoder, f"model.bridge={model.bridge}"
    if model.bridge not in ("backward", "copy") or decoder.style == "transformer":
        return []
    if encoder.type != "recurrent":
        return [f"{key}: needs model.encoder.type=recurrent, not {encoder.type}"]
    if model.bridge == "backward":
        return [] if encoder.bidirectional else [f"{key}: needs model.encoder.bidirectional=true"]
    return [
        f"{key}: needs model.encoder.{name} and model.decoder.{name} to be equal, not {one} and {other}"
        for name in ("cell", "layers", "size")
        if (one := getattr(encoder, name)) != (other := getattr(decoder, name))
    ]


def _attention_conflicts(model: ModelConfig) -> list[str]:
    attention = model.attention
    if model.decoder.style in ("vector", "transformer") or attention.score not in SCORES.names():
        return []
    score = cast(type[MultiHeadScore], SCORES.load(attention.score))
    found = score.conflicts(model)
    if attention.heads > 1:
        keys = ("model.encoder.size", *([score.divided] if score.divided else []))
        sizes = {key: value for key, _, value in settings(model, "model.") if key in keys}
        found += _not_divided("model.attention.heads", attention.heads, sizes)
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
    found = SOURCES.load(data.source).conflicts(data) if data.source in SOURCES.names() else []
    found += _held_out_conflicts(data, "dev") + _held_out_conflicts(data, "test") + direction_conflicts(data)
    for number, extra in enumerate(data.extra):
        found += _extra_conflicts(data, extra, number)
    if data.dev_fraction + data.test_fraction > 0.5:
        found.append("data.dev_fraction + data.test_fraction: more than half; too little left to train on")
    return found


def _extra_conflicts(data: DataConfig, extra: ExtraCorpus, number: int) -> list[str]:
    key = f"data.extra[{number}]"
    found = violations(extra, f"{key}.")
    if extra.kind not in SOURCES.names():
        return found
    conflicts = SOURCES.load(extra.kind).conflicts(data.as_main(extra))
    return found + unsuitable(extra, key) + [in_extra(conflict, extra, key) for conflict in conflicts]


def _training_conflicts(training: TrainingConfig) -> list[str]:
    found, key = [], f"training.rdrop={training.rdrop:g}"
    if training.teacher_forcing_decay == "exponential" and training.teacher_forcing == 0:
        found.append(
            "training.teacher_forcing=0: must be above 0 when training.teacher_forcing_decay=exponential"
        )
    if training.rdrop and training.teacher_forcing < 1:
        found.append(
            f"{key}: cannot be combined with scheduled sampling (training.teacher_forcing below 1), which "
            "would feed the two passes different tokens"
        )
    if training.rdrop and not (training.dropout or training.embedding_dropout or training.word_dropout):
        found.append(f"{key}: has no effect without dropout; set training.dropout")
    return found


def _guiding_conflicts(config: Config) -> list[str]:
    if not config.training.guided_alignment:
        return []
    key, found = f"training.guided_alignment={config.training.guided_alignment:g}", []
    if config.training.subword_sampling:
        found.append(
            f"{key}: cannot be combined with training.subword_sampling, as alignments are between the pieces "
            "of one segmentation"
        )
    if config.model.decoder.style == "vector":
        found.append(f"{key}: model.decoder.style=vector has no attention to guide")
    if config.model.attention.scope == "hard":
        found.append(
            f"{key}: model.attention.scope=hard has one-hot weights, which cannot be guided; use another"
        )
    return found + _no_alignments(config.data, key)


def _decoding_conflicts(decoding: DecodingConfig) -> list[str]:
    if decoding.min_length < decoding.max_length:
        return []
    return [
        f"decoding.min_length={decoding.min_length}: must be below decoding.max_length={decoding.max_length}"
    ]


def _no_alignments(data: DataConfig, key: str) -> list[str]:
    if data.source not in SOURCES.names():
        return []
    alignments = cast(type[AlignedCorpus], SOURCES.load(data.source)).alignments
    if isinstance(alignments, bool):
        lacking = f"data={data.source} has no word alignments; use data=tsv or data=moses with alignments"
        return [] if alignments else [f"{key}: {lacking}"]
    given = getattr(data, alignments.removeprefix("data."))
    return [f"{key}: needs word alignments; add {alignments}=…"] if given is None else []


def check(config: Config, typed: Collection[str] = (), stored: bool = False) -> None:
    """Reject invalid values and combinations, all in one error; what only the attention score knows is
    checked if all else is valid, because its module imports torch.

    Args:
        config: the settings.
        typed: keys that the user typed: any that has no effect is rejected.
        stored: the other settings are those of an existing run, which may have no effect.

    Raises:
        ConfigError: names every key at fault and what is allowed.
    """
    found = (
        violations(config)
        + _missing(config)
        + _unused(config, typed, stored)
        + _data_conflicts(config.data)
        + _model_conflicts(config.model)
        + _training_conflicts(config.training)
        + _guiding_conflicts(config)
        + _decoding_conflicts(config.decoding)
        + stage_conflicts(config, typed)
    )
    found = found or _attention_conflicts(config.model)
    if found:
        raise ConfigError("; ".join(found))
