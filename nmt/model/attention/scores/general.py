"""The general score (Luong et al. 2015)."""

import math

from torch import Tensor

from nmt.model.attention.scores.score import LoopForm, ProjectedKeysScore, split_heads
from nmt.model.linear import matmul


class GeneralScore(ProjectedKeysScore):
    """score(s, h) = sᵀ W h   (Luong et al. 2015, §3.1, general).

    The parameter stored is √D · W. It represents the same functions with smaller updates: Adam changes
    every entry by about the learning rate, and in a score that sums over all entries of a matrix these
    changes add up until the softmax saturates on one token, long before attention has learned anything.
    """

    def prepare(self, states: Tensor) -> Tensor:
        """[B, S, M] → W h, [B, K, S, D]."""
        return super().prepare(states) / math.sqrt(self.key_size)

    def loop_form(self) -> LoopForm:
        """As in `Score`."""
        return LoopForm(None, None)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """[B, T, Q], [B, K, S, D] → scores [B, K, T, S]."""
        return matmul(split_heads(query, self.heads), keys.transpose(-1, -2))
