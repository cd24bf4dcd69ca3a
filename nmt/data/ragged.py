"""Sequences of different lengths in one flat array, for as many as a training set has.

Shapes: N sequences, L elements of all of them together.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Ragged:
    """Sequences in one flat array; sequence i is `values[offsets[i]:offsets[i + 1]]`.

    Attributes:
        values: the elements of all sequences, [L, …]; may be memory-mapped.
        offsets: [N + 1], from 0 to L.
    """

    values: NDArray[Any]
    offsets: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> NDArray[Any]:
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> NDArray[np.int64]:
        """The length of each sequence, [N]."""
        return np.diff(self.offsets)

    def first(self, count: int) -> "Ragged":
        """The first so many sequences."""
        return Ragged(self.values[: self.offsets[count]], self.offsets[: count + 1])

    def take(self, rows: NDArray[np.intp]) -> tuple[NDArray[Any], NDArray[np.int64]]:
        """The elements of chosen sequences, one after another, and the length of each."""
        starts = self.offsets[rows]
        lengths = self.offsets[rows + 1] - starts
        before = np.cumsum(lengths) - lengths  # elements of the earlier rows
        return self.values[np.repeat(starts - before, lengths) + np.arange(lengths.sum())], lengths


def ragged(sequences: Iterable[Sequence[Any]], shape: tuple[int, ...] = (), dtype: Any = np.int64) -> Ragged:
    """A `Ragged` of Python sequences, whose elements have the given shape and type."""
    parts = list(sequences)
    offsets = np.zeros(len(parts) + 1, np.int64)
    np.cumsum([len(part) for part in parts], out=offsets[1:])
    flat = [element for part in parts for element in part]
    return Ragged(np.array(flat, dtype).reshape(-1, *shape), offsets)
