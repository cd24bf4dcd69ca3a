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
from nmt.model.recurrent import CELLS, Layers, Recurrent, ResetBeforeGRU


class Encoded(NamedTuple):
    """Encoder output for a batch.

    Attributes:
        states: one state per source token, [B, S, M]; zero on padding.
        mask: True at real tokens, [B, S].
        last: the final state, [B, M]. Recurrent: the state after the last token (bidirectional: the
            forward state at the last token concatenated with the backward state at the first).
            Non-recurrent: the state at the last token, end-of-sentence.
        layers: the final state of each recurrent layer, bottom to top, with the directions concatenated;
            empty if non-recurrent.
    """

    states: Tensor
    mask: Tensor
    last: Tensor
    layers: Layers = ()


def state_at_end(states: Tensor, mask: Tensor) -> Tensor:
    """The state at the last real token: [B, S, M] and [B, S] → [B, M]."""
    end = mask.sum(dim=1) - 1
    return states[torch.arange(len(end), device=end.device), end]


def reversed_order(mask: Tensor) -> Tensor:
    """Indices that reverse the tokens before end-of-sentence, the last real token: [B, S] → [B, S].

    End-of-sentence and padding stay in place. Applied twice, it restores the order.
    """
    positions = torch.arange(mask.shape[1], device=mask.device).expand_as(mask)
    end = mask.sum(dim=1, keepdim=True) - 1  # [B, 1]
    return torch.where(positions < end, end - 1 - positions, positions)


def reorder(vectors: Tensor, order: Tensor) -> Tensor:
    """[B, S, X] and indices [B, S] → [B, S, X]."""
    return vectors.gather(1, order.unsqueeze(-1).expand_as(vectors))


class RecurrentEncoder(nn.Module):
    """Stacked, optionally bidirectional GRU or LSTM (Bahdanau et al. 2015, §3.2 and appendix A.2.1).

    h_j = [→h_j ; ←h_j]. Sequences are packed, so the backward direction starts at the last real token
    and padding has no effect. There is no dropout on the output states: to counter the noise, attention
    would learn to average several states instead of focusing on one.

    With `encoder.reverse` the tokens are read in reverse order (Sutskever et al. 2014, §3.3), the
    end-of-sentence still last; the states are returned in the order of the source.
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__()
        encoder = config.encoder
        directions = 2 if encoder.bidirectional else 1
        self.rnn: Recurrent = CELLS[encoder.cell](
            encoder.embedding,
            encoder.size // directions,
            num_layers=encoder.layers,
            bidirectional=encoder.bidirectional,
            dropout=dropout if encoder.layers > 1 else 0.0,
            batch_first=True,
        )
        self.directions, self.reverse = directions, encoder.reverse

    def forward(self, embedded: Tensor, mask: Tensor) -> Encoded:
        """Encode.

        Args:
            embedded: embeddings of the source tokens, [B, S, E].
            mask: True at real tokens, [B, S]; each row has at least one, and is padded on the right.
        """
        assert embedded.shape[:2] == mask.shape, (embedded.shape, mask.shape)
        order = reversed_order(mask) if self.reverse else None
        states, final = self._run(embedded if order is None else reorder(embedded, order), mask)
        last = torch.cat(tuple(final[0][-self.directions :]), dim=-1)  # [B, M]
        states = states if order is None else reorder(states, order)
        return Encoded(states, mask, last, self._layers(final))

    def _run(self, embedded: Tensor, mask: Tensor) -> tuple[Tensor, tuple[Tensor, ...]]:
        """States [B, S, M], and the final (h,) or (h, c), each [layers × directions, B, M / directions]."""
        if isinstance(self.rnn, ResetBeforeGRU):
            states, hidden = self.rnn(embedded, mask=mask)
            return states, (hidden,)
        lengths = mask.sum(dim=1).cpu()  # pack_padded_sequence needs them on the CPU
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        outputs, final = self.rnn(packed)
        states, _ = pad_packed_sequence(outputs, batch_first=True, total_length=mask.shape[1])
        return states, final if isinstance(final, tuple) else (final,)

    def _layers(self, final: tuple[Tensor, ...]) -> Layers:
        """The final states of `_run` by layer, with the directions concatenated, each [B, M]."""
        parts = (
            part.reshape(-1, self.directions, *part.shape[1:]).transpose(1, 2).flatten(2)  # [layers, B, M]
            for part in final
        )
        return tuple(zip(*parts, strict=True))


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
        self.input_projection = nn.Linear(encoder.embedding, encoder.size)
        self.layers = nn.ModuleList(
            nn.Conv1d(encoder.size, 2 * encoder.size, encoder.kernel, padding=encoder.kernel // 2)
            for _ in range(encoder.layers)
        )
        self.dropout = nn.Dropout(dropout)

    def forward(self, embedded: Tensor, mask: Tensor) -> Encoded:
        """Encode; arguments as for `RecurrentEncoder.forward`."""
        positions = torch.arange(mask.shape[1], device=mask.device).clamp(
            max=self.position.num_embeddings - 1
        )
        real = mask.unsqueeze(-1)
        states = self.input_projection(embedded + self.position(positions)) * real  # [B, S, M]
        for layer in self.layers:
            mixed = layer(self.dropout(states).transpose(1, 2)).transpose(1, 2)  # [B, S, 2M]
            states = (states + F.glu(mixed, dim=-1)) * math.sqrt(0.5) * real
        return Encoded(states, mask, state_at_end(states, mask))
