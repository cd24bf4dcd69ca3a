"""The location score (Luong et al. 2015)."""

import math

import torch.nn.functional as F
from torch import Tensor

from nmt.config.model import AttentionConfig, ModelConfig
from nmt.model.attention.scores.score import Score, split_heads
from nmt.model.linear import Linear


class LocationScore(Score):
    """score(s, h_j) = (W s)_j: depends only on query and position   (Luong et al. 2015, §3.1, eq. 8).

    W has one row for each of the `attention.positions` positions; later positions are never attended to.
    """

    uses = ("model.attention.positions",)
    divided = None
    positions: int

    @staticmethod
    def conflicts(model: ModelConfig) -> list[str]:
        """There are no keys, and no scores beyond the last position."""
        found, attention, encoder = [], model.attention, model.encoder
        if attention.coverage:
            found.append(
                "model.attention.coverage=true: model.attention.score=location has no keys to add it to"
            )
        if encoder.type != "recurrent" and encoder.positions > attention.positions:
            found.append(
                f"model.attention.positions={attention.positions}: fewer than "
                f"model.encoder.positions={encoder.positions}; the score would not cover all positions"
            )
        return found

    def __init__(self, query_size: int, state_size: int, config: AttentionConfig) -> None:
        super().__init__(query_size, state_size, config)
        self.heads, self.positions = config.heads, config.positions
        self.position = Linear(query_size, config.heads * config.positions, bias=False)  # W

    def prepare(self, states: Tensor) -> Tensor:
        """[B, S, M] → empty keys, [B, K, S, 0], which only carry S."""
        return states.new_empty((states.shape[0], self.heads, states.shape[1], 0))

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """[B, T, Q], [B, K, S, 0] → scores [B, K, T, S]."""
        scores = split_heads(self.position(query), self.heads)  # [B, K, T, positions]
        return F.pad(scores, (0, keys.shape[2] - self.positions), value=-math.inf)  # a negative pad truncates
