"""Spans: from scores to weights, over the whole source, a window of it, or one token.

Weights are 0 on padding and outside the span, and each row sums to 1.

Shapes: B batch, T target length, S source length, Q query size, K heads.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.config import AttentionConfig

_LONG_ROW = 512  # places; over fewer a softmax is exact to 1e-6


def masked_softmax(scores: Tensor, mask: Tensor) -> Tensor:
    """Softmax over the last axis, where masked-out positions get exactly 0.

    PyTorch's CPU kernel adds up a row term by term, which over 10,000 like terms loses 2e-5 of the sum (the
    more, the narrower the processor's vectors are). So a long row is divided by its sum once more, which
    `sum` computes pairwise.

    Args:
        scores: [..., S].
        mask: True at positions that count, of a shape that expands to the scores'; one in each row at least.
    """
    weights = scores.masked_fill(~mask, float("-inf")).softmax(dim=-1)
    return weights / weights.sum(dim=-1, keepdim=True) if weights.shape[-1] > _LONG_ROW else weights


class GlobalSpan(nn.Module):
    """All source tokens (Bahdanau et al. 2015, eq. 6; Luong et al. 2015, §3.1): α = softmax(score)."""

    def __init__(self, query_size: int, config: AttentionConfig) -> None:
        super().__init__()

    def forward(self, scores: Tensor, query: Tensor, mask: Tensor, first: int) -> Tensor:
        """Weights.

        Args:
            scores: [B, K, T, S].
            query: decoder states, [B, T, Q].
            mask: True at real tokens, [B, S].
            first: which step of the decoder the first query belongs to, from 0.

        Returns:
            [B, K, T, S].
        """
        return masked_softmax(scores, mask[:, None, None, :])


class LocalMonotonicSpan(nn.Module):
    """A window around the step's own number (Luong et al. 2015, §3.2, local-m): p_t = t.

    α_t(s) = softmax(score) over the s with |s − p_t| ≤ D. A step beyond the end of the source looks
    around the last token.
    """

    def __init__(self, query_size: int, config: AttentionConfig) -> None:
        super().__init__()
        self.window = config.window

    def forward(self, scores: Tensor, query: Tensor, mask: Tensor, first: int) -> Tensor:
        """Weights; arguments and result as `GlobalSpan.forward`."""
        last = mask.sum(dim=1, keepdim=True) - 1  # [B, 1]
        steps = torch.arange(first, first + scores.shape[2], device=mask.device)
        centre = torch.minimum(steps, last)  # [B, T]
        near = (_distance(centre, scores.shape[3]).abs() <= self.window) & mask[:, None, None, :]
        return masked_softmax(scores, near)


class LocalPredictiveSpan(nn.Module):
    """A window around a position predicted from the query (Luong et al. 2015, §3.2, local-p, eq. 9 and 10).

    p_t = (S − 1) · σ(vᵀ tanh(W s_t)), with positions counted from 0;
    α_t(s) ∝ exp(score) · exp(−(s − p_t)² / 2σ²) for |s − p_t| ≤ D, with σ = D / 2.

    The paper multiplies the softmax of the window by the Gaussian and lets the sum fall below 1; here
    each row is brought back to sum 1, as all others are. W and v are kept as √Q · W and √Q · v, for the
    reason given at `GeneralScore`: else the sigmoid is at 0 or 1 after a few updates and stays there.
    """

    def __init__(self, query_size: int, config: AttentionConfig) -> None:
        super().__init__()
        self.window = config.window
        self.scale = 1 / math.sqrt(query_size)
        self.hidden = nn.Linear(query_size, query_size, bias=False)  # W
        self.centre = nn.Linear(query_size, 1, bias=False)  # v

    def forward(self, scores: Tensor, query: Tensor, mask: Tensor, first: int) -> Tensor:
        """Weights; arguments and result as `GlobalSpan.forward`."""
        last = mask.sum(dim=1, keepdim=True) - 1  # [B, 1]
        with torch.autocast(query.device.type, enabled=False):  # half precision cannot tell places beyond 256
            exact = query.to(torch.promote_types(query.dtype, torch.float32))
            hidden = (self.hidden(exact) * self.scale).tanh()  # [B, T, Q]
            centre = last * (self.centre(hidden) * self.scale).squeeze(-1).sigmoid()  # [B, T]
        distance = _distance(centre, scores.shape[3])
        near = (distance.abs() <= self.window) & mask[:, None, None, :]
        return masked_softmax(scores - distance.square() / (2 * (self.window / 2) ** 2), near)


class HardSpan(nn.Module):
    """One source token (Xu et al. 2015, §4.1): the best, α = one-hot(argmax score).

    In training its gradient is that of the soft weights (straight-through: Bengio, Léonard and Courville
    2013), where the paper samples and uses REINFORCE.
    """

    def __init__(self, query_size: int, config: AttentionConfig) -> None:
        super().__init__()

    def forward(self, scores: Tensor, query: Tensor, mask: Tensor, first: int) -> Tensor:
        """Weights; arguments and result as `GlobalSpan.forward`."""
        soft = masked_softmax(scores, mask[:, None, None, :])
        hard = F.one_hot(soft.argmax(dim=-1), soft.shape[-1]).to(soft.dtype)
        return soft + (hard - soft).detach() if self.training else hard


def _distance(centre: Tensor, source_length: int) -> Tensor:
    """Positions less centres [B, T] → [B, 1, T, S]."""
    return torch.arange(source_length, device=centre.device) - centre[:, None, :, None]


Span = GlobalSpan | LocalMonotonicSpan | LocalPredictiveSpan | HardSpan
SPANS: dict[str, type[Span]] = {
    "global": GlobalSpan,
    "local_m": LocalMonotonicSpan,
    "local_p": LocalPredictiveSpan,
    "hard": HardSpan,
}
