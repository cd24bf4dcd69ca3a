"""Additive attention (Bahdanau et al. 2015)."""

import torch
from torch import Tensor, nn

from nmt.config.model import AttentionConfig
from nmt.model.attention.scores.score import LoopForm, Score, split_heads
from nmt.model.linear import Linear


class AdditiveScore(Score):
    """score(s, h) = vᵀ tanh(W s + U h)   (Bahdanau et al. 2015, appendix A.1.2)."""

    uses = ("model.attention.size",)
    divided = "model.attention.size"

    def __init__(self, query_size: int, state_size: int, config: AttentionConfig) -> None:
        super().__init__(query_size, state_size, config)
        self.heads, self.key_size = config.heads, config.size // config.heads
        self.query = Linear(query_size, config.size, bias=False)  # W
        self.key = Linear(state_size, config.size, bias=False)  # U
        self.energy = nn.Parameter(torch.empty(self.heads, self.key_size).uniform_(-0.1, 0.1))  # v

    def prepare(self, states: Tensor) -> Tensor:
        """[B, S, M] → U h, [B, K, S, D]."""
        return split_heads(self.key(states), self.heads)

    def loop_form(self) -> LoopForm:
        """As in `Score`."""
        return LoopForm(self.query.weight, self.energy[0])

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """[B, T, Q], [B, K, S, D] → scores [B, K, T, S]."""
        queries = split_heads(self.query(query), self.heads)  # [B, K, T, D]
        hidden = (queries.unsqueeze(3) + keys.unsqueeze(2)).tanh()  # [B, K, T, S, D]
        return torch.einsum("bktsd,kd->bkts", hidden, self.energy)
