"""Batches: as many tokens each, of near-equal length, in an order that is random and repeatable.

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

_LENGTH_NOISE = 1.0  # tokens; lengths within it mix, so that an epoch's batches are not the last one's


@dataclass(frozen=True)
class Batch:
    """Sentence pairs as tensors; masks are True at real tokens.

    Attributes:
        source, source_mask: [B, S]; each sentence ends with end-of-sentence.
        previous: the target shifted right, begin-of-sentence first, [B, T].
        target, target_mask: [B, T]; each sentence ends with end-of-sentence.
        tokens: real target tokens.
        alignment: where the attention should be, [B, T, S], if alignments are given: each row spread
            evenly over the source pieces linked to the target piece, or zero without a link.
    """

    source: Tensor
    source_mask: Tensor
    previous: Tensor
    target: Tensor
    target_mask: Tensor
    tokens: int
    alignment: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same on another device."""
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
    """What one process computes of an update.

    Attributes:
        batches: whose gradients add up, at least one.
        tokens: real target tokens of the update, those of the other processes included.
        counts: False if all batches of the update are with others, and this one only keeps them company.
    """

    batches: list[Batch]
    tokens: int
    counts: bool = True


def pad(sentences: Sequence[Sequence[int]]) -> tuple[Tensor, Tensor]:
    """Token lists → tensor [B, longest], padded at the end, and its mask."""
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
        links: of each pair (source piece, target piece); the ends of sentences are linked here.
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
    """Cut `order` where size × longest would pass the budget; every batch has at least one."""
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

    Pairs are sorted by target length, then source length, each blurred by random noise; the order is
    cut by the token budget and the batches shuffled. So a batch holds near-equal lengths (little
    padding) and seldom the same pairs again. Batches that make one update together, in one process or
    several, are neighbours in that order: as if cut from one larger batch, of equal work for each process.

    Args:
        sources, targets: token lists, without special tokens.
        budget: tokens in a batch on the longer side, padding and end-of-sentence included, at most; a
            single pair beyond it makes a batch of its own.
        seed: of all epochs.
        links: between the pieces of each pair (source, target), if there are any to be guided by.
        block: batches in an update; those of an epoch's last update may be fewer.
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
        """Which pairs make up each batch of an epoch; with another budget or block than usual, if given."""
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

        The first `skip` batches are left out; with another budget or block than usual, if given.
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
    """Indices of sentences in batches of near-equal length, longest first, for decoding and scoring."""
    if not lengths:
        return []
    order = np.argsort(-np.asarray(lengths), kind="stable")
    return [batch.tolist() for batch in _cut(order, np.asarray(lengths), budget)]
