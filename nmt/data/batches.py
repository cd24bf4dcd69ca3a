"""Batches of sentence pairs as padded tensors.

Shapes: B batch, S source length, T target length, N real target tokens, K tokens of a soft label.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.alignment.words import Link
from nmt.data.grouping import padded
from nmt.data.ragged import Ragged, ragged
from nmt.data.tokenizer import BOS, EOS


class SoftTargets(NamedTuple):
    """Soft labels of the target tokens of a batch: w · s of `nmt.training.loss.token_loss`.

    Attributes:
        ids: the most probable tokens, [N, K].
        shares: their probabilities s times their weight w in the loss, float32, [N, K]; each row sums to w,
            or is zero for a token without a label.
    """

    ids: Tensor
    shares: Tensor

    def each(self, change: Callable[[Tensor], Tensor]) -> "SoftTargets":
        """Both changed."""
        return SoftTargets(change(self.ids), change(self.shares))


@dataclass(frozen=True)
class Batch:
    """Sentence pairs as tensors; masks are True at real (non-padding) tokens.

    Attributes:
        source, source_mask: [B, S]; each sentence ends with end-of-sentence.
        source_lengths: real source tokens of each sentence, [B]; always on the CPU, where packing needs them;
            None: the sentences are not to be packed.
        previous: the target shifted right, starting with begin-of-sentence, [B, T].
        target, target_mask: [B, T]; each sentence ends with end-of-sentence.
        tokens: number of real target tokens, N.
        positions: row and step of each real target token, step by step, [N] and [N]: selects the same as
            `target_mask`, without the host waiting for a GPU to count them.
        alignment: target attention, [B, T, S], if alignments are given: each row is uniform over the
            source pieces linked to the target piece, or zero without a link.
        active: number of rows that have a real target token at each step, T numbers, if the rows are sorted
            by target length, longest first, so that these are the first ones; else None.
        soft: soft labels of the target tokens, in the order of `positions`, if there are any.
    """

    source: Tensor
    source_mask: Tensor
    source_lengths: Tensor | None
    previous: Tensor
    target: Tensor
    target_mask: Tensor
    tokens: int
    positions: tuple[Tensor, Tensor]
    alignment: Tensor | None = None
    active: tuple[int, ...] | None = None
    soft: SoftTargets | None = None

    def to(self, device: torch.device, copy: bool = False) -> "Batch":
        """Copy to another device; from pinned memory without the host waiting. `copy`: also to the same."""
        return self._each(lambda tensor: tensor.to(device, non_blocking=True, copy=copy))

    def pinned(self) -> "Batch":
        """Copy to page-locked memory, from which a CUDA GPU copies while the host goes on."""
        return self._each(lambda tensor: tensor.pin_memory())

    def tensors(self) -> list[Tensor]:
        """All tensors but `source_lengths`, always in the same order."""
        named = (self.source, self.source_mask, self.previous, self.target, self.target_mask)
        alignment = () if self.alignment is None else (self.alignment,)
        return [*named, *self.positions, *alignment, *(self.soft or ())]

    def _each(self, change: Callable[[Tensor], Tensor]) -> "Batch":
        """The batch with each of `tensors()` changed."""
        source, source_mask, previous, target, target_mask, rows, steps, *more = map(change, self.tensors())
        alignment = None if self.alignment is None else more.pop(0)
        return Batch(
            source,
            source_mask,
            self.source_lengths,
            previous,
            target,
            target_mask,
            self.tokens,
            (rows, steps),
            alignment,
            self.active,
            None if self.soft is None else SoftTargets(*more),
        )


@dataclass(frozen=True)
class MicroBatches:
    """The batches of one update that one process computes.

    Attributes:
        batches: at least one; their gradients are summed.
        tokens: real target tokens of the update over all processes.
        counts: False for a dummy batch: the other processes have all batches of the update, and this
            one only takes part in their collective calls.
    """

    batches: list[Batch]
    tokens: int
    counts: bool = True


def collate(
    sources: Sequence[list[int]], targets: Sequence[list[int]], links: Sequence[list[Link]] | None = None
) -> Batch:
    """Token lists, without special tokens → a batch.

    Args:
        sources, targets: B sentences each.
        links: (source piece, target piece) links of each pair; end-of-sentence links are added here.
    """
    flat = None if links is None else ragged(links, (2,))
    return gather(np.arange(len(sources)), ragged(sources), ragged(targets), flat)


def gather(rows: NDArray[np.intp], sources: Ragged, targets: Ragged, links: Ragged | None = None) -> Batch:
    """The pairs at `rows`, [B], of a tokenised corpus → a batch.

    Args:
        rows: indices of pairs.
        sources, targets: token ids, without special tokens.
        links: (source piece, target piece) links of each pair; end-of-sentence links are added here.
    """
    source_ids, source_lengths = sources.take(rows)
    target_ids, target_lengths = targets.take(rows)
    source, source_mask = _padded(source_ids, source_lengths, last=EOS)
    previous, _ = _padded(target_ids, target_lengths, first=BOS)
    target, target_mask = _padded(target_ids, target_lengths, last=EOS)
    alignment = None
    if links is not None:
        pieces, counts = links.take(rows)
        alignment = torch.zeros(*target.shape, source.shape[1])
        found = torch.from_numpy(pieces.astype(np.int64))
        alignment[torch.from_numpy(np.repeat(np.arange(len(rows)), counts)), found[:, 1], found[:, 0]] = 1
        ends = torch.from_numpy(target_lengths), torch.from_numpy(source_lengths)
        alignment[torch.arange(len(rows)), *ends] = 1
        alignment /= alignment.sum(dim=-1, keepdim=True).clamp(min=1)
    tokens = len(target_ids) + len(rows)
    step, row = target_mask.t().nonzero(as_tuple=True)  # on the host
    lengths = torch.from_numpy(source_lengths + 1)
    sorted_rows = bool((np.diff(target_lengths) <= 0).all())
    active = tuple(target_mask.sum(dim=0).tolist()) if sorted_rows else None
    return Batch(
        source, source_mask, lengths, previous, target, target_mask, tokens, (row, step), alignment, active
    )


def _padded(
    ids: NDArray[np.integer], lengths: NDArray[np.int64], first: int | None = None, last: int | None = None
) -> tuple[Tensor, Tensor]:
    """As `padded`, as tensors."""
    tokens, mask = padded(ids, lengths, first, last)
    return torch.from_numpy(tokens), torch.from_numpy(mask)
