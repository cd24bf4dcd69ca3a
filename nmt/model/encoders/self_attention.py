"""The Transformer's encoder (Vaswani et al. 2017), which works with any decoder.

Layer normalisation is applied before each sublayer instead of after it (Xiong et al. 2020, "pre-LN"),
which trains without a long warm-up.

Shapes: B batch, S source length, E embedding size, M state size.
"""

import math

import torch
from torch import Tensor, nn

from nmt.config.model import ModelConfig
from nmt.model.dropout import Dropout
from nmt.model.embedding import sinusoids
from nmt.model.encoders.encoded import Encoded, state_at_end
from nmt.model.linear import Linear
from nmt.model.multi_head import FeedForward, MultiHeadAttention


class EncoderLayer(nn.Module):
    """x ← x + SelfAttention(LN(x));  x ← x + FeedForward(LN(x))."""

    def __init__(self, size: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.attention, self.attention_norm = MultiHeadAttention(size, size, heads), nn.LayerNorm(size)
        self.feedforward, self.feedforward_norm = FeedForward(size, feedforward, dropout), nn.LayerNorm(size)
        self.dropout = Dropout(dropout)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """[B, S, M] and [B, 1, 1, S] → [B, S, M]."""
        normal = self.attention_norm(states)
        states = states + self.dropout(self.attention(normal, *self.attention.prepare(normal), mask))
        states = states + self.dropout(self.feedforward(self.feedforward_norm(states)))
        return states


class SelfAttentionEncoder(nn.Module):
    """Self-attention over embeddings with sinusoidal positions (Vaswani et al. 2017, §3.1 and §3.5).

    Embeddings of size E are multiplied by √E (§3.4), otherwise the position embeddings would dominate.
    Tokens beyond `encoder.positions` share the last position embedding.
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__()
        encoder = config.encoder
        self.positions = encoder.positions
        self.input_projection = Linear(encoder.embedding, encoder.size)
        self.layers = nn.ModuleList(
            EncoderLayer(encoder.size, encoder.heads, encoder.feedforward, dropout)
            for _ in range(encoder.layers)
        )
        self.norm = nn.LayerNorm(encoder.size)

    def forward(self, embedded: Tensor, mask: Tensor, lengths: Tensor | None = None) -> Encoded:
        """Encode; arguments as for `RecurrentEncoder.forward`; the lengths are not needed."""
        states = self.input_projection(embedded * math.sqrt(embedded.shape[-1]))
        positions = torch.arange(mask.shape[1], device=mask.device).clamp(max=self.positions - 1)
        states = states + sinusoids(positions, states.shape[-1], like=states)
        for layer in self.layers:
            states = layer(states, mask[:, None, None, :])
        states = self.norm(states) * mask.unsqueeze(-1)
        return Encoded(states, mask, state_at_end(states, mask))
