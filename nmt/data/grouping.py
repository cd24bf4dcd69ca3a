"""Sentences in batches, without PyTorch: which sentences make a batch, and a batch as one padded array.

Shapes: N sentences, B of them in a batch.
"""

from array import array
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nmt.data.ragged import ragged
from nmt.data.tokenizer import PAD

_BLOCK = 65_536  # lengths that are Python integers at a time


def sorted_batches(lengths: Sequence[int], max_tokens: int) -> list[list[int]]:
    """Indices of sentences in batches of similar length, longest first, for decoding and scoring."""
    if not lengths:
        return []
    order = np.argsort(-np.asarray(lengths), kind="stable")
    return [batch.tolist() for batch in split_by_tokens(order, np.asarray(lengths), max_tokens)]


def split_by_tokens(
    order: NDArray[np.intp], lengths: NDArray[np.integer], max_tokens: int
) -> list[NDArray[np.intp]]:
    """Split `order` where size × longest would exceed `max_tokens`; every batch has at least one."""
    return np.split(order, batch_starts(lengths[order], max_tokens)[1:]) if len(order) else []


def batch_starts(lengths: NDArray[np.integer], max_tokens: int) -> NDArray[np.int64]:
    """The positions where batches start in sentences of these lengths, [N]. A batch is as large as possible
    without exceeding `max_tokens` in size × longest; every batch has at least one sentence.
    """
    starts, longest, size = array("q", [0] if len(lengths) else []), 1, 0
    for first in range(0, len(lengths), _BLOCK):
        for position, length in enumerate(lengths[first : first + _BLOCK].tolist(), first):
            size += 1
            if length > longest:
                longest = length
            if size * longest > max_tokens and size > 1:
                starts.append(position)
                longest, size = max(length, 1), 1
    return np.array(starts, np.int64)


def pad(
    sentences: Sequence[Sequence[int]], first: int | None = None, last: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Token lists → right-padded array [B, longest] and its mask; with a special token before or after each
    list, if given.
    """
    flat = ragged(sentences)
    return padded(*flat.take(np.arange(len(flat))), first, last)


def padded(
    ids: NDArray[np.integer], lengths: NDArray[np.int64], first: int | None = None, last: int | None = None
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """As `pad`, of sentences of these lengths, [B], one after another in `ids`."""
    start = int(first is not None)
    ends = lengths + start
    totals = ends + int(last is not None)
    steps = np.arange(totals.max())
    tokens = np.full((len(lengths), len(steps)), PAD, np.int64)
    tokens[(steps >= start) & (steps < ends[:, None])] = ids  # row by row, as in `ids`
    if first is not None:
        tokens[:, 0] = first
    if last is not None:
        tokens[np.arange(len(lengths)), ends] = last
    return tokens, steps < totals[:, None]
