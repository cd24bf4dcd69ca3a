"""Attention: a score (how well do they match), a span (which may count), and the average that follows.

    α_tj = span_j(score(s_t, h_j));   c_t = Σ_j α_tj h_j

Nothing is kept on the modules between calls.

Shapes: B batch, T target length, S source length, Q query size, M state size, K heads, D units of a
key in one head. Masks are True at real tokens.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nmt.config.model import AttentionConfig
from nmt.model.scores import SCORES, LocationScore, Score, merge_heads, split_heads
from nmt.model.spans import SPANS, Span


class Keys(NamedTuple):
    """What attention prepares once per sentence.

    Attributes:
        states: what is averaged, [B, S, M]: the encoder's states; with several heads W^V of them.
        keys: what queries are matched with, [B, K, S, D].
        mask: True at real tokens, [B, S]; with the location score, at those that have one.
    """

    states: Tensor
    keys: Tensor
    mask: Tensor

    def select(self, index: Tensor) -> "Keys":
        """The rows `index` of the batch, in that order; rows may repeat."""
        return Keys(*(part.index_select(0, index) for part in self))


class Attention(nn.Module):
    """Any score with any span, with one head or several, with coverage or without.

    Several heads (Vaswani et al. 2017, §3.2.2) each score on their own slice of the query and the keys
    and average their own slice of W^V h; the contexts stand side by side. W^O is whatever map the
    decoder applies to a context.

    Coverage (Tu et al. 2016, §3, linguistic, without fertility): the attention that a source token
    has received so far, C_tj = Σ_{i<t} α_ij, enters the score through its key: key_j + C_tj · w.
    """

    def __init__(self, query_size: int, state_size: int, config: AttentionConfig) -> None:
        super().__init__()
        self.query_size, self.heads = query_size, config.heads
        self.score: Score = SCORES[config.score](query_size, state_size, config)
        self.span: Span = SPANS[config.span](query_size, config)
        self.value = nn.Linear(state_size, state_size, bias=False) if config.heads > 1 else None  # W^V
        self.coverage: nn.Parameter | None = None  # w
        if config.coverage:
            assert not isinstance(self.score, LocationScore), "checked with the configuration"
            self.coverage = nn.Parameter(torch.zeros(config.heads, 1, self.score.key_size))

    def prepare(self, states: Tensor, mask: Tensor) -> Keys:
        """Project the keys, once per sentence.

        Args:
            states: encoder states, [B, S, M].
            mask: True at real tokens, [B, S].
        """
        assert states.shape[:2] == mask.shape, (states.shape, mask.shape)
        if isinstance(self.score, LocationScore):  # else a window could hold no place that has a score
            mask = mask & (torch.arange(mask.shape[1], device=mask.device) < self.score.positions)
        values = states if self.value is None else self.value(states)
        return Keys(values, self.score.prepare(states), mask)

    def no_coverage(self, keys: Keys) -> Tensor | None:
        """Coverage before the first step: zeros [B, K, S], or None where it is not used."""
        if self.coverage is None:
            return None
        return keys.states.new_zeros((keys.mask.shape[0], self.heads, keys.mask.shape[1]))

    def weights(self, query: Tensor, keys: Keys, first: int = 0, coverage: Tensor | None = None) -> Tensor:
        """Weights over the source: 0 on padding, each row sums to 1.

        Args:
            query: decoder states, [B, T, Q].
            keys: what `prepare` gave.
            first: which step of the decoder the first query belongs to, from 0.
            coverage: what each token has received before, [B, K, S]; if used, T is 1.

        Returns:
            [B, K, T, S].
        """
        assert query.shape[::2] == (keys.mask.shape[0], self.query_size), query.shape
        matched = keys.keys
        if self.coverage is not None:
            assert coverage is not None
            assert query.shape[1] == 1, "what is covered changes with every step"
            matched = matched + coverage.unsqueeze(-1) * self.coverage
        weights: Tensor = self.span(self.score(query, matched), query, keys.mask, first)
        return weights

    def forward(self, query: Tensor, keys: Keys, first: int = 0) -> tuple[Tensor, Tensor]:
        """Attend; arguments as `weights`.

        Returns:
            contexts [B, T, M] and weights [B, K, T, S].
        """
        weights = self.weights(query, keys, first, self.no_coverage(keys))
        return average(weights, keys.states), weights


def average(weights: Tensor, states: Tensor) -> Tensor:
    """Contexts: each head averages its slice. [B, K, T, S], [B, S, M] → [B, T, M]."""
    return merge_heads(weights @ split_heads(states, weights.shape[1]))


def mapped_values(states: Tensor, matrix: Tensor, heads: int) -> Tensor:
    """Values whose average is P c, with P taken out of the time loop.

    P c_t = Σ_k P_k c_tk = Σ_k Σ_j α_tkj P_k h_jk, with P_k the columns of P for head k's slice: an
    average over K·S places.

    Args:
        states: [B, S, M].
        matrix: P, [X, M].
        heads: K.

    Returns:
        [B, K·S, X], for `average_mapped`.
    """
    slices = matrix.view(len(matrix), heads, -1)  # [X, K, M / K]
    return torch.einsum("bksm,xkm->bksx", split_heads(states, heads), slices).flatten(1, 2)


def average_mapped(weights: Tensor, values: Tensor) -> Tensor:
    """[B, K, T, S], [B, K·S, X] of `mapped_values` → P c, [B, T, X]."""
    return torch.bmm(weights.transpose(1, 2).flatten(2), values)
