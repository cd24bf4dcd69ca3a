"""The maxout readout.

Shapes: N tokens, R readout size.
"""

import torch
from torch import Tensor, nn

from nmt.model.dropout import Dropout


class MaxoutReadout(nn.Module):
    """t̃ = U s + V E y + C c;   t = max of each pair of units (Bahdanau et al. 2015, appendix A.2.2)."""

    def __init__(self, input_size: int, units: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.units = units
        self.linear = nn.Linear(input_size, 2 * self.units)
        self.dropout = Dropout(dropout)

    def forward(self, hidden: Tensor, embedded: Tensor, context: Tensor) -> Tensor:
        """States [N, H], embeddings [N, E] and contexts [N, M] → features [N, F]."""
        summed = self.linear(torch.cat((hidden, embedded, context), dim=-1))  # [N, 2F]
        features: Tensor = self.dropout(summed.unflatten(-1, (self.units, 2)).amax(dim=-1))
        return features
