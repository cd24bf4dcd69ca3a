"""The recurrent and convolutional encoders: source tokens → one state per token. The self-attention
encoder is in `nmt.model.transformer`.

Shapes: B batch, S source length, E embedding size, M state size.
"""

import math
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nmt.config.model import ModelConfig
from nmt.model.recurrent import CELLS


class Encoded(NamedTuple):
    """Encoder output for a batch.

    Attributes:
        states: one state per source token, [B, S, M]; zero on padding.
        mask: True at real tokens, [B, S].
        last: the final state, [B, M]. Recurrent: the state after the last token (bidirectional: the
            forward state at the last token concatenated with the backward state at the first).
            Non-recurrent: the state at the last token, end-of-sentence.
    """

    states: Tensor
    mask: Tensor
    last: Tensor


def state_at_end(states: Tensor, mask: Tensor) -> Tensor:
    """The state at the last real token: [B, S, M] and [B, S] → [B, M]."""
    end = mask.sum(dim=1) - 1
    return states[torch.arange(len(end), device=end.device), end]


class RecurrentEncoder(nn.Module):
    """Stacked, optionally bidirectional GRU or LSTM (Bahdanau et al. 2015, §3.2 and appendix A.2.1).

    h_j = [→h_j ; ←h_j]. Sequences are packed, so the backward direction starts at the last real token
    and padding has no effect. There is no dropout on the output states: to counter the noise, attention
    would learn to average several states instead of focusing on one.
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__()
        encoder = config.encoder
        directions = 2 if encoder.bidirectional else 1
        self.rnn = CELLS[encoder.cell](
            encoder.embedding,
            encoder.size // directions,
            num_layers=encoder.layers,
            bidirectional=encoder.bidirectional,
            dropout=dropout if encoder.layers > 1 else 0.0,
            batch_first=True,
        )
        self.directions = directions

    def forward(self, embedded: Tensor, mask: Tensor) -> Encoded:
        """Encode.

        Args:
            embedded: embeddings of the source tokens, [B, S, E].
            mask: True at real tokens, [B, S]; each row has at least one, and is padded on the right.
        """
        assert embedded.shape[:2] == mask.shape, (embedded.shape, mask.shape)
        lengths = mask.sum(dim=1).cpu()  # pack_padded_sequence needs them on the CPU
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        outputs, final = self.rnn(packed)
        hidden = final[0] if isinstance(final, tuple) else final  # [layers × directions, B, M / directions]
        states, _ = pad_packed_sequence(outputs, batch_first=True, total_length=mask.shape[1])
        last = torch.cat(tuple(hidden[-self.directions :]), dim=-1)  # [B, M]
        return Encoded(states, mask, last)


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
        self.enter = nn.Linear(encoder.embedding, encoder.size)
        self.layers = nn.ModuleList(
            nn.Conv1d(encoder.size, 2 * encoder.size, encoder.kernel, padding=encoder.kernel // 2)
            for _ in range(encoder.layers)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, embedded: Tensor, mask: Tensor) -> Encoded:
        """Encode; arguments as for `RecurrentEncoder.forward`."""
        places = torch.arange(mask.shape[1], device=mask.device).clamp(max=self.position.num_embeddings - 1)
        real = mask.unsqueeze(-1)
        states = self.enter(embedded + self.position(places)) * real  # [B, S, M]
        for layer in self.layers:
            mixed = layer(self.dropout(states).transpose(1, 2)).transpose(1, 2)  # [B, S, 2M]
            states = (states + F.glu(mixed, dim=-1)) * math.sqrt(0.5) * real
        return Encoded(states, mask, state_at_end(states, mask))
