"""One step of global attention and its backward pass, written out, for the loops with a hand-written backward
pass.

Shapes: B sentences, n of them at a step, S source length, T steps, D key size.
"""

from typing import Protocol

import torch
from torch import Tensor

from nmt.model.attention.scopes import masked_softmax


class LoopAttention(Protocol):
    """The scores of one score function, and their backward pass, step by step; made for one loop.

    Attributes:
        weights: α, [B, T, S]; 0 before its step.
    """

    weights: Tensor

    def forward(self, t: int, query: Tensor) -> Tensor:
        """Queries [n, D] of step t → weights α [n, S]."""
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


class AdditiveLoopAttention:
    """vᵀ tanh(query + key): the additive and the concat score, with projected queries and keys.

    With s = tanh(q_t + k_j) and e the gradient of the scores: dq_t = v ∘ Σ_j e_tj (1 − s²);
    dk_j = v ∘ Σ_t e_tj (1 − s²);  dv = Σ_tj e_tj s.

    Args:
        keys: [B, S, D].
        mask: True at real tokens, [B, S].
        energy: v, [D].
        steps: T.
    """

    def __init__(self, keys: Tensor, mask: Tensor, energy: Tensor, steps: int) -> None:
        self._keys, self._mask, self._energy = keys, mask, energy
        self._hidden: list[Tensor] = []  # s, and s² after its backward step
        self._energy_gradient = torch.zeros_like(energy)
        self._squares = torch.zeros_like(keys)  # Σ_t e_tj s²
        B, S, _ = keys.shape
        self.weights = keys.new_zeros((B, steps, S))
        self._scores = keys.new_zeros((B, S))  # Σ_t e_tj

    def forward(self, t: int, query: Tensor) -> Tensor:
        """As in `LoopAttention`."""
        n, D = query.shape
        hidden = (self._keys[:n] + query.unsqueeze(1)).tanh_()
        self._hidden.append(hidden)
        scores = torch.mv(hidden.view(-1, D), self._energy).view(n, -1)
        weights = masked_softmax(scores, self._mask[:n])
        self.weights[:n, t] = weights
        return weights

    def backward(self, t: int, weights: Tensor, query: Tensor) -> None:
        """As in `LoopAttention`."""
        n, D = query.shape
        scores = _softmax_backward(weights, self.weights[:n, t])
        hidden = self._hidden.pop()
        self._energy_gradient.addmv_(hidden.view(-1, D).t(), scores.view(-1))
        squares = hidden.mul_(hidden)
        torch.bmm(scores.unsqueeze(1), squares, out=query.unsqueeze(1))
        torch.sub(scores.sum(dim=1, keepdim=True), query, out=query).mul_(self._energy)
        self._squares[:n].addcmul_(squares, scores.unsqueeze(-1))
        self._scores[:n] += scores

    def gradients(self) -> tuple[Tensor, Tensor | None]:
        """As in `LoopAttention`."""
        keys = (self._scores.unsqueeze(-1) - self._squares).mul_(self._energy)
        return keys, self._energy_gradient


class DotLoopAttention:
    """queryᵀ key: the dot, general and scaled dot scores, with projected and scaled queries and keys.

    Arguments as for `AdditiveLoopAttention`.
    """

    def __init__(self, keys: Tensor, mask: Tensor, steps: int) -> None:
        self._keys, self._mask = keys, mask
        B, S, _ = keys.shape
        self.weights = keys.new_zeros((B, steps, S))
        self._scores = torch.zeros_like(self.weights)  # their gradients
        self._queries = keys.new_zeros((B, steps, keys.shape[2]))

    def forward(self, t: int, query: Tensor) -> Tensor:
        """As in `LoopAttention`."""
        n = len(query)
        self._queries[:n, t] = query
        scores = torch.bmm(self._keys[:n], query.unsqueeze(-1)).squeeze(-1)
        weights = masked_softmax(scores, self._mask[:n])
        self.weights[:n, t] = weights
        return weights

    def backward(self, t: int, weights: Tensor, query: Tensor) -> None:
        """As in `LoopAttention`."""
        n = len(query)
        scores = _softmax_backward(weights, self.weights[:n, t])
        self._scores[:n, t] = scores
        torch.bmm(scores.unsqueeze(1), self._keys[:n], out=query.unsqueeze(1))

    def gradients(self) -> tuple[Tensor, Tensor | None]:
        """As in `LoopAttention`."""
        return torch.bmm(self._scores.transpose(1, 2), self._queries), None


def _softmax_backward(gradient: Tensor, weights: Tensor) -> Tensor:
    """Gradient of the scores: α ∘ (g − Σ_j α_j g_j), [n, S]."""
    weighted = gradient * weights
    return weighted.addcmul_(weights, weighted.sum(dim=1, keepdim=True), value=-1)


def loop_attention(keys: Tensor, mask: Tensor, energy: Tensor | None, steps: int) -> LoopAttention:
    """Additive with v, a dot product without it; arguments as for `AdditiveLoopAttention`."""
    if energy is None:
        return DotLoopAttention(keys, mask, steps)
    return AdditiveLoopAttention(keys, mask, energy, steps)
