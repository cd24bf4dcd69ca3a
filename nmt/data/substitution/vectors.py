"""Word vectors from the words around: those of words that can stand for each other are similar.

Latent semantic analysis (Deerwester et al. 1990) of words by contexts. The contexts are those of syntax, not
of topic: up to two words on each side with their order, their endings, and the word's own ending.

Shapes: V words, D dimensions, O occurrences.
"""

from collections.abc import Iterator

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.data.substitution.sides import MARGIN, Ids, Side

DIMENSIONS = 100
_MORE, _ITERATIONS = 20, 2  # of the randomised decomposition
_ZERO = 1e-9
_OWN_ENDINGS = {1: 0.5, 2: 0.5, 3: 0.3}  # by number of letters: weight, where a context's is at most 1


def word_vectors(side: Side) -> NDArray[np.float64]:
    """A vector of length 1 for each word, [V, D]; zero for one without a context that another word has."""
    size = len(side.vocabulary)
    words, columns, values = _table(side)
    shared = np.bincount(columns)
    kept = shared[columns] > 1
    words, columns, values = words[kept], np.unique(columns[kept], return_inverse=True)[1], values[kept]
    values = values * np.log(size / np.bincount(columns))[columns]
    lengths = np.sqrt(np.bincount(words, values**2, size))
    shape = (size, int(columns.max(initial=-1)) + 1)
    entries = torch.from_numpy(values / lengths[words])
    places = torch.from_numpy(np.stack([words, columns]))
    matrix = torch.sparse_coo_tensor(places, entries, shape, check_invariants=False).coalesce()
    found = _decomposed(matrix, min(DIMENSIONS, *shape)).numpy()
    norms = np.linalg.norm(found, axis=1, keepdims=True)
    vectors: NDArray[np.float64] = np.where(norms > _ZERO, found / np.maximum(norms, _ZERO), 0)
    return vectors


def _table(side: Side) -> tuple[Ids, Ids, NDArray[np.float64]]:
    """The entries of the table of words by contexts: word, context and value, [O] each."""
    at = np.flatnonzero(side.distinct)
    here, size = side.ids[at], len(side.vocabulary)
    words, columns, values, first = [], [], [], 0
    for contexts in _contexts(side, at):
        context = np.unique(contexts, return_inverse=True)[1]
        number = int(context.max(initial=0)) + 1
        cells, counts = np.unique(here * number + context, return_counts=True)
        words.append(cells // number)
        columns.append(cells % number + first)
        values.append(np.sqrt(counts / side.counts[words[-1]]))
        first += number
    for letters, weight in _OWN_ENDINGS.items():
        words.append(np.arange(size))
        columns.append(side.endings(letters) + first)
        values.append(np.full(size, weight))
        first += size
    return np.concatenate(words), np.concatenate(columns), np.concatenate(values)


def _contexts(side: Side, at: Ids) -> Iterator[Ids]:
    """A number for each kind of context of the words at the given positions."""
    ids, size, endings = side.ids, len(side.vocabulary), side.endings(2)
    left, right, left2, right2 = (ids[at + distance] for distance in (-1, 1, -2, 2))
    yield from (left, right, left2, right2)
    yield from (left * size + right, left2 * size + left, right * size + right2)
    yield from (endings[left], endings[right], endings[left] * size + endings[right])
    sentence = np.searchsorted(side.starts, at, side="right") - 1
    last = side.starts[sentence] + side.sizes[sentence] - 1
    yield endings[ids[np.maximum(last - 1, MARGIN - 1)]]  # before the full stop: in many languages, the verb


def _decomposed(matrix: Tensor, dimensions: int) -> Tensor:
    """The left singular vectors times the roots of the singular values, [V, D] (Halko, Martinsson and Tropp
    2011, algorithm 4.4; always from the same random start).
    """
    transposed = matrix.t().coalesce()
    generator = torch.Generator().manual_seed(0)
    width = min(dimensions + _MORE, *matrix.shape)
    start = torch.randn(matrix.shape[1], width, generator=generator, dtype=torch.float64)
    basis = torch.linalg.qr(torch.sparse.mm(matrix, start))[0]
    for _ in range(_ITERATIONS):
        basis = torch.linalg.qr(torch.sparse.mm(matrix, torch.sparse.mm(transposed, basis)))[0]
    projected = torch.sparse.mm(transposed, basis)  # [contexts, width]
    squares, rotation = torch.linalg.eigh(projected.T @ projected)
    largest = squares.argsort(descending=True)[:dimensions]
    vectors: Tensor = basis @ rotation[:, largest] * squares[largest].clamp(min=0) ** 0.25
    return vectors
