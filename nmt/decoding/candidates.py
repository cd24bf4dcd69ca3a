"""The best next tokens of each hypothesis.

Shapes: N rows (one per hypothesis), V vocabulary, C candidates per row, b sentences, K hypotheses per
sentence.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from nmt.model.inference.layout import Layout

_GROUPS = 16
_LONG_ROW = 512  # tokens; shorter rows are not worth the two stages


class Candidates(NamedTuple):
    """The C best next tokens of each hypothesis, in the order of the tokens.

    Attributes:
        values: float32 [N, C], log-probabilities.
        tokens: int64 [N, C].
    """

    values: Tensor
    tokens: Tensor

    def padded(self, layout: Layout) -> "Candidates":
        """[N, C] → [b, K, C]; minus infinity in slots without a row."""
        return Candidates(layout.pad(self.values, -math.inf), layout.pad(self.tokens))


def allowed(predicted: Tensor, banned: Tensor) -> Tensor:
    """Log-probabilities [N, V] with those of the banned tokens changed to minus infinity, in place; and with
    as many more columns of minus infinity as `best` wants.
    """
    more = -predicted.shape[1] % _GROUPS if predicted.shape[1] >= _LONG_ROW else 0
    padded = F.pad(predicted, (0, more), value=-math.inf) if more else predicted
    return padded.index_fill_(1, banned, -math.inf)


def best(scores: Tensor, count: int) -> tuple[Candidates, Tensor]:
    """The `count` highest scores of each row, unless several are equal at the cut-off, where `topk` does not
    specify which it returns.

    Args:
        scores: [N, V].
        count: C, at most V.

    Returns:
        the candidates, and bool [2]: whether a score is NaN; whether scores tie at a cut-off.
    """
    values, tokens = _top(scores, min(count + 1, scores.shape[1]))
    last = values[:, count - 1 : count]
    ties = (last == values[:, count:]) & (last > -math.inf)  # empty if count is V
    flags = torch.stack((values[:, 0].isnan().any(), ties.any()))  # topk puts NaN first
    tokens = tokens[:, :count].sort(dim=1).values
    return Candidates(scores.gather(1, tokens), tokens), flags


def first_best(scores: Tensor, count: int) -> Candidates:
    """As `best`, for any scores: of equal ones the lower token."""
    last = scores.topk(count, dim=1).values[:, -1:]
    above, equal = scores > last, scores == last
    taken = above | (equal & (equal.cumsum(dim=1) <= count - above.sum(dim=1, keepdim=True)))
    tokens = taken.nonzero()[:, 1].view(len(scores), count)
    return Candidates(scores.gather(1, tokens), tokens)


def _top(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """`topk`, best first. A long row is cut into groups of equal length, one above the other: the highest
    scores are in the `count` columns with the highest maxima. `amax` passes NaN on.
    """
    N, V = scores.shape
    if V < _LONG_ROW or V % _GROUPS or scores.device.type != "cpu":
        return scores.topk(count, dim=1)
    grouped = scores.view(N, _GROUPS, V // _GROUPS)
    columns = grouped.amax(dim=1).topk(count, dim=1).indices  # [N, count]
    tokens = columns.unsqueeze(1) + torch.arange(0, V, V // _GROUPS).unsqueeze(1)  # [N, groups, count]
    tokens = tokens.flatten(1)
    values, order = scores.gather(1, tokens).topk(count, dim=1)
    return values, tokens.gather(1, order)
