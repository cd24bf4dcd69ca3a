"""Which hypotheses of a beam are computed, and where they are among the slots of their sentences.

Shapes: b sentences, K slots per sentence (the beam size), N rows (hypotheses that are computed).
"""

from typing import NamedTuple

import torch
from torch import Tensor


class Layout(NamedTuple):
    """N rows, sentence by sentence, in b·K slots. What depends on the hypothesis alone is computed for the
    rows; attention is computed for all slots, so that the K hypotheses of a sentence share its keys and
    values.

    Attributes:
        sentences: b.
        width: K.
        slots: int64 [N], the slot of each row, ascending; None: every slot has a row.
    """

    sentences: int
    width: int = 1
    slots: Tensor | None = None

    def pad(self, rows: Tensor, value: float = 0.0) -> Tensor:
        """[N, …] → [b, K, …]; slots without a row get `value`."""
        if self.slots is not None:
            empty = rows.new_full((self.sentences * self.width, *rows.shape[1:]), value)
            rows = empty.index_copy_(0, self.slots, rows)
        return rows.reshape(self.sentences, self.width, *rows.shape[1:])

    def unpad(self, padded: Tensor) -> Tensor:
        """[b, K, …] → [N, …]: the inverse of `pad`."""
        rows = padded.flatten(0, 1)
        return rows if self.slots is None else rows.index_select(0, self.slots)

    def sentence_of_rows(self, device: torch.device) -> Tensor:
        """int64 [N]: the sentence of each row."""
        if self.slots is None:
            return torch.arange(self.sentences, device=device).repeat_interleave(self.width)
        return self.slots // self.width

    def row_of(self, slots: Tensor) -> Tensor:
        """The row of each of these slots, any shape; of any value for a slot without a row."""
        if self.slots is None:
            return slots
        rows = slots.new_zeros(self.sentences * self.width)
        rows[self.slots] = torch.arange(len(self.slots), device=slots.device)
        return rows[slots]
