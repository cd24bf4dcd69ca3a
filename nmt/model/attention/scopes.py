"""Attention scopes: scores → weights over the entire source, a window of it, or a single token.

Weights are 0 on padding and outside the scope, and each row sums to 1.

Shapes: B batch, T target length, S source length, Q query size, K heads.
"""

import math

import torch
from torch import Tensor, nn

from nmt.config.model import AttentionConfig
from nmt.model.linear import Linear

_LONG_ROW = 512  # positions; up to this length softmax is exact to 1e-6


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last dimension; masked positions get exactly 0.

    Args:
        scores: [..., S].
        mask: True at unmasked positions, broadcastable to the shape of the scores; at least one per row.
    """
    return softmax(scores.masked_fill(~mask, float("-inf")))


def softmax(scores: Tensor, out: Tensor | None = None) -> Tensor:
    """Softmax over the last dimension, exact for rows of any length.

    PyTorch's CPU kernel sums a row sequentially, which over 10,000 similar terms loses 2e-5 of the sum (more
    on processors with narrower vector units). So a long row is renormalised by its sum, which `sum` computes
    pairwise.

    Args:
        scores: [..., S].
        out: filled with the result and returned, if given; then there is no gradient.
    """
    weights = scores.softmax(dim=-1) if out is None else torch.softmax(scores, dim=-1, out=out)
    if weights.shape[-1] <= _LONG_ROW:
        return weights
    total = weights.sum(dim=-1, keepdim=True)
    return weights / total if out is None else weights.div_(total)


class GlobalScope(nn.Module):
    """Global attention (Bahdanau et al. 2015, eq. 6; Luong et al. 2015, §3.1): α = softmax(score)."""

    def __init__(self, query_size: int, config: AttentionConfig) -> None:
        super().__init__()

    def forward(self, scores: Tensor, query: Tensor, mask: Tensor, first_step: int) -> Tensor:
        """Weights.

        Args:
            scores: [B, K, T, S].
            query: decoder states, [B, T, Q].
            mask: True at real tokens, [B, S].
            first_step: decoder step of the first query, from 0.

        Returns:
            [B, K, T, S].
        """
        return masked_softmax(scores, mask[:, None, None, :])


class LocalMonotonicScope(nn.Module):
    """A window centred at the current step (Luong et al. 2015, §3.2, local-m): p_t = t.

    α_t(s) = softmax(score) over the s with |s − p_t| ≤ D. For steps beyond the end of the source the
    window is centred at the last token.
    """

    def __init__(self, query_size: int, config: AttentionConfig) -> None:
        super().__init__()
        self.window = config.window

    def forward(self, scores: Tensor, query: Tensor, mask: Tensor, first_step: int) -> Tensor:
        """Weights; arguments and result as for `GlobalScope.forward`."""
        last = mask.sum(dim=1, keepdim=True) - 1  # [B, 1]
        steps = torch.arange(scores.shape[2], device=mask.device) + first_step
        centre = torch.minimum(steps, last)  # [B, T]
        near = (_distance(centre, scores.shape[3]).abs() <= self.window) & mask[:, None, None, :]
        return masked_softmax(scores, near)


class LocalPredictiveScope(nn.Module):
    """A window centred at a predicted position (Luong et al. 2015, §3.2, local-p, eq. 9 and 10).

    p_t = (S − 1) · σ(vᵀ tanh(W s_t)), with positions counted from 0;
    α_t(s) ∝ exp(score) · exp(−(s − p_t)² / 2σ²) for |s − p_t| ≤ D, with σ = D / 2.

    The paper multiplies the softmax over the window by the Gaussian, so that the sum falls below 1; here
    each row is renormalised to sum to 1, as with the other scopes. The parameters stored are √Q · W and
    √Q · v, for the reason given in `GeneralScore`: otherwise the sigmoid saturates within a few updates.
    """

    def __init__(self, query_size: int, config: AttentionConfig) -> None:
        super().__init__()
        self.window = config.window
        self.scale = 1 / math.sqrt(query_size)
        self.hidden = Linear(query_size, query_size, bias=False)  # W
        self.centre = Linear(query_size, 1, bias=False)  # v

    def forward(self, scores: Tensor, query: Tensor, mask: Tensor, first_step: int) -> Tensor:
        """Weights; arguments and result as for `GlobalScope.forward`."""
        last = mask.sum(dim=1, keepdim=True) - 1  # [B, 1]
        with torch.autocast(query.device.type, enabled=False):  # bf16 integers are exact only up to 256
            exact = query.to(torch.promote_types(query.dtype, torch.float32))
            hidden = (self.hidden(exact) * self.scale).tanh()  # [B, T, Q]
            centre = last * (self.centre(hidden) * self.scale).squeeze(-1).sigmoid()  # [B, T]
        distance = _distance(centre, scores.shape[3])
        near = (distance.abs() <= self.window) & mask[:, None, None, :]
        return masked_softmax(scores - distance.square() / (2 * (self.window / 2) ** 2), near)


class HardScope(nn.Module):
    """Hard attention to the best-scoring source token (Xu et al. 2015, §4.1): α = one-hot(argmax score).

    In training the gradient is that of the soft weights (straight-through: Bengio, Léonard and Courville
    2013); the paper samples and uses REINFORCE.
    """

    def __init__(self, query_size: int, config: AttentionConfig) -> None:
        super().__init__()

    def forward(self, scores: Tensor, query: Tensor, mask: Tensor, first_step: int) -> Tensor:
        """Weights; arguments and result as for `GlobalScope.forward`."""
        soft = masked_softmax(scores, mask[:, None, None, :])
        hard = torch.zeros_like(soft).scatter_(-1, soft.argmax(dim=-1, keepdim=True), 1.0)
        return soft + (hard - soft).detach() if self.training else hard


def _distance(centre: Tensor, source_length: int) -> Tensor:
    """Positions minus centres [B, T] → [B, 1, T, S]."""
    return torch.arange(source_length, device=centre.device) - centre[:, None, :, None]


Scope = GlobalScope | LocalMonotonicScope | LocalPredictiveScope | HardScope
SCOPES: dict[str, type[Scope]] = {
    "global": GlobalScope,
    "local_m": LocalMonotonicScope,
    "local_p": LocalPredictiveScope,
    "hard": HardScope,
}
