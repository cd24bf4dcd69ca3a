"""The maxout readout.

Shapes: N tokens, R readout size.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nmt.model.dropout import Dropout
from nmt.model.linear import Linear


class MaxoutReadout(nn.Module):
    """t̃ = U s + V E y + C c;   t = max of each pair of units (Bahdanau et al. 2015, appendix A.2.2)."""

    def __init__(self, input_size: int, units: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.units = units
        self.linear = Linear(input_size, 2 * self.units)
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor, embedded: Tensor, context: Tensor) -> Tensor:
        """States [N, H], embeddings [N, E] and contexts [N, M] → features [N, F]."""
        summed = self.linear(torch.cat((hidden, embedded, context), dim=-1))  # [N, 2F]
        maxima: Tensor = _PairMaxima.apply(summed)  # type: ignore[no-untyped-call]
        features: Tensor = self.dropout(maxima)
        return features


class _PairMaxima(torch.autograd.Function):
    """Maximum of units 2i and 2i + 1: [N, 2R] → [N, R]; of two equal ones the first gets the gradient. The
    backward pass of `amax` takes several times as long, to divide it among them.
    """

    @staticmethod
    def forward(ctx: Any, units: Tensor) -> Tensor:
        first, second = units[..., ::2], units[..., 1::2]
        ctx.save_for_backward(first >= second)
        return torch.maximum(first, second)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> Tensor:
        (first_wins,) = ctx.saved_tensors
        first = gradient * first_wins
        return torch.stack((first, gradient - first), dim=-1).flatten(-2)
