"""Attention: a score, normalised over an attention scope, and the weighted average of the states.

    α_tj = scope_j(score(s_t, h_j));   c_t = Σ_j α_tj h_j

The modules hold no state between calls.

Shapes: B batch, T target length, S source length, Q query size, M state size, K heads, D key size per
head. Masks are True at real tokens.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nmt.config.model import AttentionConfig
from nmt.model.attention.scopes import SCOPES, GlobalScope, Scope
from nmt.model.attention.scores.score import LoopForm, build_score, merge_heads, split_heads
from nmt.model.linear import Linear, linear, matmul


class Keys(NamedTuple):
    """Attention inputs, computed once per sentence.

    Attributes:
        states: the values, [B, S, M]: the encoder states, projected by W^V if there are several heads.
        keys: [B, K, S, D].
        mask: True at real tokens, [B, S]; only at positions for which the score is defined.
    """

    states: Tensor
    keys: Tensor
    mask: Tensor

    def select(self, index: Tensor) -> "Keys":
        """Select batch rows by index; rows may repeat."""
        return Keys(*(part.index_select(0, index) for part in self))


class Attention(nn.Module):
    """Any score with any attention scope, single- or multi-head, with optional coverage.

    With several heads (Vaswani et al. 2017, §3.2.2), each scores its own slice of the query and the keys
    and averages its own slice of W^V h; the contexts are concatenated. The linear map that the decoder
    applies to the context acts as W^O.

    Coverage (Tu et al. 2016, §3, linguistic, without fertility): the attention that a source token
    has received so far, C_tj = Σ_{i<t} α_ij, enters the score through its key: key_j + C_tj · w.
    """

    def __init__(self, query_size: int, state_size: int, config: AttentionConfig) -> None:
        super().__init__()
        self.query_size, self.heads = query_size, config.heads
        self.score = build_score(query_size, state_size, config)
        self.scope: Scope = SCOPES[config.scope](query_size, config)
        self.value = Linear(state_size, state_size, bias=False) if config.heads > 1 else None  # W^V
        self.coverage: nn.Parameter | None = None  # w
        if config.coverage:
            self.coverage = nn.Parameter(torch.zeros(config.heads, 1, self.score.key_size))

    def prepare(self, states: Tensor, mask: Tensor) -> Keys:
        """Compute keys and values, once per sentence.

        Args:
            states: encoder states, [B, S, M].
            mask: True at real tokens, [B, S].
        """
        assert states.shape[:2] == mask.shape, (states.shape, mask.shape)
        if self.score.positions is not None:  # else a window might have no position with a score
            mask = mask & (torch.arange(mask.shape[1], device=mask.device) < self.score.positions)
        values = states if self.value is None else self.value(states)
        return Keys(values, self.score.prepare(states), mask)

    def loop_form(self) -> LoopForm | None:
        """The score for a hand-written loop with global attention, one head and no coverage; None: it has no
        such form, or the settings are others.
        """
        plain = isinstance(self.scope, GlobalScope) and self.heads == 1 and self.coverage is None
        return self.score.loop_form() if plain else None

    def no_coverage(self, keys: Keys) -> Tensor | None:
        """Coverage before the first step: zeros [B, K, S], or None if unused."""
        if self.coverage is None:
            return None
        return keys.states.new_zeros((keys.mask.shape[0], self.heads, keys.mask.shape[1]))

    def weights(
        self, query: Tensor, keys: Keys, first_step: int = 0, coverage: Tensor | None = None
    ) -> Tensor:
        """Attention weights over the source: 0 on padding, each row sums to 1.

        Args:
            query: decoder states, [B, T, Q].
            keys: from `prepare`.
            first_step: decoder step of the first query, from 0.
            coverage: attention each token has received so far, [B, K, S]; if used, T must be 1.

        Returns:
            [B, K, T, S].
        """
        assert query.shape[::2] == (keys.mask.shape[0], self.query_size), query.shape
        matched = keys.keys
        if self.coverage is not None:
            assert coverage is not None
            assert query.shape[1] == 1, "coverage changes at every step"
            matched = matched + coverage.unsqueeze(-1) * self.coverage
        weights: Tensor = self.scope(self.score(query, matched), query, keys.mask, first_step)
        return weights


def average(weights: Tensor, states: Tensor) -> Tensor:
    """Contexts: each head's weighted average of its slice. [B, K, T, S], [B, S, M] → [B, T, M]."""
    return merge_heads(matmul(weights, split_heads(states, weights.shape[1])))


def mapped_values(states: Tensor, matrix: Tensor, heads: int) -> Tensor:
    """Values whose weighted average is P c, so that P is applied outside the time loop.

    P c_t = Σ_k P_k c_tk = Σ_k Σ_j α_tkj P_k h_jk, with P_k the columns of P for head k's slice: a
    weighted average over K·S vectors.

    Args:
        states: [B, S, M].
        matrix: P, [X, M].
        heads: K.

    Returns:
        [B, K·S, X], for `average_mapped`.
    """
    if heads == 1:
        return linear(states, matrix)
    slices = matrix.view(len(matrix), heads, -1)  # [X, K, M / K]
    return torch.einsum("bksm,xkm->bksx", split_heads(states, heads), slices).flatten(1, 2)


def average_mapped(weights: Tensor, values: Tensor) -> Tensor:
    """Weights [B, K, T, S] and [B, K·S, X] from `mapped_values` → P c, [B, T, X]."""
    return matmul(weights.transpose(1, 2).flatten(2), values)
