"""Poolings: a sequence of encoder states → one vector; and a head that predicts from it.

Shapes: B batch, S source length, M encoder state size, O number of outputs.
"""

import math

import torch
from torch import Tensor, nn

from nmt.model.attention.scopes import masked_softmax
from nmt.model.encoders.encoded import Encoded
from nmt.model.linear import Linear


class LastPooling(nn.Module):
    """x = the final encoder state.

    Bahdanau et al. 2015, appendix A.2.2, use the backward state at the first word; here it is
    concatenated with the forward state at the last word.
    """

    def __init__(self, state_size: int) -> None:
        super().__init__()

    def forward(self, encoded: Encoded) -> Tensor:
        """Encoded source → [B, M]."""
        return encoded.last


class BackwardPooling(nn.Module):
    """x = ←h_1, the backward state at the first word (Bahdanau et al. 2015, appendix A.2.2)."""

    def __init__(self, state_size: int) -> None:
        super().__init__()

    def forward(self, encoded: Encoded) -> Tensor:
        """Encoded source → [B, M / 2]."""
        return encoded.last.chunk(2, dim=-1)[1]


class MeanPooling(nn.Module):
    """x = the mean of the states over the real tokens."""

    def __init__(self, state_size: int) -> None:
        super().__init__()

    def weights(self, encoded: Encoded) -> Tensor:
        """The weight of each state, [B, S]: the same for all real tokens."""
        real = encoded.mask.to(encoded.states.dtype)
        return real / real.sum(dim=1, keepdim=True)

    def forward(self, encoded: Encoded) -> Tensor:
        """Encoded source → [B, M]."""
        real = encoded.mask.unsqueeze(-1).to(encoded.states.dtype)  # [B, S, 1]
        return (encoded.states * real).sum(dim=1) / real.sum(dim=1)


class AttentionPooling(nn.Module):
    """Feed-forward attention (Raffel and Ellis 2015, eq. 3 and 5), masked.

    e_j = tanh(wᵀ h_j + b);   α = softmax(e);   x = Σ_j α_j h_j.
    """

    def __init__(self, state_size: int) -> None:
        super().__init__()
        self.energy = Linear(state_size, 1)

    def weights(self, encoded: Encoded) -> Tensor:
        """α, [B, S]; 0 on padding."""
        energies = self.energy(encoded.states).tanh().squeeze(-1)  # [B, S]
        return masked_softmax(energies, encoded.mask)

    def forward(self, encoded: Encoded) -> Tensor:
        """Encoded source → [B, M]."""
        return torch.bmm(self.weights(encoded).unsqueeze(1), encoded.states).squeeze(1)


class LuongPooling(nn.Module):
    """Attention pooling with the last state as the query (Luong et al. 2015, §3.1, general).

    α = softmax_j(h_lastᵀ W h_j);   c = Σ_j α_j h_j;   x = tanh(W_c [c ; h_last]).

    The parameter stored is √M · W, for the reason given in `scores.GeneralScore`.
    """

    def __init__(self, state_size: int) -> None:
        super().__init__()
        self.key = Linear(state_size, state_size, bias=False)  # W
        self.combine = Linear(2 * state_size, state_size, bias=False)  # W_c

    def weights(self, encoded: Encoded) -> Tensor:
        """α, [B, S]; 0 on padding."""
        keys = self.key(encoded.states) / math.sqrt(encoded.last.shape[-1])  # [B, S, M]
        scores = torch.bmm(keys, encoded.last.unsqueeze(-1)).squeeze(-1)  # [B, S]
        return masked_softmax(scores, encoded.mask)

    def forward(self, encoded: Encoded) -> Tensor:
        """Encoded source → [B, M]."""
        context = torch.bmm(self.weights(encoded).unsqueeze(1), encoded.states).squeeze(1)
        pooled: Tensor = self.combine(torch.cat((context, encoded.last), dim=-1)).tanh()
        return pooled


Pooling = LastPooling | MeanPooling | AttentionPooling | LuongPooling | BackwardPooling
POOLINGS: dict[str, type[Pooling]] = {
    "last": LastPooling,
    "mean": MeanPooling,
    "attention_pooling": AttentionPooling,
    "luong_pooling": LuongPooling,
    "backward": BackwardPooling,
}


class PoolingHead(nn.Module):
    """A prediction from a whole sequence: W x + b, with x the pooled states.

    Args:
        kind: a key of `POOLINGS`.
        state_size: M; even with "backward".
        outputs: O: the number of classes, or of values to regress.
    """

    def __init__(self, kind: str, state_size: int, outputs: int) -> None:
        super().__init__()
        self.pooling: Pooling = POOLINGS[kind](state_size)
        self.project = Linear(state_size // 2 if kind == "backward" else state_size, outputs)

    def forward(self, encoded: Encoded) -> Tensor:
        """Encoded source → [B, O]."""
        predicted: Tensor = self.project(self.pooling(encoded))
        return predicted
