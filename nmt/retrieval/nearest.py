"""Exact search for the nearest keys, by matrix products.

Shapes: N queries, M keys, D dimensions, k neighbours, C candidates per query, R queries at a time.
"""

from typing import NamedTuple

import torch
from torch import Tensor

_BLOCK = 1 << 14  # keys whose products with the queries are in memory at a time
_ROWS = 256  # queries at a time
_GROUPS = 16
_SPARE = 8  # candidates beyond those asked for
_ROUNDING = 2.0**-18  # of a product in float32, relative to the lengths of the two vectors


class Neighbours(NamedTuple):
    """The nearest keys of each query, nearest first; of equally near ones, the lower index first.

    Attributes:
        distances: squared Euclidean distances, float32 [N, k].
        indices: of the keys, int64 [N, k].
    """

    distances: Tensor
    indices: Tensor


class NearestKeys:
    """Searches a set of keys. Several threads can use it at the same time.

    Products find candidates, q·x − |x|²/2 being largest for the nearest key x. Their distances are then
    computed from differences, each in the same order of additions, so that equal keys are equally far. A
    query for which rounding of the products leaves open which keys are the nearest is compared with all of
    them: so the result is exact, and that of a query does not depend on the others.

    Args:
        keys: float32 [M, D].
    """

    def __init__(self, keys: Tensor) -> None:
        self._keys = keys
        self._offsets = keys.square().sum(dim=1).mul_(-0.5)  # [M]
        self._longest = float(keys.square().sum(dim=1).max().sqrt()) if len(keys) else 0.0

    def __len__(self) -> int:
        return len(self._keys)

    def search(self, queries: Tensor, k: int) -> Neighbours:
        """The `k` nearest keys of queries [N, D]; all keys, if there are fewer."""
        k = min(k, len(self._keys))
        if not len(queries):
            return Neighbours(queries.new_empty((0, k)), queries.new_empty((0, k), dtype=torch.int64))
        parts = [self._search(some, k) for some in torch.split(queries, _ROWS)]
        return Neighbours(*(torch.cat(part) for part in zip(*parts, strict=True)))

    def _search(self, queries: Tensor, k: int) -> Neighbours:
        scores, candidates = self._candidates(queries, min(k + _SPARE, len(self._keys)))
        candidates, _ = candidates.sort(dim=1)
        R, C = candidates.shape
        differences = self._keys.index_select(0, candidates.flatten()).view(R, C, -1) - queries.unsqueeze(1)
        distances, order = _squared(differences.flatten(0, 1)).view(R, C).sort(dim=1, stable=True)
        distances, indices = distances[:, :k], candidates.gather(1, order[:, :k])
        if len(self._keys) > C:
            lengths = queries.square().sum(dim=1)
            left_out = lengths - 2 * scores.amin(dim=1)  # no other key is nearer than this, but for rounding
            rounding = 2 * _ROUNDING * (lengths.sqrt() + self._longest) ** 2
            for row in (distances[:, -1] >= left_out - rounding).nonzero().flatten().tolist():
                distances[row], indices[row] = self._compare_all(queries[row], k)
        return Neighbours(distances, indices)

    def _candidates(self, queries: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """The `count` largest products of each query, less half the squared length of the key, and their
        keys: [R, C] and [R, C].
        """
        values, found = [], []
        for first in range(0, len(self._keys), _BLOCK):
            keys, offsets = self._keys[first : first + _BLOCK], self._offsets[first : first + _BLOCK]
            best, indices = _largest(torch.addmm(offsets, queries, keys.t()), min(count, len(keys)))
            values.append(best)
            found.append(indices + first)
        best, places = torch.cat(values, dim=1).topk(count, dim=1, sorted=False)
        return best, torch.cat(found, dim=1).gather(1, places)

    def _compare_all(self, query: Tensor, k: int) -> tuple[Tensor, Tensor]:
        """The nearest keys of one query [D], by the distances of all."""
        distances = torch.cat([_squared(some - query) for some in torch.split(self._keys, _BLOCK)])
        nearest, indices = distances.sort(stable=True)
        return nearest[:k], indices[:k]


def _squared(differences: Tensor) -> Tensor:
    """[…, D] → the squared length of each."""
    return differences.square().sum(dim=-1)


def _largest(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` largest of each row and their columns, in any order, [R, count]. As in
    `nmt.decoding.arrays.top`: they are in the `count` columns with the highest maxima, of a row that is cut
    into groups of equal length, one above the other.
    """
    R, length = scores.shape
    width = length // _GROUPS
    if length % _GROUPS or count >= width:
        return scores.topk(count, dim=1, sorted=False)
    columns = scores.view(R, _GROUPS, width).amax(dim=1).topk(count, dim=1, sorted=False).indices
    places = (columns.unsqueeze(1) + torch.arange(0, length, width, device=scores.device)[:, None]).flatten(1)
    best, order = scores.gather(1, places).topk(count, dim=1, sorted=False)
    return best, places.gather(1, order)
