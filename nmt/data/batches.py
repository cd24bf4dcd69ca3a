"""Batches with a token budget, bucketed by length, in a random but reproducible order.

Shapes: B batch, S source length, T target length.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.data.alignment import Link
from nmt.data.tokenizer import BOS, EOS, PAD

_LENGTH_NOISE = 1.0  # tokens of noise on lengths for sorting, so that batches differ between epochs


@dataclass(frozen=True)
class Batch:
    """Sentence pairs as tensors; masks are True at real (non-padding) tokens.

    Attributes:
        source, source_mask: [B, S]; each sentence ends with end-of-sentence.
        previous: the target shifted right, starting with begin-of-sentence, [B, T].
        target, target_mask: [B, T]; each sentence ends with end-of-sentence.
        tokens: number of real target tokens.
        alignment: target attention, [B, T, S], if alignments are given: each row is uniform over the
            source pieces linked to the target piece, or zero without a link.
    """

    source: Tensor
    source_mask: Tensor
    previous: Tensor
    target: Tensor
    target_mask: Tensor
    tokens: int
    alignment: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """Copy to another device."""
        return Batch(
            self.source.to(device, non_blocking=True),
            self.source_mask.to(device, non_blocking=True),
            self.previous.to(device, non_blocking=True),
            self.target.to(device, non_blocking=True),
            self.target_mask.to(device, non_blocking=True),
            self.tokens,
            None if self.alignment is None else self.alignment.to(device, non_blocking=True),
        )


@dataclass(frozen=True)
class Share:
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


def pad(sentences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Token lists → right-padded tensor [B, longest] and its mask."""
    lengths = torch.tensor([len(sentence) for sentence in sentences])
    tokens = torch.full((len(sentences), int(lengths.max())), PAD)
    for row, sentence in zip(tokens, sentences, strict=True):
        row[: len(sentence)] = torch.tensor(sentence, dtype=torch.long)
    return tokens, torch.arange(tokens.shape[1]) < lengths.unsqueeze(1)


def collate(
    sources: Sequence[list[int]], targets: Sequence[list[int]], links: Sequence[list[Link]] | None = None
) -> Batch:
    """Token lists, without special tokens → a batch.

    Args:
        sources, targets: B sentences each.
        links: (source piece, target piece) links of each pair; end-of-sentence links are added here.
    """
    source, source_mask = pad([[*sentence, EOS] for sentence in sources])
    previous, _ = pad([[BOS, *sentence] for sentence in targets])
    target, target_mask = pad([[*sentence, EOS] for sentence in targets])
    alignment = None
    if links is not None:
        alignment = torch.zeros(*target.shape, source.shape[1])
        for matrix, pairs, sentence, translation in zip(alignment, links, sources, targets, strict=True):
            for s, t in [*pairs, (len(sentence), len(translation))]:
                matrix[t, s] = 1
        alignment /= alignment.sum(dim=-1, keepdim=True).clamp(min=1)
    return Batch(source, source_mask, previous, target, target_mask, int(target_mask.sum()), alignment)


def _cut(order: NDArray[np.intp], lengths: NDArray[np.int64], budget: int) -> list[NDArray[np.intp]]:
    """Split `order` where size × longest would exceed the budget; every batch has at least one."""
    batches, start, longest = [], 0, 0
    for position, index in enumerate(order):
        length = int(lengths[index])
        if position > start and max(longest, length) * (position - start + 1) > budget:
            batches.append(order[start:position])
            start, longest = position, 0
        longest = max(longest, length)
    batches.append(order[start:])
    return batches


class TrainingBatches:
    """The batches of each epoch: a pure function of the seed and the epoch.

    Pairs are sorted by target length, then source length, each with random noise added; the order is
    split by the token budget and the batches are shuffled. So the pairs of a batch have similar lengths
    (little padding) and seldom meet again. The batches of one update, in one process or several, are
    adjacent in the sorted order: as if split from one larger batch, with equal work for each process.

    Args:
        sources, targets: token lists, without special tokens.
        budget: maximum tokens in a batch on the longer side, including padding and end-of-sentence; a
            single longer pair becomes a batch of its own.
        seed: for all epochs.
        links: piece links (source, target) of each pair for guided alignment, if given.
        block: batches per update; the last update of an epoch may have fewer.
    """

    def __init__(
        self,
        sources: Sequence[list[int]],
        targets: Sequence[list[int]],
        budget: int,
        seed: int,
        links: Sequence[list[Link]] | None = None,
        block: int = 1,
    ) -> None:
        self._sources, self._targets, self._links = sources, targets, links
        self._source_lengths = np.array([len(sentence) + 1 for sentence in sources])
        self._target_lengths = np.array([len(sentence) + 1 for sentence in targets])
        self.budget, self.block, self._seed = budget, block, seed

    def indices(
        self, epoch: int, budget: int | None = None, block: int | None = None
    ) -> list[NDArray[np.intp]]:
        """The indices of the pairs in each batch of an epoch; `budget` and `block` override the defaults."""
        generator = np.random.default_rng([self._seed, epoch])
        noise = generator.uniform(-_LENGTH_NOISE, _LENGTH_NOISE, (2, len(self._source_lengths)))
        order = np.lexsort((self._source_lengths + noise[0], np.round(self._target_lengths + noise[1])))
        longer = np.maximum(self._source_lengths, self._target_lengths)
        batches, block = _cut(order, longer, budget or self.budget), block or self.block
        blocks, rest = divmod(len(batches), block)
        start = int(generator.integers(len(batches) - rest + 1)) if rest else 0
        last, batches = batches[start : start + rest], batches[:start] + batches[start + rest :]
        order_of_blocks = generator.permutation(blocks)
        return [batches[k * block + i] for k in order_of_blocks for i in range(block)] + last

    def epoch(
        self,
        epoch: int,
        skip: int = 0,
        budget: int | None = None,
        block: int | None = None,
        rank: int = 0,
        processes: int = 1,
    ) -> Iterator[tuple[Share, int]]:
        """The share of process `rank` in every update of an epoch, with the number of batches in the update.

        The first `skip` batches are skipped; `budget` and `block` override the defaults.
        """
        block = block or self.block
        batches = self.indices(epoch, budget, block)[skip:]
        for start in range(0, len(batches), block):
            update = batches[start : start + block]
            tokens = sum(int(self._target_lengths[chosen].sum()) for chosen in update)
            own = update[rank::processes]
            share = Share([self._collated(chosen) for chosen in own or update[:1]], tokens, bool(own))
            yield share, len(update)

    def _collated(self, chosen: NDArray[np.intp]) -> Batch:
        links = None if self._links is None else [self._links[i] for i in chosen]
        return collate([self._sources[i] for i in chosen], [self._targets[i] for i in chosen], links)


def sorted_batches(lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Indices of sentences in batches of similar length, longest first, for decoding and scoring."""
    if not lengths:
        return []
    order = np.argsort(-np.asarray(lengths), kind="stable")
    return [batch.tolist() for batch in _cut(order, np.asarray(lengths), budget)]
