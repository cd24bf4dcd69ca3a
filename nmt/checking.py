"""Impossible settings, and combinations that make no sense, refused before any work."""

import math
from typing import Any

from nmt.config import AttentionConfig, Config, DataConfig, ModelConfig, TrainingConfig
from nmt.errors import ConfigError
from nmt.schema import settings

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
        for word, limit in item.metadata.get("bounds", {}).items():
            if not _COMPARE[word](value, limit):  # also true of NaN
                found.append(f"{key}={value}: must be {word} {limit:g}")
    return found


def _model_conflicts(model: ModelConfig) -> list[str]:
    return _encoder_conflicts(model) + _decoder_conflicts(model) + _attention_conflicts(model)


def _encoder_conflicts(model: ModelConfig) -> list[str]:
    encoder, found = model.encoder, []
    if encoder.type == "recurrent" and encoder.bidirectional and encoder.size % 2:
        found.append(f"model.encoder.size={encoder.size}: must be even when model.encoder.bidirectional=true")
    if encoder.type == "convolutional" and encoder.kernel % 2 == 0:
        found.append(f"model.encoder.kernel={encoder.kernel}: must be odd, to see as far on either side")
    if encoder.type == "self_attention":
        found += _not_divided("model.encoder.heads", encoder.heads, {"model.encoder.size": encoder.size})
        found += _odd("model.encoder.size", encoder.size)
    recurrent = encoder.type == "recurrent" or model.decoder.style != "transformer"
    if model.initialisation == "orthogonal" and not recurrent:
        found.append("model.initialisation=orthogonal: nothing is recurrent; use uniform or xavier")
    return found


def _decoder_conflicts(model: ModelConfig) -> list[str]:
    decoder, found = model.decoder, []
    if decoder.style == "vector" and decoder.lexical:
        found.append(
            "model.decoder.lexical=true: model.decoder.style=vector has no attention; set it to false"
        )
    if decoder.style != "transformer":
        return found
    if model.bridge != ModelConfig().bridge:
        found.append(f"model.bridge={model.bridge}: model.decoder.style=transformer has none; take it away")
    return (
        found
        + _not_divided("model.decoder.heads", decoder.heads, {"model.decoder.size": decoder.size})
        + _odd("model.decoder.size", decoder.size)
    )


def _attention_conflicts(model: ModelConfig) -> list[str]:
    attention, encoder, decoder = model.attention, model.encoder, model.decoder
    if decoder.style in ("vector", "transformer"):
        usual = AttentionConfig()
        return [
            f"model.attention.{name}={getattr(attention, name)}: model.decoder.style={decoder.style} "
            "has no such attention; take it away"
            for name in ("score", "span", "heads", "coverage")
            if getattr(attention, name) != getattr(usual, name)
        ]
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
                f"model.encoder.positions={encoder.positions}; the score would not see all of the memory"
            )
    return found


def _not_divided(key: str, heads: int, sizes: dict[str, int]) -> list[str]:
    return [f"{key}={heads}: does not divide {name}={size}" for name, size in sizes.items() if size % heads]


def _odd(key: str, size: int) -> list[str]:
    return [f"{key}={size}: must be even, for sinusoidal positions"] if size % 2 else []


_NEEDED_PATHS = {"tsv": ("path",), "moses": ("source_path", "target_path")}
_OWN_KEYS = {
    "manythings": ("archive",),
    "sample": (),
    "tsv": ("path", "alignment_column"),
    "moses": ("source_path", "target_path", "alignment_path"),
}


def _data_conflicts(data: DataConfig) -> list[str]:
    found = []
    for name in _NEEDED_PATHS.get(data.source, ()):
        if not getattr(data, name):
            found.append(f"data.{name}: data={data.source} needs it; add data.{name}=FILE")
    for source, names in _OWN_KEYS.items():
        for name in names:
            if source != data.source and getattr(data, name):
                found.append(f"data.{name}: data={data.source} does not read it; add data={source}")
    if data.source == "tsv" and data.source_column == data.target_column:
        found.append(f"data.target_column={data.target_column}: the same as data.source_column")
    if data.source == "tsv" and data.alignment_column in (data.source_column, data.target_column):
        found.append(f"data.alignment_column={data.alignment_column}: a column of sentences")
    if data.dev_fraction + data.test_fraction > 0.5:
        found.append("data.dev_fraction + data.test_fraction: more than half; nothing to train on")
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
            f"{key}: model.attention.span=hard has weights of 0 and 1, which guiding cannot move; use another"
        )
    needed = {"tsv": "alignment_column", "moses": "alignment_path"}.get(config.data.source)
    if config.data.source == "manythings":
        found.append(f"{key}: data=manythings has no word alignments; use data=tsv or data=moses with some")
    elif needed and getattr(config.data, needed) is None:
        found.append(f"{key}: needs word alignments; add data.{needed}=…")
    return found


def check(config: Config) -> None:
    """Refuse impossible values and combinations before any work, all of them at once.

    Raises:
        ConfigError: naming every key at fault and what it may be.
    """
    found = (
        _violations(config)
        + _data_conflicts(config.data)
        + _model_conflicts(config.model)
        + _training_conflicts(config.training)
        + _guiding_conflicts(config)
    )
    if found:
        raise ConfigError("; ".join(found))
