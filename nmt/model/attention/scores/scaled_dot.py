"""The scaled dot product (Vaswani et al. 2017)."""

import math

from torch import Tensor

from nmt.config.model import AttentionConfig
from nmt.model.attention.scores.score import LoopForm, ProjectedKeysScore, split_heads
from nmt.model.linear import Linear, matmul


class ScaledDotScore(ProjectedKeysScore):
    """score(s, h) = (V s)ᵀ (W h) / √D   (Vaswani et al. 2017, eq. 1)."""

    def __init__(self, query_size: int, state_size: int, config: AttentionConfig) -> None:
        super().__init__(query_size, state_size, config)
        self.query = Linear(query_size, query_size, bias=False)  # V

    def loop_form(self) -> LoopForm:
        """As in `Score`."""
        return LoopForm(self.query.weight / math.sqrt(self.key_size), None)

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """[B, T, Q], [B, K, S, D] → scores [B, K, T, S]."""
        queries = split_heads(self.query(query), self.heads) / math.sqrt(self.key_size)
        return matmul(queries, keys.transpose(-1, -2))
