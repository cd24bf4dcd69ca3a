"""An ensemble of any search models: models in PyTorch, exported ones, or both.

As in `nmt.model.inference.ensemble`, which combines models on one device without copying their predictions,
the probability of the next token is the mean of the models' probabilities, log p(y) = log (1/M) Σₘ pₘ(y).

Shapes: M models, N rows, S source length, T target length, H attention heads, V vocabulary.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.decoding.arrays import ArrayAttention, ArrayStep
from nmt.decoding.interface import Booleans, Floats, Integers, Rows, SearchModel

States = tuple[Any, ...]
"""The state of each model."""


class SearchEnsemble:
    """Several models as one; `SearchModel` says what the methods do.

    Attention is the mean over the models that have any, of the mean over the heads of each.

    Args:
        models: at least one, with the same tokenizers.

    Attributes:
        heads: 1, or 0 if no model has attention.
    """

    def __init__(self, models: Sequence[SearchModel[Any]]) -> None:
        self._models = tuple(models)
        self.heads = int(any(model.heads for model in models))

    def encode(self, source: Integers, mask: Booleans) -> States:
        """As `SearchModel.encode`, with every model."""
        return tuple(model.encode(source, mask) for model in self._models)

    def step(self, state: States, rows: Rows) -> ArrayStep[States]:
        """As `SearchModel.step`, with every model."""
        found = [model.step(own, rows) for model, own in zip(self._models, state, strict=True)]
        predicted = log_mean([one.log_probabilities() for one in found])
        weights = self._mean_attention([one.attention.numpy() for one in found])
        return ArrayStep(predicted, tuple(one.state for one in found), ArrayAttention(weights))

    def score(
        self,
        source: Integers,
        source_mask: Booleans,
        previous: Integers,
        target: Integers,
        target_mask: Booleans,
        attention: bool,
    ) -> tuple[Floats, Floats | None]:
        """As `SearchModel.score`, with every model."""
        given = (source, source_mask, previous, target, target_mask, attention)
        found = [model.score(*given) for model in self._models]
        weights = [own for _, own in found if own is not None]
        return log_mean([scores for scores, _ in found]), self._mean_attention(weights) if attention else None

    def _mean_attention(self, weights: Sequence[Floats]) -> Floats:
        """Weights [N, H, …] of each model, where H may differ → [N, 1, …], or [N, 0, …]."""
        attending = [own.mean(axis=1, keepdims=True) for own in weights if own.shape[1]]
        return np.mean(attending, axis=0, dtype=np.float32) if attending else weights[0]


def log_mean(log_probabilities: Sequence[NDArray[np.float32]]) -> Floats:
    """The logarithm of the mean of probabilities, given as logarithms, of any but the same shape. Rounding
    does not lift it above 0, on which the bound of beam search relies.

    With the largest of them, h: h + log (1/M) Σₘ exp(log pₘ − h).
    """
    highest = np.maximum.reduce(log_probabilities)
    highest = np.maximum(highest, np.finfo(np.float32).min)  # finite, also where all are minus infinity
    total = np.zeros_like(highest)
    for one in log_probabilities:
        total += np.exp(one - highest)
    with np.errstate(divide="ignore"):
        found: Floats = np.log(total / np.float32(len(log_probabilities))) + highest
    return np.minimum(found, 0.0, out=found)
