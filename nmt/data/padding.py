"""Batches padded to a given shape, so that many batches have the same one.

Shapes: B batch, S source length, T target length, N real target tokens.
"""

from dataclasses import replace
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from nmt.data.batches import Batch
from nmt.data.tokenizer import EOS, PAD


class Shape(NamedTuple):
    """The shape of a batch.

    Attributes:
        rows, source, target: B, S and T.
        tokens: number of positions in `Batch.positions`.
    """

    rows: int
    source: int
    target: int
    tokens: int


def shape_of(batch: Batch) -> Shape:
    """The shape of a batch."""
    B, S = batch.source.shape
    return Shape(B, S, batch.target.shape[1], len(batch.positions[0]))


def pad_batch(batch: Batch, shape: Shape) -> Batch:
    """A batch that is equal but for padding, of a shape at least as large in each dimension.

    Additional rows have an empty source sentence and no real target tokens. Additional `positions` point at
    padding, a target token PAD without a soft label, which counts for nothing in the loss. The sequences
    cannot be packed: `source_lengths` and `active` are None.

    Args:
        batch: on the CPU.
        shape: with no more `tokens` than B · T.
    """
    B, S, T, N = shape_of(batch)
    assert all(new >= old for new, old in zip(shape, (B, S, T, N), strict=True)), (shape, shape_of(batch))
    sides = (0, shape.target - T, 0, shape.rows - B)

    def wide(tokens: Tensor) -> Tensor:
        return F.pad(tokens, (0, shape.source - S, 0, shape.rows - B))

    source, source_mask = wide(batch.source), wide(batch.source_mask)  # PAD is 0
    source[B:, 0], source_mask[B:, 0] = EOS, True
    target_mask = F.pad(batch.target_mask, sides)
    alignment = batch.alignment
    if alignment is not None:
        alignment = F.pad(alignment, (0, shape.source - S, *sides))
    return replace(
        batch,
        source=source,
        source_mask=source_mask,
        source_lengths=None,
        previous=F.pad(batch.previous, sides, value=PAD),
        target=F.pad(batch.target, sides, value=PAD),
        target_mask=target_mask,
        positions=_more_positions(batch.positions, target_mask, shape.tokens - N),
        alignment=alignment,
        active=None,
        soft=batch.soft and batch.soft.each(lambda part: F.pad(part, (0, 0, 0, shape.tokens - N))),
    )


def _more_positions(positions: tuple[Tensor, Tensor], mask: Tensor, more: int) -> tuple[Tensor, Tensor]:
    """Positions [N], and `more` of the last padding in the target mask [B, T]."""
    if not more:
        return positions
    padding = int((~mask).flatten().nonzero()[-1])
    row, step = divmod(padding, mask.shape[1])
    rows, steps = positions
    return torch.cat([rows, rows.new_full((more,), row)]), torch.cat([steps, steps.new_full((more,), step)])
