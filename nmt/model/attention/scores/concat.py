"""The concat score (Luong et al. 2015)."""

import torch
from torch import Tensor, nn

from nmt.config.model import AttentionConfig
from nmt.model.attention.scores.score import LoopForm, Score, split_heads
from nmt.model.linear import Linear, linear


class ConcatScore(Score):
    """score(s, h) = vᵀ tanh(W [s ; h])   (Luong et al. 2015, §3.1, concat).

    W [s ; h] = W_s s + W_h h, so this is the additive score with its two matrices concatenated; kept here
    in the paper's form.
    """

    uses = ("model.attention.size",)
    divided = "model.attention.size"

    def __init__(self, query_size: int, state_size: int, config: AttentionConfig) -> None:
        super().__init__(query_size, state_size, config)
        self.heads, self.key_size, self.query_size = config.heads, config.size // config.heads, query_size
        self.both = Linear(query_size + state_size, config.size, bias=False)  # W
        self.energy = nn.Parameter(torch.empty(self.heads, self.key_size).uniform_(-0.1, 0.1))  # v

    def prepare(self, states: Tensor) -> Tensor:
        """[B, S, M] → W_h h, [B, K, S, D]."""
        return split_heads(linear(states, self.both.weight[:, self.query_size :]), self.heads)

    def loop_form(self) -> LoopForm:
        """As in `Score`."""
        return LoopForm(self.both.weight[:, : self.query_size], self.energy[0])

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """[B, T, Q], [B, K, S, D] → scores [B, K, T, S]."""
        queries = split_heads(linear(query, self.both.weight[:, : self.query_size]), self.heads)
        hidden = (queries.unsqueeze(3) + keys.unsqueeze(2)).tanh()  # [B, K, T, S, D]
        return torch.einsum("bktsd,kd->bkts", hidden, self.energy)
