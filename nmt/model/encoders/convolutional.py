"""The convolutional encoder.

Shapes: B batch, S source length, E embedding size, M state size.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.config.model import ModelConfig
from nmt.model.dropout import Dropout
from nmt.model.encoders.encoded import Encoded, state_at_end
from nmt.model.linear import Linear


class ConvolutionalEncoder(nn.Module):
    """Stacked convolutions with gated linear units over token and position embeddings (Gehring et al.
    2017, §3.1, §3.2 and §3.4).

    x_j = e_j + p_j;   each layer: x ← (x + GLU(convolution of width k centred at j)) · √½, where
    GLU([a ; b]) = a ∘ σ(b). Padding is set to zero before every convolution, like positions outside the
    sentence. Tokens beyond `encoder.positions` share the last position embedding.
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__()
        encoder = config.encoder
        self.position = nn.Embedding(encoder.positions, encoder.embedding)
        self.input_projection = Linear(encoder.embedding, encoder.size)
        self.layers = nn.ModuleList(
            nn.Conv1d(encoder.size, 2 * encoder.size, encoder.kernel, padding=encoder.kernel // 2)
            for _ in range(encoder.layers)
        )
        self.dropout = Dropout(dropout)

    def forward(self, embedded: Tensor, mask: Tensor, lengths: Tensor | None = None) -> Encoded:
        """Encode; arguments as for `RecurrentEncoder.forward`; the lengths are not needed."""
        positions = torch.arange(mask.shape[1], device=mask.device).clamp(
            max=self.position.num_embeddings - 1
        )
        real = mask.unsqueeze(-1)
        states = self.input_projection(embedded + self.position(positions)) * real  # [B, S, M]
        for layer in self.layers:
            mixed = layer(self.dropout(states).transpose(1, 2)).transpose(1, 2)  # [B, S, 2M]
            states = (states + F.glu(mixed, dim=-1)) * math.sqrt(0.5) * real
        return Encoded(states, mask, state_at_end(states, mask))
