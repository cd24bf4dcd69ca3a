"""The encoder: source tokens → one state per token.

Shapes: B batch, S source length, E embedding size, M state size.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from nmt.config import EncoderConfig


class Encoded(NamedTuple):
    """What the encoder makes of a batch.

    Attributes:
        states: one state per source token, [B, S, M]; zero on padding.
        mask: True at real tokens, [B, S].
        last: the state after reading the whole sentence, [B, M]; with two directions the forward
            state at the last token beside the backward state at the first.
    """

    states: Tensor
    mask: Tensor
    last: Tensor


class RecurrentEncoder(nn.Module):
    """Stacked, optionally bidirectional GRU (Bahdanau et al. 2015, §3.2 and appendix A.2.1).

    h_j = [→h_j ; ←h_j]. Sentences are packed, so the backward direction starts at the last real token
    and padding changes nothing.
    """

    def __init__(self, vocabulary: int, padding: int, config: EncoderConfig, dropout: float) -> None:
        super().__init__()
        directions = 2 if config.bidirectional else 1
        self.embedding = nn.Embedding(vocabulary, config.embedding, padding_idx=padding)
        self.dropout = nn.Dropout(dropout)
        self.rnn = nn.GRU(
            config.embedding,
            config.size // directions,
            num_layers=config.layers,
            bidirectional=config.bidirectional,
            dropout=dropout if config.layers > 1 else 0.0,
            batch_first=True,
        )
        self.directions = directions

    def forward(self, tokens: Tensor, mask: Tensor) -> Encoded:
        """Encode.

        Args:
            tokens: source tokens, [B, S].
            mask: True at real tokens, [B, S]; each row has at least one, and padding comes last.
        """
        assert tokens.shape == mask.shape, (tokens.shape, mask.shape)
        embedded = self.dropout(self.embedding(tokens))  # [B, S, E]
        lengths = mask.sum(dim=1).cpu()  # pack_padded_sequence wants them there
        packed = pack_padded_sequence(embedded, lengths, batch_first=True, enforce_sorted=False)
        outputs, final = self.rnn(packed)  # final: [layers × directions, B, M / directions]
        states, _ = pad_packed_sequence(outputs, batch_first=True, total_length=tokens.shape[1])
        last = torch.cat(tuple(final[-self.directions :]), dim=-1)  # [B, M]
        return Encoded(self.dropout(states), mask, self.dropout(last))
