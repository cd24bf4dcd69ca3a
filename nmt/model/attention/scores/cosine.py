"""The cosine score (Graves et al. 2014)."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.config.model import AttentionConfig
from nmt.model.attention.scores.score import ProjectedKeysScore, split_heads
from nmt.model.linear import matmul


class CosineScore(ProjectedKeysScore):
    """score(s, h) = β · cos(s, W h), with a learned β per head   (Graves et al. 2014, eq. 5 and 6).

    In the paper the controller emits β at every step; here it is a parameter, kept positive by exp.
    """

    own_initialisation = True

    def __init__(self, query_size: int, state_size: int, config: AttentionConfig) -> None:
        super().__init__(query_size, state_size, config)
        self.log_strength = nn.Parameter(torch.full((self.heads, 1, 1), math.log(10.0)))

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """[B, T, Q], [B, K, S, D] → scores [B, K, T, S]."""
        queries = F.normalize(split_heads(query, self.heads), dim=-1)
        return self.log_strength.exp() * matmul(queries, F.normalize(keys, dim=-1).transpose(-1, -2))
