"""Weights of corpora in a training set: how often each pair is used, in batches and for tokenizers."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nmt.data.batching import TrainingBatches
from nmt.data.mixture import Part, occurrences, part_of, part_of_rows, pieces_of, row_weights, uses
from nmt.data.ragged import ragged

MIXTURE = (Part(5), Part(0, 7.0), Part(4, 0.5, ("<b>",)), Part(2, 2.0), Part(1, 1.0, ("<a>",)))
weight = st.floats(0.01, 10) | st.sampled_from([0.5, 1.0, 2.0, 3.0])


def test_a_line_says_its_part() -> None:
    expected = [0] * 5 + [2] * 4 + [3] * 2 + [4]
    assert part_of(MIXTURE, np.arange(12)).tolist() == expected
    assert part_of(MIXTURE, np.array([11, 0])).tolist() == [4, 0]
    left_out = np.array([0, 4, 8, 11])
    rows = [part for line, part in enumerate(expected) if line not in left_out]
    assert part_of_rows(MIXTURE, left_out).tolist() == rows
    weights = row_weights(MIXTURE, left_out)
    assert weights is not None
    assert weights.tolist() == [MIXTURE[part].weight for part in rows]
    assert row_weights((Part(3), Part(4, 1.0, ("<a>",))), left_out) is None
    assert row_weights((), np.array([1])) is None
    assert pieces_of(MIXTURE) == ["<a>", "<b>"]


@settings(deadline=None)
@given(weight=weight, seed=st.integers(0, 2**40), epochs=st.integers(1, 12))
def test_a_pair_is_used_as_often_as_its_weight_says(weight: float, seed: int, epochs: int) -> None:
    weights = np.full(200, weight)
    counts = np.array([uses(weights, seed, epoch) for epoch in range(epochs)])
    assert (np.abs(counts - weight) < 1).all()
    assert (np.abs(counts.sum(axis=0) - epochs * weight) < 1 + 1e-9).all()
    if weight == int(weight):
        assert (counts == weight).all()


def test_half_of_the_pairs_are_used_in_an_epoch_and_the_others_in_the_next() -> None:
    weights = np.full(1000, 0.5)
    first, second = uses(weights, 1, 0), uses(weights, 1, 1)
    assert (first + second == 1).all()
    assert 440 < first.sum() < 560
    assert (uses(weights, 1, 2) == first).all()
    assert (uses(weights, 2, 0) != first).any()


def test_the_phases_do_not_depend_on_later_pairs() -> None:
    assert (uses(np.full(1000, 0.3), 1, 4)[:600] == uses(np.full(600, 0.3), 1, 4)).all()


@example(weight=0.5, lines=40, step=2, first=0)
@given(weight=weight, lines=st.integers(1, 60), step=st.integers(1, 5), first=st.integers(0, 7))
def test_tokenizers_count_a_line_as_its_weight_says(weight: float, lines: int, step: int, first: int) -> None:
    mixture = (Part(first), Part(lines, weight))
    every = np.arange(0, first + lines, step)
    counts = occurrences(mixture, every, step)
    own = every >= first
    assert (counts[~own] == 1).all()
    assert abs(counts[own].sum() - weight * own.sum()) <= 1 + weight
    halves = np.concatenate([occurrences(mixture, part, step) for part in np.array_split(every, 3)])
    assert (halves == counts).all()  # chunks change nothing


# ---------------------------------------------------------------- batches


def batches_of(weights: list[float] | None, seed: int = 1, pairs: int = 40) -> TrainingBatches:
    sources = ragged([[10 + k] * (1 + k % 5) for k in range(pairs)])
    given = None if weights is None else np.array(weights)
    return TrainingBatches(sources, sources, 24, seed, batches_per_update=2, weights=given)


def used(batches: TrainingBatches, epoch: int) -> Counter[int]:
    return Counter(pair for batch in batches.plan(epoch).batches for pair in batch.tolist())


def test_an_epoch_has_each_pair_as_often_as_its_weight_says() -> None:
    weights = [1.0] * 20 + [0.5] * 10 + [2.0] * 10
    batches = batches_of(weights)
    epochs = [used(batches, epoch) for epoch in range(4)]
    for counts in epochs:
        assert all(counts[pair] == 1 for pair in range(20))
        assert all(counts[pair] == 2 for pair in range(30, 40))
        assert 0 < sum(counts[pair] for pair in range(20, 30)) < 10
    assert all(epochs[0][pair] + epochs[1][pair] == 1 for pair in range(20, 30))


def test_batches_are_counted_planned_and_gathered_alike() -> None:
    batches = batches_of([1.0] * 20 + [0.5] * 10 + [2.5] * 10)
    for epoch in (3, 0, 2):
        plan = batches.plan(epoch)
        assert batches_of([1.0] * 20 + [0.5] * 10 + [2.5] * 10).count(epoch) == len(plan.batches)
        found = [micro for micro, _ in batches.epoch(epoch)]
        assert [micro.tokens for micro in found] == [
            int(plan.tokens[k : k + 2].sum()) for k in range(0, len(plan.batches), 2)
        ]
        first = sorted(int(row[0]) - 10 for batch in found[0].batches for row in batch.source)
        assert first == sorted(pair for batch in plan.batches[:2] for pair in batch.tolist())
        for batch in plan.batches:
            assert len(batch) * max(2 + pair % 5 for pair in batch.tolist()) <= 24


def test_weights_of_one_are_no_weights() -> None:
    for epoch in range(3):
        plain, weighted = batches_of(None).plan(epoch), batches_of([1.0] * 40).plan(epoch)
        assert all((a == b).all() for a, b in zip(plain.batches, weighted.batches, strict=True))
        assert (plain.tokens == weighted.tokens).all()


@pytest.mark.parametrize("epoch", [0, 3])
def test_an_epoch_is_a_function_of_seed_and_epoch(epoch: int) -> None:
    weights = [0.7] * 40
    later = batches_of(weights)
    for earlier in range(epoch):
        later.plan(earlier)
    assert used(later, epoch) == used(batches_of(weights), epoch)
    assert used(later, epoch) != used(batches_of(weights, seed=2), epoch)
