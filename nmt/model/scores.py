"""Attention scores: how well a query matches each source state, one class per formula.

A score prepares its keys once per sentence and is then called once per decoder step. With several heads,
each uses its own slice (Vaswani et al. 2017, §3.2.2).

Shapes: B batch, T target length, S source length, Q query size, M state size, K heads, D key size per
head.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.config.model import AttentionConfig


def split_heads(vectors: Tensor, heads: int) -> Tensor:
    """[B, L, K·D] → [B, K, L, D]: head k has the k-th slice of each vector."""
    B, L, size = vectors.shape
    return vectors.view(B, L, heads, size // heads).transpose(1, 2)


def merge_heads(vectors: Tensor) -> Tensor:
    """[B, K, L, D] → [B, L, K·D]: the inverse of `split_heads`."""
    return vectors.transpose(1, 2).flatten(2)


class AdditiveScore(nn.Module):
    """score(s, h) = vᵀ tanh(W s + U h)   (Bahdanau et al. 2015, appendix A.1.2)."""

    def __init__(self, query_size: int, state_size: int, config: AttentionConfig) -> None:
        super().__init__()
        self.heads, self.key_size = config.heads, config.size // config.heads
        self.query = nn.Linear(query_size, config.size, bias=False)  # W
        self.key = nn.Linear(state_size, config.size, bias=False)  # U
        self.energy = nn.Parameter(torch.empty(self.heads, self.key_size).uniform_(-0.1, 0.1))  # v

    def prepare(self, states: Tensor) -> Tensor:
        """[B, S, M] → U h, [B, K, S, D]."""
        return split_heads(self.key(states), self.heads)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """[B, T, Q], [B, K, S, D] → scores [B, K, T, S]."""
        queries = split_heads(self.query(query), self.heads)  # [B, K, T, D]
        hidden = (queries.unsqueeze(3) + keys.unsqueeze(2)).tanh()  # [B, K, T, S, D]
        return torch.einsum("bktsd,kd->bkts", hidden, self.energy)


class ConcatScore(nn.Module):
    """score(s, h) = vᵀ tanh(W [s ; h])   (Luong et al. 2015, §3.1, concat).

    W [s ; h] = W_s s + W_h h, so this is the additive score with its two matrices concatenated; kept here
    in the paper's form.
    """

    def __init__(self, query_size: int, state_size: int, config: AttentionConfig) -> None:
        super().__init__()
        self.heads, self.key_size, self.query_size = config.heads, config.size // config.heads, query_size
        self.both = nn.Linear(query_size + state_size, config.size, bias=False)  # W
        self.energy = nn.Parameter(torch.empty(self.heads, self.key_size).uniform_(-0.1, 0.1))  # v

    def prepare(self, states: Tensor) -> Tensor:
        """[B, S, M] → W_h h, [B, K, S, D]."""
        return split_heads(F.linear(states, self.both.weight[:, self.query_size :]), self.heads)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """[B, T, Q], [B, K, S, D] → scores [B, K, T, S]."""
        queries = split_heads(F.linear(query, self.both.weight[:, : self.query_size]), self.heads)
        hidden = (queries.unsqueeze(3) + keys.unsqueeze(2)).tanh()  # [B, K, T, S, D]
        return torch.einsum("bktsd,kd->bkts", hidden, self.energy)


class DotScore(nn.Module):
    """score(s, h) = sᵀ h   (Luong et al. 2015, §3.1, dot)."""

    def __init__(self, query_size: int, state_size: int, config: AttentionConfig) -> None:
        super().__init__()
        assert query_size == state_size, "the configuration check rejects this"
        self.heads, self.key_size = config.heads, query_size // config.heads

    def prepare(self, states: Tensor) -> Tensor:
        """The states are the keys: [B, S, M] → [B, K, S, D]."""
        return split_heads(states, self.heads)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """[B, T, Q], [B, K, S, D] → scores [B, K, T, S]."""
        return split_heads(query, self.heads) @ keys.transpose(-1, -2)


class _ProjectedKeys(nn.Module):
    """Base class of the scores that compare the query with W h."""

    def __init__(self, query_size: int, state_size: int, config: AttentionConfig) -> None:
        super().__init__()
        self.heads, self.key_size = config.heads, query_size // config.heads
        self.key = nn.Linear(state_size, query_size, bias=False)  # W

    def prepare(self, states: Tensor) -> Tensor:
        """[B, S, M] → W h, [B, K, S, D]."""
        return split_heads(self.key(states), self.heads)


class GeneralScore(_ProjectedKeys):
    """score(s, h) = sᵀ W h   (Luong et al. 2015, §3.1, general).

    The parameter stored is √D · W. It represents the same functions with smaller updates: Adam changes
    every entry by about the learning rate, and in a score that sums over all entries of a matrix these
    changes add up until the softmax saturates on one token, long before attention has learned anything.
    """

    def prepare(self, states: Tensor) -> Tensor:
        """[B, S, M] → W h, [B, K, S, D]."""
        return super().prepare(states) / math.sqrt(self.key_size)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """[B, T, Q], [B, K, S, D] → scores [B, K, T, S]."""
        return split_heads(query, self.heads) @ keys.transpose(-1, -2)


class ScaledDotScore(_ProjectedKeys):
    """score(s, h) = (V s)ᵀ (W h) / √D   (Vaswani et al. 2017, eq. 1)."""

    def __init__(self, query_size: int, state_size: int, config: AttentionConfig) -> None:
        super().__init__(query_size, state_size, config)
        self.query = nn.Linear(query_size, query_size, bias=False)  # V

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """[B, T, Q], [B, K, S, D] → scores [B, K, T, S]."""
        queries = split_heads(self.query(query), self.heads) / math.sqrt(self.key_size)
        return queries @ keys.transpose(-1, -2)


class CosineScore(_ProjectedKeys):
    """score(s, h) = β · cos(s, W h), with a learned β per head   (Graves et al. 2014, eq. 5 and 6).

    In the paper the controller emits β at every step; here it is a parameter, kept positive by exp.
    """

    def __init__(self, query_size: int, state_size: int, config: AttentionConfig) -> None:
        super().__init__(query_size, state_size, config)
        self.log_strength = nn.Parameter(torch.full((self.heads, 1, 1), math.log(10.0)))

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """[B, T, Q], [B, K, S, D] → scores [B, K, T, S]."""
        queries = F.normalize(split_heads(query, self.heads), dim=-1)
        return self.log_strength.exp() * (queries @ F.normalize(keys, dim=-1).transpose(-1, -2))


class GaussianScore(_ProjectedKeys):
    """score(s, h) = −‖s − W h‖² / (2 w²), with a learned width w per head.

    Its softmax is Nadaraya–Watson regression with a Gaussian kernel (Nadaraya 1964, Watson 1964).
    ‖s‖² is the same for all h, so the softmax does not depend on it and it is omitted.
    """

    def __init__(self, query_size: int, state_size: int, config: AttentionConfig) -> None:
        super().__init__(query_size, state_size, config)
        self.log_width = nn.Parameter(torch.zeros(self.heads, 1, 1))

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """[B, T, Q], [B, K, S, D] → scores [B, K, T, S], up to a constant per row."""
        products = split_heads(query, self.heads) @ keys.transpose(-1, -2)
        lengths = keys.square().sum(dim=-1).unsqueeze(2)  # ‖W h‖², [B, K, 1, S]
        return (products - lengths / 2) * (-2 * self.log_width).exp()


class LocationScore(nn.Module):
    """score(s, h_j) = (W s)_j: depends only on query and position   (Luong et al. 2015, §3.1, eq. 8).

    W has one row for each of the `attention.positions` positions; later positions are never attended to.
    """

    def __init__(self, query_size: int, state_size: int, config: AttentionConfig) -> None:
        super().__init__()
        self.heads, self.positions = config.heads, config.positions
        self.place = nn.Linear(query_size, config.heads * config.positions, bias=False)  # W

    def prepare(self, states: Tensor) -> Tensor:
        """[B, S, M] → empty keys, [B, K, S, 0], which only carry S."""
        return states.new_empty((states.shape[0], self.heads, states.shape[1], 0))

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """[B, T, Q], [B, K, S, 0] → scores [B, K, T, S]."""
        scores = split_heads(self.place(query), self.heads)  # [B, K, T, positions]
        return F.pad(scores, (0, keys.shape[2] - self.positions), value=-math.inf)  # a negative pad truncates


Score = (
    AdditiveScore
    | ConcatScore
    | DotScore
    | GeneralScore
    | ScaledDotScore
    | CosineScore
    | GaussianScore
    | LocationScore
)
SCORES: dict[str, type[Score]] = {
    "additive": AdditiveScore,
    "concat": ConcatScore,
    "dot": DotScore,
    "general": GeneralScore,
    "scaled_dot": ScaledDotScore,
    "cosine": CosineScore,
    "gaussian": GaussianScore,
    "location": LocationScore,
}
