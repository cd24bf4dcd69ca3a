"""Names in older checkpoints: weights and training state, read under their present names.

Settings have a table of their own, `nmt.config.settings.RENAMED`.
"""

import re
from collections.abc import Mapping
from typing import Any

from torch import Tensor

_WEIGHTS = {
    r"^(encoder|decoder)\.enter\.": r"\1.input_projection.",
    r"^decoder\.attention\.span\.": "decoder.attention.scope.",
    r"^decoder\.attention\.score\.place\.": "decoder.attention.score.position.",
    r"^decoder\.bridge\.summary\.": "decoder.bridge.pooling.",
    r"^lexical\.vote\.": "lexical.output.",
    r"^decoder\.layers\.(\d+)\.itself(_norm)?\.": r"decoder.layers.\1.self_attention\2.",
    r"^decoder\.layers\.(\d+)\.source(_norm)?\.": r"decoder.layers.\1.cross_attention\2.",
    r"\.feedforward\.widen\.": ".feedforward.fc1.",
    r"\.feedforward\.narrow\.": ".feedforward.fc2.",
}
"""Patterns of names of weights in format 1 → their replacements."""
_STATE = {"progress": "train_state", "window": "running_metrics"}
_TRAIN_STATE = {
    "budget": "max_tokens",
    "block": "batches_per_update",
    "stale": "validations_without_improvement",
}
_RUNNING_METRICS = {"likelihood": "nll"}


def rename_weights(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The weights of a checkpoint of format 1 under their present names."""
    renamed = {}
    for name, weight in weights.items():
        for old, new in _WEIGHTS.items():
            name = re.sub(old, new, name)
        renamed[name] = weight
    return renamed


def rename_state(state: Mapping[str, Any]) -> dict[str, Any]:
    """The training state of a checkpoint of format 1 under its present names.

    Raises:
        KeyError, TypeError: if it is not a training state.
    """
    renamed = _renamed(state, _STATE)
    renamed["train_state"] = _renamed(renamed["train_state"], _TRAIN_STATE)
    renamed["running_metrics"] = _renamed(renamed["running_metrics"], _RUNNING_METRICS)
    return renamed


def _renamed(values: Mapping[str, Any], table: Mapping[str, str]) -> dict[str, Any]:
    return {table.get(name, name): value for name, value in values.items()}
