"""One step of global attention and its backward pass, written out, for the loops with a hand-written backward
pass.

Shapes: B sentences, n of them at a step, S source length, T steps, D key size.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor

from nmt.model.attention.scopes import softmax


class LoopAttention(Protocol):
    """The attention of one loop: the scores of one score function, and their backward pass, step by step.

    Attributes:
        weights: α, [B, T, S]; 0 where a row is not active.
    """

    @property
    def weights(self) -> Tensor: ...  # noqa: D102

    def forward(self, t: int, query: Tensor) -> Tensor:
        """Queries [n, D] of step t → weights α [n, S]."""
        ...

    def start_backward(self) -> None:
        """Before the backward pass."""
        ...

    def backward(self, t: int, weights: Tensor, query: Tensor) -> None:
        """The backward pass of step t, the steps in reverse order.

        Args:
            t: the step.
            weights: gradient of α, [n, S].
            query: filled with the gradient of the queries, [n, D].
        """
        ...

    def gradients(self) -> tuple[Tensor, Tensor | None]:
        """After the last backward step: gradients of the keys [B, S, D] and of v [D], if there is one."""
        ...


class _Loop:
    """What both scores need.

    Args:
        keys: [B, S, D].
        mask: True at real tokens, [B, S].
        active: n of each step.
    """

    def __init__(self, keys: Tensor, mask: Tensor, active: Sequence[int]) -> None:
        B, S, _ = keys.shape
        self._keys = [keys if n == B else keys[:n] for n in active]
        penalty = keys.new_zeros((B, S)).masked_fill_(~mask, float("-inf"))
        self._penalty = [penalty if n == B else penalty[:n] for n in active]
        self._weights = keys.new_zeros((len(active), B, S))
        self._step = [part[:n] for part, n in zip(self._weights, active, strict=True)]  # α, [n, S]

    @property
    def weights(self) -> Tensor:
        """α, [B, T, S]"""
        return self._weights.transpose(0, 1)


class AdditiveLoopAttention(_Loop):
    """vᵀ tanh(query + key): the additive and the concat score, with projected queries and keys.

    With s = tanh(q_t + k_j) and e the gradient of the scores: dq_t = v ∘ Σ_j e_tj (1 − s²);
    dk_j = v ∘ Σ_t e_tj (1 − s²);  dv = Σ_tj e_tj s.

    Args:
        keys, mask, active: as for `_Loop`.
        energy: v, [D].
    """

    def __init__(self, keys: Tensor, mask: Tensor, active: Sequence[int], energy: Tensor) -> None:
        super().__init__(keys, mask, active)
        self._energy = energy
        self._hidden: list[Tensor] = []  # s

    def forward(self, t: int, query: Tensor) -> Tensor:
        """As in `LoopAttention`."""
        keys, penalty = self._keys[t], self._penalty[t]
        hidden = (keys + query.unsqueeze(1)).tanh_()
        self._hidden.append(hidden)
        scores = torch.addmv(penalty.view(-1), hidden.view(-1, keys.shape[2]), self._energy)
        return softmax(scores.view_as(penalty), out=self._step[t])

    def start_backward(self) -> None:
        """As in `LoopAttention`."""
        keys = self._keys[0]
        self._energy_gradient = torch.zeros_like(self._energy)
        self._squares = torch.zeros_like(keys)  # Σ_t e_tj s²
        self._scores = keys.new_zeros(keys.shape[:2])  # Σ_t e_tj

    def backward(self, t: int, weights: Tensor, query: Tensor) -> None:
        """As in `LoopAttention`."""
        n, D = query.shape
        scores = _softmax_backward(weights, self._step[t])
        hidden = self._hidden[t]
        self._energy_gradient.addmv_(hidden.view(-1, D).t(), scores.view(-1))
        squares = hidden * hidden
        torch.bmm(scores.unsqueeze(1), squares, out=query.unsqueeze(1))
        torch.sub(scores.sum(dim=1, keepdim=True), query, out=query).mul_(self._energy)
        self._squares[:n].addcmul_(squares, scores.unsqueeze(-1))
        self._scores[:n] += scores

    def gradients(self) -> tuple[Tensor, Tensor | None]:
        """As in `LoopAttention`."""
        keys = (self._scores.unsqueeze(-1) - self._squares).mul_(self._energy)
        return keys, self._energy_gradient


class DotLoopAttention(_Loop):
    """queryᵀ key: the dot, general and scaled dot scores, with projected and scaled queries and keys."""

    def __init__(self, keys: Tensor, mask: Tensor, active: Sequence[int]) -> None:
        super().__init__(keys, mask, active)
        self._queries = keys.new_zeros((len(active), len(keys), keys.shape[2]))

    def forward(self, t: int, query: Tensor) -> Tensor:
        """As in `LoopAttention`."""
        self._queries[t, : len(query)] = query
        scores = torch.bmm(self._keys[t], query.unsqueeze(-1)).squeeze(-1)
        return softmax(scores.add_(self._penalty[t]), out=self._step[t])

    def start_backward(self) -> None:
        """As in `LoopAttention`."""
        self._scores = torch.zeros_like(self._weights)  # their gradients

    def backward(self, t: int, weights: Tensor, query: Tensor) -> None:
        """As in `LoopAttention`."""
        scores = _softmax_backward(weights, self._step[t])
        self._scores[t, : len(query)] = scores
        torch.bmm(scores.unsqueeze(1), self._keys[t], out=query.unsqueeze(1))

    def gradients(self) -> tuple[Tensor, Tensor | None]:
        """As in `LoopAttention`."""
        return torch.bmm(self._scores.permute(1, 2, 0), self._queries.transpose(0, 1)), None


def loop_attention(keys: Tensor, mask: Tensor, active: Sequence[int], energy: Tensor | None) -> LoopAttention:
    """Additive with v, a dot product without it; arguments as for `AdditiveLoopAttention`."""
    if energy is None:
        return DotLoopAttention(keys, mask, active)
    return AdditiveLoopAttention(keys, mask, active, energy)


def _softmax_backward(gradient: Tensor, weights: Tensor) -> Tensor:
    """Gradient of the scores: α ∘ (g − Σ_j α_j g_j), [n, S]."""
    weighted = gradient * weights
    return weighted.addcmul_(weights, weighted.sum(dim=1, keepdim=True), value=-1)
