"""Predictions and attention as NumPy arrays: the `Step` of a model whose results are in the host's memory.

Shapes: N rows, V vocabulary, C candidates per row, Q tokens per row that are considered, H attention heads, S
source length.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from nmt.decoding.hypothesis import nan_error
from nmt.decoding.interface import Answer, Floats, Integers, Query, StateT

_GROUPS = 16
_LONG_ROW = 512  # tokens; shorter rows are not worth the two stages
_MAGNITUDE = 0x7FFFFFFF  # of the bits of a float32
_INFINITY = 0x7F800000
_SIGN = 0x80000000

NumberT = TypeVar("NumberT", bound=np.generic)


def gather(values: NDArray[NumberT], index: Integers) -> NDArray[NumberT]:
    """`np.take_along_axis(values, index, axis=1)` of [b, M] and [b, L], in less time."""
    b, M = values.shape
    found: NDArray[NumberT] = values.ravel().take(index + np.arange(0, b * M, M)[:, None])
    return found


@dataclass(frozen=True)
class ArrayAttention:
    """Attention weights.

    Attributes:
        weights: [N, H, S].
    """

    weights: Floats

    def select(self, rows: Integers) -> "ArrayAttention":
        """As `Attention.select`."""
        return ArrayAttention(self.weights[rows])

    def concatenate(self, others: Sequence["ArrayAttention"]) -> "ArrayAttention":
        """As `Attention.concatenate`."""
        return ArrayAttention(np.concatenate([self.weights, *(other.weights for other in others)]))

    def numpy(self) -> Floats:
        """As `Attention.numpy`."""
        return self.weights.astype(np.float32)

    def mean(self) -> Floats:
        """[N, S], mean over the heads; zeros without heads."""
        N, H, S = self.weights.shape
        return self.weights.mean(axis=1, dtype=np.float32) if H else np.zeros((N, S), np.float32)


@dataclass(frozen=True)
class ArrayStep(Generic[StateT]):
    """The result of a step; `Step` says what the methods do.

    Attributes:
        predicted: log-probabilities [N, V], float32.
        state: after this step.
        attention: of each row.
    """

    predicted: Floats
    state: StateT
    attention: ArrayAttention

    def read(self, query: Query) -> Answer:
        """As `Step.read`."""
        scores = predicted = self.predicted if query.rows is None else self.predicted[query.rows]
        if len(query.bans[0]) or query.count == 1:
            scores = scores.copy()
            scores[query.bans] = -np.inf
        if query.count == 1:
            found = _highest(scores, query.banned)
        else:
            highest = top(scores, considered(query, scores.shape[1]))
            found = candidates(*highest, query, lambda rows: scores[rows])
        weights = self.attention if query.rows is None else self.attention.select(query.rows)
        attention = weights.mean() if query.attention else None
        return Answer(*found, predicted[query.named], attention)

    def log_probabilities(self) -> Floats:
        """As `Step.log_probabilities`."""
        return self.predicted


class Candidates(NamedTuple):
    """The best tokens of each row, best first, the lower one of two that are equally probable.

    Attributes:
        values: [N, C], log-probabilities.
        tokens: [N, C].
    """

    values: Floats
    tokens: Integers


def considered(query: Query, vocabulary: int) -> int:
    """Q, the number of highest scores among which those that a query asks for are, whichever are banned; and
    one more, to see whether others are equal to the last.
    """
    return min(query.count + len(query.banned) + 1, vocabulary)


def top(scores: Floats, count: int) -> tuple[Floats, Integers]:
    """The `count` highest scores of each row, [N, Q], and their tokens, in any order. NaN counts as the
    highest; which of several that are equal at the cut-off, is not specified.

    A long row is cut into groups of equal length, one above the other: the highest scores are in the `count`
    columns with the highest maxima. What is left at the end of the row is considered, too.
    """
    N, V = scores.shape
    width = V // _GROUPS
    if V < _LONG_ROW or count >= width:
        indices = _indices(scores, count)
        return gather(scores, indices), indices
    even = width * _GROUPS
    columns = _indices(scores[:, :even].reshape(N, _GROUPS, width).max(axis=1), count)
    tokens = (columns[:, None, :] + np.arange(0, even, width)[:, None]).reshape(N, -1)
    if even < V:
        tokens = np.concatenate((tokens, np.broadcast_to(np.arange(even, V), (N, V - even))), axis=1)
    values = gather(scores, tokens)
    order = _indices(values, count)
    return gather(values, order), gather(tokens, order)


def _highest(scores: Floats, banned: Integers) -> Candidates:
    """The best token of each row that is not banned; changes the scores of those that are."""
    scores[:, banned] = -np.inf
    tokens = scores.argmax(axis=1)[:, None]  # the first of equals
    values = gather(scores, tokens)
    if np.isnan(values).any():  # NaN counts as the highest
        raise nan_error()
    return Candidates(values, tokens)


def _indices(scores: Floats, count: int) -> Integers:
    """The indices of the `count` highest scores of each row, in any order."""
    length = scores.shape[1]
    return np.argpartition(scores, length - count, axis=1)[:, length - count :]


def candidates(
    values: Floats, tokens: Integers, query: Query, scores_of: Callable[[Integers], Floats]
) -> Candidates:
    """The best tokens, from the highest scores.

    Args:
        values, tokens: [N, Q] and [N, Q], from `top`.
        query: what is asked.
        scores_of: rows → all their scores [R, V]; called only where several are equal at the cut-off.

    Raises:
        NmtError: if there is NaN among the values.
    """
    if np.isnan(values).any():
        raise nan_error()
    keys = _ranked(values, tokens, query.banned)
    count = query.count
    if keys.shape[1] > count:
        last, after = keys[:, count - 1] >> 32, keys[:, count] >> 32
        ties = (last == after) & (last < _INFINITY)
        keys = keys[:, :count]
        if ties.any():
            tied = np.flatnonzero(ties)
            scores = scores_of(tied)
            everything = np.broadcast_to(np.arange(scores.shape[1]), scores.shape)
            keys[tied] = _ranked(scores, everything, query.banned)[:, :count]
    bits = (keys >> 32).astype(np.uint32) | np.uint32(_SIGN)
    return Candidates(bits.view(np.float32), keys & 0xFFFFFFFF)


def _ranked(values: Floats, tokens: Integers, banned: Integers) -> Integers:
    """[N, Q], keys in ascending order: log-probabilities from the highest, in the upper 32 bits, then tokens.
    As no log-probability is above 0, the bits of its magnitude are in the reverse order of the values.
    """
    magnitudes = np.ascontiguousarray(values, np.float32).view(np.uint32).astype(np.int64) & _MAGNITUDE
    for token in banned:
        magnitudes[tokens == token] = _INFINITY
    keys: Integers = (magnitudes << 32) | tokens
    keys.sort(axis=1)
    return keys
