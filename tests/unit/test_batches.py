"""Batches: every pair once an epoch, of at most `max_tokens` tokens, repeatable, with little padding."""

from itertools import chain, pairwise
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import epoch_of

from nmt.config.data import DataConfig
from nmt.data.batches import Batch, collate, gather
from nmt.data.batching import TrainingBatches
from nmt.data.grouping import pad, sorted_batches, split_by_tokens
from nmt.data.prepare import prepare
from nmt.data.ragged import ragged
from nmt.data.tokenizer import BOS, EOS, PAD
from nmt.data.vocabulary import load_tokenizers

lengths = st.lists(st.tuples(st.integers(0, 40), st.integers(0, 40)), min_size=1, max_size=60)
max_tokens_values = st.integers(1, 200)


def batches_of(
    lengths: list[tuple[int, int]], max_tokens: int, seed: int = 1, batches_per_update: int = 1
) -> TrainingBatches:
    """Pairs of these lengths; the first token of a sentence identifies its pair, if it has one."""
    sources = [[10 + i] * length for i, (length, _) in enumerate(lengths)]
    targets = [[10 + i] * length for i, (_, length) in enumerate(lengths)]
    return TrainingBatches(
        ragged(sources), ragged(targets), max_tokens, seed, batches_per_update=batches_per_update
    )


def chosen(batches: TrainingBatches, epoch: int) -> list[list[int]]:
    return [batch.tolist() for batch in batches.plan(epoch).batches]


def values(batch: Batch) -> list[torch.Tensor | int | None]:
    rest = [value for name, value in vars(batch).items() if name != "positions"]
    return [*rest, *batch.positions]


def same(one: Batch, other: Batch) -> bool:
    pairs = zip(values(one), values(other), strict=True)
    return all(torch.equal(a, b) if isinstance(a, torch.Tensor) else a == b for a, b in pairs)


# ---------------------------------------------------------------- one epoch


@settings(deadline=None)
@given(lengths=lengths, max_tokens=max_tokens_values, epoch=st.integers(0, 5))
def test_every_pair_once_and_within_max_tokens(
    lengths: list[tuple[int, int]], max_tokens: int, epoch: int
) -> None:
    found = chosen(batches_of(lengths, max_tokens), epoch)
    assert sorted(i for batch in found for i in batch) == list(range(len(lengths)))
    for batch in found:
        longest = 1 + max(max(lengths[i]) for i in batch)
        assert len(batch) * longest <= max_tokens or len(batch) == 1


@settings(deadline=None)
@given(lengths=lengths, max_tokens=max_tokens_values)
def test_batches_hold_the_pairs_they_name(lengths: list[tuple[int, int]], max_tokens: int) -> None:
    batches = batches_of(lengths, max_tokens)
    for indices, batch in zip(chosen(batches, 2), epoch_of(batches, 2), strict=True):
        indices = sorted(indices, key=lambda i: -lengths[i][1])  # the longest target first
        assert batch.source_mask.sum(dim=1).tolist() == [lengths[i][0] + 1 for i in indices]
        assert batch.target_mask.sum(dim=1).tolist() == [lengths[i][1] + 1 for i in indices]
        assert [row[0] for row in batch.source.tolist()] == [
            10 + i if lengths[i][0] else EOS for i in indices
        ]
        assert [row[0] for row in batch.target.tolist()] == [
            10 + i if lengths[i][1] else EOS for i in indices
        ]


MANY = [(i % 7 + 3, (i * 5) % 8 + 3) for i in range(300)]


def test_the_same_seed_and_epoch_are_the_same_batches() -> None:
    assert chosen(batches_of(MANY, 60), 3) == chosen(batches_of(MANY, 60), 3)
    again = batches_of(MANY, 60)
    chosen(again, 0)
    chosen(again, 7)
    assert chosen(again, 3) == chosen(batches_of(MANY, 60), 3)  # what came before does not matter


def test_another_epoch_or_seed_mixes_anew() -> None:
    batches = batches_of(MANY, 60)

    def together(indices: list[list[int]]) -> set[frozenset[int]]:
        return {frozenset(batch) for batch in indices}

    first = chosen(batches, 0)
    for other in (chosen(batches, 1), chosen(batches_of(MANY, 60, seed=2), 0)):
        assert len(together(first) & together(other)) < 0.1 * len(first)  # other pairs come together
    sizes = [max(MANY[i][1] for i in batch) for batch in first]
    drops = sum(following < size for size, following in pairwise(sizes))
    assert 0.25 * len(first) < drops < 0.75 * len(first)  # and lengths come in any order


@pytest.mark.parametrize("skip", [0, 1, 5, 10_000])
def test_skipping_leaves_out_the_first(skip: int) -> None:
    batches = batches_of(MANY, 60)
    everything, rest = epoch_of(batches, 1), epoch_of(batches, 1, skip)
    assert len(rest) == max(0, len(everything) - skip)
    assert all(same(one, other) for one, other in zip(everything[skip:], rest, strict=True))


@pytest.mark.parametrize("skip", [0, 3])
def test_another_max_tokens_for_an_epoch_is_as_if_it_were_the_usual(skip: int) -> None:
    batches, larger = batches_of(MANY, 60), batches_of(MANY, 110)
    found = [batch.tolist() for batch in batches.plan(2, 110).batches]
    assert found == chosen(larger, 2) != chosen(batches, 2)
    pairs = zip(epoch_of(batches, 2, skip, 110), epoch_of(larger, 2, skip), strict=True)
    assert all(same(one, other) for one, other in pairs)
    assert chosen(batches, 2) == chosen(batches_of(MANY, 60), 2)  # and the usual one is back
    assert (batches.max_tokens, larger.max_tokens) == (60, 110)


@pytest.mark.parametrize("batches_per_update", [2, 3, 7])
def test_the_batches_of_an_update_are_neighbours_in_length(batches_per_update: int) -> None:
    """All pairs come once; only the last update of an epoch may have fewer batches."""
    updates = [
        micro_batches.batches
        for micro_batches, _ in batches_of(MANY, 60).epoch(1, batches_per_update=batches_per_update)
    ]
    alone = chosen(batches_of(MANY, 60), 1)
    assert sorted(chain(*chosen(batches_of(MANY, 60, batches_per_update=batches_per_update), 1))) == sorted(
        chain(*alone)
    )
    assert [len(update) for update in updates[:-1]] == [batches_per_update] * (len(updates) - 1)
    assert len(updates[-1]) == len(alone) % batches_per_update or batches_per_update
    widths = [[batch.target.shape[1] for batch in update] for update in updates[:-1]]
    assert max(max(width) - min(width) for width in widths) <= 4
    assert len({min(width) for width in widths}) > 3  # while the updates differ


@pytest.mark.parametrize(("batches_per_update", "processes"), [(2, 2), (4, 2), (3, 2), (2, 3)])
def test_the_micro_batches_of_the_processes_make_the_update(batches_per_update: int, processes: int) -> None:
    batches = batches_of(MANY, 60, batches_per_update=batches_per_update)
    updates = [micro_batches for micro_batches, _ in batches.epoch(2)]
    of_ranks = [
        [micro_batches for micro_batches, _ in batches.epoch(2, 0, None, None, rank, processes)]
        for rank in range(processes)
    ]
    for update, *of_rank in zip(updates, *of_ranks, strict=True):
        own = [batch for one in of_rank if one.counts for batch in one.batches]
        assert sorted(batch.tokens for batch in own) == sorted(batch.tokens for batch in update.batches)
        assert {one.tokens for one in of_rank} == {update.tokens} == {sum(batch.tokens for batch in own)}
        assert all(one.batches for one in of_rank)  # one without a batch of its own gets a dummy batch
        sizes = [len(one.batches) if one.counts else 0 for one in of_rank]
        assert max(sizes) - min(sizes) <= 1


def test_little_padding_on_the_bundled_corpus(tmp_path: Path) -> None:
    config = DataConfig(source="sample", cache=str(tmp_path))
    config.tokenizer.vocab_size = 1000
    prepared = prepare(config)
    source, target = load_tokenizers(prepared, config)
    train = prepared.splits["train"]
    sources = [source.encode(e.source) for e in train]
    targets = [target.encode(e.references[0]) for e in train]
    batches = epoch_of(TrainingBatches(ragged(sources), ragged(targets), 768, seed=1), 0)
    assert sum(batch.tokens for batch in batches) == sum(len(ids) + 1 for ids in targets)
    masks = [[b.source_mask for b in batches], [b.target_mask for b in batches]]
    for side in masks:  # in random order 0.4 would be padding
        assert sum(int((~mask).sum()) for mask in side) < 0.12 * sum(mask.numel() for mask in side)
    assert sum(mask.numel() for mask in masks[1]) > 0.85 * 768 * len(batches)  # the maximum is used


# ---------------------------------------------------------------- tensors


def padded(sentences: list[list[int]]) -> tuple[torch.Tensor, torch.Tensor]:
    """By a loop: right-padded tokens, and the mask."""
    longest = max(len(sentence) for sentence in sentences)
    tokens = [sentence + [PAD] * (longest - len(sentence)) for sentence in sentences]
    mask = [[True] * len(sentence) + [False] * (longest - len(sentence)) for sentence in sentences]
    return torch.tensor(tokens), torch.tensor(mask)


@st.composite
def aligned_pairs(draw: st.DrawFn) -> tuple[list[list[int]], list[list[int]], list[list[tuple[int, int]]]]:
    """Sources, targets, links."""
    sides = st.tuples(*[st.lists(st.integers(4, 65_535), max_size=6)] * 2)
    pairs = draw(st.lists(sides, min_size=1, max_size=9))
    links = []
    for source, target in pairs:
        every = [(s, t) for s in range(len(source)) for t in range(len(target))]
        links.append(draw(st.lists(st.sampled_from(every), unique=True)) if every else [])
    return [source for source, _ in pairs], [target for _, target in pairs], links


@settings(deadline=None)
@given(pairs=aligned_pairs(), data=st.data(), kind=st.sampled_from([np.uint16, np.uint32, np.int64]))
def test_a_gathered_batch_is_the_one_of_a_loop(
    pairs: tuple[list[list[int]], list[list[int]], list[list[tuple[int, int]]]],
    data: st.DataObject,
    kind: type,
) -> None:
    sources, targets, links = pairs
    rows = data.draw(st.lists(st.integers(0, len(sources) - 1), min_size=1, max_size=12))
    batch = gather(
        np.array(rows), ragged(sources, dtype=kind), ragged(targets, dtype=kind), ragged(links, (2,))
    )
    source, source_mask = padded([[*sources[k], EOS] for k in rows])
    previous, _ = padded([[BOS, *targets[k]] for k in rows])
    target, target_mask = padded([[*targets[k], EOS] for k in rows])
    alignment = torch.zeros(*target.shape, source.shape[1])
    for matrix, k in zip(alignment, rows, strict=True):
        for s, t in [*links[k], (len(sources[k]), len(targets[k]))]:
            matrix[t, s] = 1
        for row in matrix:
            row /= max(row.sum(), 1)
    longest = max(len(targets[k]) for k in rows) + 1
    real = [(row, t) for t in range(longest) for row, k in enumerate(rows) if t <= len(targets[k])]
    counts = [sum(step == t for _, step in real) for t in range(longest)]
    packed = [row for row, _ in real] == [row for n in counts for row in range(n)]  # the rows are sorted
    positions = tuple(torch.tensor(column) for column in zip(*real, strict=True))
    lengths = torch.tensor([len(sources[k]) + 1 for k in rows])
    expected = Batch(
        source,
        source_mask,
        lengths,
        previous,
        target,
        target_mask,
        len(real),
        positions,
        alignment,
        tuple(counts) if packed else None,
    )
    assert same(batch, expected)
    assert batch.source.dtype == batch.previous.dtype == batch.target.dtype == torch.long


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 30), min_size=1, max_size=60), max_tokens=max_tokens_values)
def test_batches_are_split_as_by_a_loop(lengths: list[int], max_tokens: int) -> None:
    expected: list[list[int]] = [[]]
    for k, length in enumerate(lengths):
        longest = max([lengths[other] for other in expected[-1]] + [length])
        if expected[-1] and longest * (len(expected[-1]) + 1) > max_tokens:
            expected.append([])
        expected[-1].append(k)
    found = split_by_tokens(np.arange(len(lengths)), np.array(lengths), max_tokens)
    assert [batch.tolist() for batch in found] == expected


def by_sorting_all(
    lengths: list[tuple[int, int]], max_tokens: int, seed: int, epoch: int, batches_per_update: int
) -> list[list[int]]:
    """The plan by its definition: lengths with noise, sorted, split, and the updates shuffled."""
    generator = np.random.default_rng([seed, epoch])
    noise = generator.uniform(-1.0, 1.0, (2, len(lengths)))
    source, target = np.array(lengths).T + 1
    order = np.lexsort((source + noise[0], np.round(target + noise[1])))
    batches = [batch.tolist() for batch in split_by_tokens(order, np.maximum(source, target), max_tokens)]
    updates, rest = divmod(len(batches), batches_per_update)
    start = int(generator.integers(len(batches) - rest + 1)) if rest else 0
    last, batches = batches[start : start + rest], batches[:start] + batches[start + rest :]
    return [
        batches[k * batches_per_update + i]
        for k in generator.permutation(updates)
        for i in range(batches_per_update)
    ] + last


@settings(deadline=None)
@given(
    lengths=lengths,
    max_tokens=max_tokens_values,
    epoch=st.integers(0, 5),
    batches_per_update=st.integers(1, 5),
)
def test_a_plan_is_what_sorting_all_pairs_gives(
    lengths: list[tuple[int, int]], max_tokens: int, epoch: int, batches_per_update: int
) -> None:
    plan = batches_of(lengths, max_tokens).plan(epoch, None, batches_per_update)
    expected = by_sorting_all(lengths, max_tokens, 1, epoch, batches_per_update)
    assert [batch.tolist() for batch in plan.batches] == expected
    assert [batch.tolist() for batch in plan.batches[1:3]] == expected[1:3]
    assert plan.tokens.tolist() == [sum(lengths[k][1] + 1 for k in batch) for batch in expected]


def test_an_epoch_is_planned_once(monkeypatch: pytest.MonkeyPatch) -> None:
    batches, planned = batches_of(MANY, 60), []
    original = TrainingBatches._planned
    monkeypatch.setattr(
        TrainingBatches, "_planned", lambda self, *key: planned.append(key) or original(self, *key)
    )
    assert len(epoch_of(batches, 1)) == len(batches.plan(1).batches)
    epoch_of(batches, 1, 4)
    assert planned == [(1, 60, 1)]
    assert batches.plan(1).tokens.tolist() == [batch.tokens for batch in epoch_of(batches, 1)]
    assert batches.count(3) == len(batches.plan(3).batches)


def test_collate() -> None:
    batch = collate([[5, 6, 7], [8]], [[9], [10, 11]])
    assert batch.source.tolist() == [[5, 6, 7, EOS], [8, EOS, PAD, PAD]]
    assert batch.source_mask.tolist() == [[True] * 4, [True, True, False, False]]
    assert batch.previous.tolist() == [[BOS, 9, PAD], [BOS, 10, 11]]
    assert batch.target.tolist() == [[9, EOS, PAD], [10, 11, EOS]]
    assert batch.target_mask.tolist() == [[True, True, False], [True, True, True]]
    assert batch.tokens == 5
    assert batch.source.dtype == batch.previous.dtype == batch.target.dtype == torch.long
    assert batch.source_mask.dtype == batch.target_mask.dtype == torch.bool


sentences = st.lists(st.lists(st.integers(4, 99), max_size=9), min_size=1, max_size=9)


@settings(deadline=None)
@given(sentences)
def test_previous_is_the_target_shifted_by_one(targets: list[list[int]]) -> None:
    batch = collate([[7]] * len(targets), targets)
    for row, target in enumerate(targets):
        real = batch.target_mask[row]
        assert batch.target[row][real].tolist() == [*target, EOS]
        assert batch.previous[row][real].tolist() == [BOS, *target]
        assert set(batch.target[row][~real].tolist()) <= {PAD}
        assert set(batch.previous[row][~real].tolist()) <= {PAD}


@settings(deadline=None)
@given(sentences)
def test_padding_keeps_every_sentence(rows: list[list[int]]) -> None:
    tokens, mask = pad(rows)
    assert tokens.shape == mask.shape == (len(rows), max(map(len, rows)))
    assert [row[real].tolist() for row, real in zip(tokens, mask, strict=True)] == rows
    assert (tokens[~mask] == PAD).all()


def test_to_moves_every_tensor_but_the_lengths() -> None:
    batch = collate([[5, 6]], [[7]])
    moved = batch.to(torch.device("meta"))
    tensors = [value for value in values(moved) if isinstance(value, torch.Tensor)]
    assert len(tensors) == 8
    on_host = [tensor for tensor in tensors if tensor.device.type != "meta"]
    assert [tensor.tolist() for tensor in on_host] == [[3]]  # packing needs them on the CPU
    assert moved.tokens == batch.tokens
    assert same(batch.to(torch.device("cpu")), batch)


# ---------------------------------------------------------------- for decoding


@settings(deadline=None)
@given(lengths=st.lists(st.integers(1, 50), max_size=60), max_tokens=max_tokens_values)
def test_sorted_batches(lengths: list[int], max_tokens: int) -> None:
    batches = sorted_batches(lengths, max_tokens)
    order = [i for batch in batches for i in batch]
    assert sorted(order) == list(range(len(lengths)))
    assert all(batch for batch in batches)
    assert [lengths[i] for i in order] == sorted(lengths, reverse=True)  # near-equal lengths together
    for number, batch in enumerate(batches, 1):
        longest = lengths[batch[0]]
        assert len(batch) * longest <= max_tokens or len(batch) == 1
        assert number == len(batches) or (len(batch) + 1) * longest > max_tokens  # full


def test_links_become_rows_that_sum_to_one() -> None:
    batch = collate([[5, 6, 7], [8]], [[9, 10], [11]], [[(0, 0), (2, 0)], []])
    assert batch.alignment is not None
    assert batch.alignment.tolist() == [
        [[0.5, 0, 0.5, 0], [0, 0, 0, 0], [0, 0, 0, 1]],  # the ends of sentences are linked
        [[0, 0, 0, 0], [0, 1, 0, 0], [0, 0, 0, 0]],
    ]


def test_links_go_with_their_pair() -> None:
    links = [[(0, 0)], [(0, 1)], [(1, 0)], []]
    sources, targets = ragged([[10, 10], [11, 11], [12, 12], [13, 13]]), ragged([[7, 7]] * 4)
    batches = TrainingBatches(sources, targets, 6, 1, ragged(links, (2,)))
    seen = {}
    for batch in epoch_of(batches, 0):
        for tokens, matrix in zip(batch.source.tolist(), batch.alignment, strict=True):
            seen[tokens[0]] = [(j, t) for t, j in matrix[:2].nonzero().tolist()]
    assert seen == {10: links[0], 11: links[1], 12: links[2], 13: links[3]}
