"""Common shapes of batches: few of them, with little padding."""

import random
from collections import Counter

import pytest

from nmt.data.batching import TrainingBatches
from nmt.data.padding import Shape, shape_of
from nmt.data.ragged import ragged
from nmt.training.shapes import common_shape, rounded


def test_four_sizes_per_doubling():
    sizes = sorted({rounded(size) for size in range(1, 100)})
    assert sizes == [*range(1, 9), 10, 12, 14, 16, 20, 24, 28, 32, 40, 48, 56, 64, 80, 96, 112]
    for size in range(1, 5000):
        assert size <= rounded(size) <= max(size, 1.25 * size)
        assert rounded(rounded(size)) == rounded(size)


def test_there_are_never_more_positions_than_cells():
    """The additional positions must point at padding."""
    for shape in (Shape(1, 3, 9, 9), Shape(4, 4, 4, 16), Shape(9, 3, 1, 9), Shape(8, 9, 17, 129)):
        found = common_shape(shape)
        assert all(new >= old for new, old in zip(found, shape, strict=True))
        assert found.tokens <= found.rows * found.target
        assert common_shape(found) == found


def natural(pairs: int) -> list[tuple[int, int]]:
    """Lengths of sentence pairs, as in the corpora of manythings.org: a log-normal distribution."""
    chance = random.Random(1)
    lengths = [max(1, round(chance.lognormvariate(1.9, 0.45))) for _ in range(pairs)]
    return [(length, max(1, round(length * chance.gauss(1.1, 0.25)))) for length in lengths]


@pytest.mark.parametrize(("max_tokens", "served"), [(640, 0.9), (4096, 0.75)])
def test_few_shapes_and_little_padding_on_natural_lengths(max_tokens, served):
    """128 graphs serve most updates of five epochs; a shape is captured when it comes for the second time."""
    sources, targets = (ragged([[5] * n for n in side]) for side in zip(*natural(40_000), strict=True))
    batches = TrainingBatches(sources, targets, max_tokens, seed=1)
    shapes = [
        shape_of(batch)
        for epoch in range(5)
        for update, _ in batches.epoch(epoch)
        for batch in update.batches
    ]
    padded = [common_shape(shape) for shape in shapes]
    seen: Counter[Shape] = Counter()
    captured: set[Shape] = set()
    replayed = 0
    for shape in padded:
        seen[shape] += 1
        if seen[shape] > 1 and len(captured) < 128:
            captured.add(shape)
        replayed += shape in captured
    assert replayed > served * len(padded)
    assert cells(shapes) > 0.88 * cells(padded)
    assert sum(shape.tokens for shape in shapes) > 0.88 * sum(shape.tokens for shape in padded)


def cells(shapes: list[Shape]) -> int:
    """Tokens of both sides, padding included."""
    return sum(shape.rows * (shape.source + shape.target) for shape in shapes)
