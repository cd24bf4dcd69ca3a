"""Which pairs make a batch: a maximum number of tokens, by length, in a random but reproducible order."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, overload

import numpy as np
from numpy.typing import NDArray

from nmt.data.batches import Batch, MicroBatches, gather
from nmt.data.grouping import batch_starts
from nmt.data.mixture import uses
from nmt.data.ragged import Ragged
from nmt.data.soft_labels import SoftLabels
from nmt.data.subword_sampling import SampledPairs

_LENGTH_NOISE = 1.0  # tokens of noise on lengths for sorting, so that batches differ between epochs


def _sorted_within(first: NDArray[np.int32], then: NDArray[np.float64]) -> NDArray[np.intp]:
    """`np.lexsort((then, first))`, both [N], in less time for a `first` of few different values, from 0."""
    order = np.argsort(first.astype(np.min_scalar_type(first.max())), kind="stable")
    for same in np.split(order, np.cumsum(np.bincount(first))[:-1]):
        same[:] = same[np.argsort(then[same], kind="stable")]
    return order


@dataclass(frozen=True, eq=False)
class ShuffledBatches(Sequence[NDArray[np.intp]]):
    """The pairs of each batch of an epoch, in the order of training; B batches.

    Attributes:
        by_length: the pairs of each batch, in the order of their lengths.
        order: the position in `by_length` of each batch, [B].
    """

    by_length: Ragged
    order: NDArray[np.intp]

    def __len__(self) -> int:
        return len(self.order)

    @overload
    def __getitem__(self, index: int) -> NDArray[np.intp]: ...

    @overload
    def __getitem__(self, index: slice) -> list[NDArray[np.intp]]: ...

    def __getitem__(self, index: int | slice) -> NDArray[np.intp] | list[NDArray[np.intp]]:
        if isinstance(index, slice):
            return [self.by_length[k] for k in self.order[index]]
        return self.by_length[self.order[index]]


class Plan(NamedTuple):
    """The batches of an epoch.

    Attributes:
        batches: the indices of the pairs in each.
        tokens: number of real target tokens in each, [B].
    """

    batches: ShuffledBatches
    tokens: NDArray[np.int64]


class TrainingBatches:
    """The batches of each epoch: a pure function of the seed and the epoch.

    Pairs are sorted by target length, then source length, each with random noise added; the order is
    split by `max_tokens` and the batches are shuffled. So the pairs of a batch have similar lengths
    (little padding) and seldom meet again. The batches of one update, in one process or several, are
    adjacent in the sorted order: as if split from one larger batch, with equal work for each process.

    Args:
        sources, targets: token ids, without special tokens.
        max_tokens: maximum tokens in a batch on the longer side, including padding and end-of-sentence; a
            single longer pair becomes a batch of its own.
        seed: for all epochs.
        links: piece links (source, target) of each pair for guided alignment, if given.
        batches_per_update: batches per update; the last update of an epoch may have fewer.
        weights: how often each pair is used per epoch, [N], if not once: see `mixture.uses`.
        sampled: the pairs as segmented in each epoch, in place of `sources` and `targets`; without links and
            soft labels.
        soft: soft labels of the target tokens, if there are any.
    """

    def __init__(
        self,
        sources: Ragged,
        targets: Ragged,
        max_tokens: int,
        seed: int,
        links: Ragged | None = None,
        batches_per_update: int = 1,
        weights: NDArray[np.float64] | None = None,
        sampled: SampledPairs | None = None,
        soft: SoftLabels | None = None,
    ) -> None:
        assert sampled is None or (links is None and soft is None), "these are of one segmentation"
        self._links, self._soft, self._sampled, self._sampled_epoch = links, soft, sampled, -1
        self._use(sources, targets)
        self.max_tokens, self.batches_per_update, self._seed = max_tokens, batches_per_update, seed
        self._weights = weights
        self._plan: tuple[tuple[int, int, int], Plan] | None = None  # of the latest epoch
        self._counts: dict[tuple[int, int, int], int] = {}

    def plan(self, epoch: int, max_tokens: int | None = None, batches_per_update: int | None = None) -> Plan:
        """The batches of an epoch; `max_tokens` and `batches_per_update` override the defaults. The latest
        plan is kept.
        """
        key = (epoch, max_tokens or self.max_tokens, batches_per_update or self.batches_per_update)
        if self._plan is None or self._plan[0] != key:
            self._plan = None  # no two plans of a large corpus in memory
            if self._sampled is not None and epoch != self._sampled_epoch:
                self._use(*self._sampled.at(epoch))
                self._sampled_epoch = epoch
            self._plan = key, self._planned(*key)
        return self._plan[1]

    def count(self, epoch: int, max_tokens: int | None = None, batches_per_update: int | None = None) -> int:
        """The number of batches in an epoch; `max_tokens` and `batches_per_update` override the defaults.

        With sub-word sampling the lengths differ from epoch to epoch, and this is the number for those of the
        latest plan.
        """
        if self._sampled is not None:
            assert self._sampled_epoch >= 0, "there must be a plan"
            epoch = self._sampled_epoch
        key = (epoch, max_tokens or self.max_tokens, batches_per_update or self.batches_per_update)
        if key not in self._counts:
            self._counts[key] = len(self._by_length(self._generator(epoch), epoch, key[1]))
        return self._counts[key]

    def _use(self, sources: Ragged, targets: Ragged) -> None:
        """Make batches of these tokens."""
        self._sources, self._targets = sources, targets
        self._source_lengths, self._target_lengths = (  # with end-of-sentence
            (side.lengths + 1).astype(np.int32) for side in (sources, targets)
        )

    def _generator(self, epoch: int) -> np.random.Generator:
        return np.random.default_rng([self._seed, epoch])

    def _by_length(self, generator: np.random.Generator, epoch: int, max_tokens: int) -> Ragged:
        """The pairs of each batch, in the order of their lengths."""
        source_lengths, target_lengths, used = self._source_lengths, self._target_lengths, None
        if self._weights is not None:
            used = np.repeat(np.arange(len(self._weights)), uses(self._weights, self._seed, epoch))
            source_lengths, target_lengths = source_lengths[used], target_lengths[used]
        pairs = len(source_lengths)
        source = source_lengths + generator.uniform(-_LENGTH_NOISE, _LENGTH_NOISE, pairs)
        target = target_lengths + generator.uniform(-_LENGTH_NOISE, _LENGTH_NOISE, pairs)
        order = _sorted_within(np.round(target, out=target).astype(np.int32), source)
        del source, target
        starts = batch_starts(np.maximum(source_lengths, target_lengths)[order], max_tokens)
        return Ragged(order if used is None else used[order], np.append(starts, pairs))

    def _planned(self, epoch: int, max_tokens: int, batches_per_update: int) -> Plan:
        generator = self._generator(epoch)
        by_length = self._by_length(generator, epoch, max_tokens)
        updates, rest = divmod(len(by_length), batches_per_update)
        start = int(generator.integers(len(by_length) - rest + 1)) if rest else 0
        last = np.arange(start, start + rest)
        others = np.delete(np.arange(len(by_length)), last).reshape(updates, batches_per_update)
        order = np.concatenate([others[generator.permutation(updates)].reshape(-1), last])
        tokens = np.add.reduceat(
            self._target_lengths[by_length.values], by_length.offsets[:-1], dtype=np.int64
        )
        return Plan(ShuffledBatches(by_length, order), tokens[order])

    def epoch(
        self,
        epoch: int,
        skip: int = 0,
        max_tokens: int | None = None,
        batches_per_update: int | None = None,
        rank: int = 0,
        processes: int = 1,
    ) -> Iterator[tuple[MicroBatches, int]]:
        """The micro-batches of process `rank` in every update of an epoch, with the number of batches in the
        update of all processes.

        The first `skip` batches are skipped; `max_tokens` and `batches_per_update` override the defaults.
        """
        batches_per_update = batches_per_update or self.batches_per_update
        plan = self.plan(epoch, max_tokens, batches_per_update)
        for start in range(skip, len(plan.batches), batches_per_update):
            update = plan.batches[start : start + batches_per_update]
            tokens = int(plan.tokens[start : start + batches_per_update].sum())
            own = update[rank::processes]
            batches = [self._gather(chosen) for chosen in own or update[:1]]
            yield MicroBatches(batches, tokens, bool(own)), len(update)

    def _gather(self, rows: NDArray[np.intp]) -> Batch:
        """A batch of these pairs, sorted by target length, longest first."""
        order = np.argsort(-self._target_lengths[rows], kind="stable")
        batch = gather(rows[order], self._sources, self._targets, self._links)
        if self._soft is None:
            return batch
        return replace(batch, soft=self._soft.of(rows[order], batch.positions))
