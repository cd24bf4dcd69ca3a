"""Exact nearest keys, against the distances of all pairs in float64."""

import numpy as np
import pytest
import torch
from torch import Tensor

from nmt.retrieval import nearest
from nmt.retrieval.nearest import NearestKeys


def random(*shape: int, seed: int = 1) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def all_distances(queries: Tensor, keys: Tensor) -> np.ndarray:
    return ((queries[:, None].double() - keys[None].double()) ** 2).sum(dim=2).numpy()


@pytest.mark.parametrize("count", [1, 5, 40, 3000])
@pytest.mark.parametrize("k", [1, 4, 17])
def test_they_are_the_nearest(count, k, monkeypatch):
    """Also across the blocks of keys and of queries, and where columns are grouped."""
    monkeypatch.setattr(nearest, "_BLOCK", 1024)
    monkeypatch.setattr(nearest, "_ROWS", 7)
    keys, queries = random(count, 6), random(20, 6, seed=2)
    found = NearestKeys(keys).search(queries, k)
    expected = all_distances(queries, keys)
    order = np.argsort(expected, axis=1)[:, :k]
    assert np.array_equal(found.indices.numpy(), order)
    assert found.distances.numpy() == pytest.approx(np.take_along_axis(expected, order, axis=1), abs=1e-5)


@pytest.mark.parametrize("copies", [3, 50])
def test_of_equal_keys_the_first_come_first(copies):
    """Also if there are more than candidates, which are then found by comparing all keys."""
    keys = torch.cat([random(5, 8)] * copies)
    found = NearestKeys(keys).search(random(1, 8, seed=2), 12)
    expected = all_distances(random(1, 8, seed=2), keys[:5])[0].argsort()
    order = [int(which) + 5 * copy for which in expected for copy in range(copies)]
    assert found.indices[0].tolist() == order[:12]


def test_a_query_does_not_depend_on_the_others():
    keys, queries = random(5000, 32), random(300, 32, seed=2)
    keys[1000:1040] = keys[:40]
    index = NearestKeys(keys)
    together = index.search(queries, 9)
    for row in (0, 7, 299):
        alone = index.search(queries[row : row + 1], 9)
        assert torch.equal(alone.indices[0], together.indices[row])
        assert torch.equal(alone.distances[0], together.distances[row])


def test_no_queries():
    found = NearestKeys(random(5, 3)).search(random(0, 3), 2)
    assert (tuple(found.distances.shape), tuple(found.indices.shape)) == ((0, 2), (0, 2))
