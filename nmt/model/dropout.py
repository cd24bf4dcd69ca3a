"""Dropout whose random numbers are cheap on a CPU."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

_LEVELS = 2**16  # probabilities are multiples of 1 / _LEVELS on a CPU
_PER_DRAW = 4  # 16-bit numbers in a random 64-bit number


class Dropout(nn.Dropout):
    """Dropout (Srivastava et al. 2014), as `torch.nn.Dropout`: zeroes each unit with probability p and scales
    the others by 1 / (1 − p), in training.

    PyTorch's CPU kernel draws one number per unit from a sequential generator, which takes 5 % of an update.
    Here a unit takes 16 bits of one: p is rounded to a multiple of 2⁻¹⁶, and the scale is that of the rounded
    p.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Any shape."""
        return dropout(input, self.p, self.training)


def dropout(units: Tensor, p: float, training: bool) -> Tensor:
    """As `torch.nn.functional.dropout`; see `Dropout`."""
    if not training or not p:
        return units
    if units.device.type != "cpu":
        return F.dropout(units, p)
    return units * noise(units, p)


def noise(like: Tensor, p: float) -> Tensor:
    """The factors by which dropout multiplies units of this shape, type and device: 0 or 1 / (1 − p)."""
    if like.device.type != "cpu":
        return F.dropout(torch.ones_like(like), p)
    dropped, count = min(round(p * _LEVELS), _LEVELS - 1), like.numel()
    draws = torch.empty(-(-count // _PER_DRAW), dtype=torch.int64).random_(-(2**63), None)
    kept = draws.view(torch.int16)[:count] >= dropped - _LEVELS // 2
    return kept.view(like.shape).to(like.dtype).mul_(_LEVELS / (_LEVELS - dropped))
