"""Logits that are not computed yet: the loss computes them in parts, and never holds all of them.

Shapes: N tokens, F feature size, V vocabulary.
"""

from typing import NamedTuple

from torch import Tensor

from nmt.model.linear import linear


class Logits(NamedTuple):
    """Logits as a sum of products: Σ_i W_i x_i + b.

    Attributes:
        features: x_i, [N, F_i] each; at least one.
        weights: W_i, [V, F_i] each.
        bias: b, [V], or None.
    """

    features: tuple[Tensor, ...]
    weights: tuple[Tensor, ...]
    bias: Tensor | None

    def dense(self) -> Tensor:
        """[N, V]"""
        total = linear(self.features[0], self.weights[0], self.bias)
        for features, weight in zip(self.features[1:], self.weights[1:], strict=True):
            total = total + linear(features, weight)
        return total
