"""Attention: how well a query matches each source state, and the average that follows from it.

Shapes: B batch, T target length, S source length, Q query size, M state size, A key size.
Masks are True at real tokens. Nothing is kept on the modules between calls.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nmt.config import AttentionConfig


class Keys(NamedTuple):
    """What attention prepares once per sentence.

    Attributes:
        states: encoder states, [B, S, M].
        keys: what queries are matched with, [B, S, A].
        mask: True at real tokens, [B, S].
    """

    states: Tensor
    keys: Tensor
    mask: Tensor

    def select(self, index: Tensor) -> "Keys":
        """The rows `index` of the batch, in that order; rows may repeat."""
        return Keys(*(part.index_select(0, index) for part in self))


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis, where masked-out places get exactly 0.

    Args:
        scores: [B, T, S].
        mask: True at real tokens, [B, S]; at least one in each row.
    """
    return scores.masked_fill(~mask.unsqueeze(1), float("-inf")).softmax(dim=-1)


class AdditiveScore(nn.Module):
    """score(s, h) = vᵀ tanh(W s + U h)   (Bahdanau et al. 2015, appendix A.1.2)."""

    def __init__(self, query_size: int, state_size: int, config: AttentionConfig) -> None:
        super().__init__()
        self.query = nn.Linear(query_size, config.size, bias=False)  # W_a
        self.key = nn.Linear(state_size, config.size, bias=False)  # U_a
        self.energy = nn.Linear(config.size, 1, bias=False)  # v_a

    def prepare(self, states: Tensor) -> Tensor:
        """[B, S, M] → U h, [B, S, A]."""
        keys: Tensor = self.key(states)
        return keys

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """[B, T, Q], [B, S, A] → scores [B, T, S]."""
        summed = self.query(query).unsqueeze(2) + keys.unsqueeze(1)  # [B, T, S, A]
        scores: Tensor = self.energy(summed.tanh()).squeeze(-1)
        return scores


class DotScore(nn.Module):
    """score(s, h) = sᵀ h   (Luong et al. 2015, §3.1, dot)."""

    def __init__(self, query_size: int, state_size: int, config: AttentionConfig) -> None:
        super().__init__()
        assert query_size == state_size, "checked with the configuration"

    def prepare(self, states: Tensor) -> Tensor:
        """The states are the keys: [B, S, M]."""
        return states

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """[B, T, Q], [B, S, Q] → scores [B, T, S]."""
        return query @ keys.transpose(1, 2)


class GeneralScore(nn.Module):
    """score(s, h) = sᵀ W h   (Luong et al. 2015, §3.1, general)."""

    def __init__(self, query_size: int, state_size: int, config: AttentionConfig) -> None:
        super().__init__()
        self.key = nn.Linear(state_size, query_size, bias=False)  # W_a

    def prepare(self, states: Tensor) -> Tensor:
        """[B, S, M] → W h, [B, S, Q]."""
        keys: Tensor = self.key(states)
        return keys

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """[B, T, Q], [B, S, Q] → scores [B, T, S]."""
        return query @ keys.transpose(1, 2)


Score = AdditiveScore | DotScore | GeneralScore
SCORES: dict[str, type[Score]] = {"additive": AdditiveScore, "dot": DotScore, "general": GeneralScore}


class Attention(nn.Module):
    """Global soft attention: weights over all source tokens (Bahdanau et al. 2015, eq. 5 and 6).

    α_tj = softmax_j score(s_t, h_j);   c_t = Σ_j α_tj h_j.
    """

    def __init__(self, query_size: int, state_size: int, config: AttentionConfig) -> None:
        super().__init__()
        self.query_size = query_size
        self.score: Score = SCORES[config.score](query_size, state_size, config)

    def prepare(self, states: Tensor, mask: Tensor) -> Keys:
        """Project the keys, once per sentence.

        Args:
            states: encoder states, [B, S, M].
            mask: True at real tokens, [B, S].
        """
        assert states.shape[:2] == mask.shape, (states.shape, mask.shape)
        return Keys(states, self.score.prepare(states), mask)

    def weights(self, query: Tensor, keys: Keys) -> Tensor:
        """Weights over the source: [B, T, Q] → [B, T, S]; 0 on padding, each row sums to 1."""
        assert query.shape[::2] == (keys.mask.shape[0], self.query_size), query.shape
        return masked_softmax(self.score(query, keys.keys), keys.mask)

    def forward(self, query: Tensor, keys: Keys) -> tuple[Tensor, Tensor]:
        """Attend.

        Args:
            query: decoder states, [B, T, Q].
            keys: what `prepare` gave.

        Returns:
            contexts [B, T, M] and weights [B, T, S].
        """
        weights = self.weights(query, keys)
        return torch.bmm(weights, keys.states), weights
