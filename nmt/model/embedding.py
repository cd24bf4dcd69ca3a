"""Token and position embeddings.

Shapes: B batch, L length, E embedding size.
"""

import math

import torch
from torch import Tensor, nn

from nmt.model.dropout import Dropout


class TokenEmbedding(nn.Module):
    """Token embeddings, with dropout of units and of entire tokens (Iyyer et al. 2015).

    Args:
        vocabulary: number of tokens.
        size: E.
        padding: index of the padding token, whose embedding is zero.
        dropout: probability of dropping a unit.
        word_dropout: probability of dropping a token's entire embedding.
    """

    def __init__(self, vocabulary: int, size: int, padding: int, dropout: float, word_dropout: float) -> None:
        super().__init__()
        self.table = nn.Embedding(vocabulary, size, padding_idx=padding)
        self.dropout = Dropout(dropout)
        self.word_dropout = Dropout(word_dropout)

    def forward(self, tokens: Tensor) -> Tensor:
        """[B, L] or [B] → [B, L, E] or [B, E]."""
        vectors: Tensor = self.table(tokens)
        if self.training and self.word_dropout.p:
            vectors = vectors * self.word_dropout(vectors.new_ones(tokens.shape)).unsqueeze(-1)
        dropped: Tensor = self.dropout(vectors)
        return dropped


def sinusoids(positions: Tensor, size: int, like: Tensor) -> Tensor:
    """Sinusoidal position embeddings (Vaswani et al. 2017, §3.5): positions [L], from 0 → [L, size].

    PE(p, 2i) = sin(p / 10000^(2i/size));  PE(p, 2i + 1) = cos(p / 10000^(2i/size)).

    Args:
        positions: int64 [L].
        size: embedding size, even.
        like: tensor whose dtype is used.
    """
    units = torch.arange(0, size, 2, device=positions.device, dtype=torch.float32)
    rates = torch.exp(units * (-math.log(10000.0) / size))
    angles = positions.unsqueeze(1) * rates  # [L, size / 2]
    return torch.stack((angles.sin(), angles.cos()), dim=-1).flatten(1).to(like.dtype)
