"""The Gaussian kernel (Nadaraya 1964, Watson 1964)."""

import torch
from torch import Tensor, nn

from nmt.config.model import AttentionConfig
from nmt.model.attention.scores.score import ProjectedKeysScore, split_heads
from nmt.model.linear import matmul


class GaussianScore(ProjectedKeysScore):
    """score(s, h) = −‖s − W h‖² / (2 w²), with a learned width w per head.

    Its softmax is Nadaraya–Watson regression with a Gaussian kernel (Nadaraya 1964, Watson 1964).
    ‖s‖² is the same for all h, so the softmax does not depend on it and it is omitted.
    """

    own_initialisation = True

    def __init__(self, query_size: int, state_size: int, config: AttentionConfig) -> None:
        super().__init__(query_size, state_size, config)
        self.log_width = nn.Parameter(torch.zeros(self.heads, 1, 1))

    def forward(self, query: Tensor, keys: Tensor) -> Tensor:
        """[B, T, Q], [B, K, S, D] → scores [B, K, T, S], up to a constant per row."""
        products = matmul(split_heads(query, self.heads), keys.transpose(-1, -2))
        lengths = keys.square().sum(dim=-1).unsqueeze(2)  # ‖W h‖², [B, K, 1, S]
        return (products - lengths / 2) * (-2 * self.log_width).exp()
