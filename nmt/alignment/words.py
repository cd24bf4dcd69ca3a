"""Word alignments: attention over pieces → attention over words → links between words.

T and S are the numbers of target and source pieces, Tw and Sw those of words. A link is a pair
(source word, target word), both counted from 0.
"""

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

Link = tuple[int, int]


def piece_groups(
    piece_spans: Sequence[tuple[int, int]], word_spans: Sequence[tuple[int, int]]
) -> list[list[int]]:
    """Group pieces by word, by the characters they share.

    A piece belongs to every word that it shares a character with. One that shares none (empty, or
    space only) belongs to the word around its position (such as a byte in the middle of a character),
    else to the next word, else, at the end of the text, to the last word.

    Args:
        piece_spans: characters [start, end) of each piece; may include the space before a word.
        word_spans: characters [start, end) of each word, in order, non-empty, not overlapping.

    Returns:
        The ascending indices of the pieces of each word; empty only if no piece covers the word.
    """
    groups: list[list[int]] = [[] for _ in word_spans]
    if not groups:
        return groups
    ends = [end for _, end in word_spans]
    for piece, (start, end) in enumerate(piece_spans):
        word = min(bisect_right(ends, start), len(ends) - 1)
        groups[word].append(piece)
        word += 1
        while word < len(ends) and word_spans[word][0] < end:
            groups[word].append(piece)
            word += 1
    return groups


def merge_to_words(
    weights: NDArray[np.floating[Any]],
    source_groups: Sequence[Sequence[int]],
    target_groups: Sequence[Sequence[int]],
) -> NDArray[np.floating[Any]]:
    """Word-level attention from piece-level attention.

    Attention is summed over the source pieces of a word and averaged over the target pieces of a word.
    A source piece of several words is split evenly among them; a target piece of several words counts
    in the average of each. So a row sums to the mean of its pieces' row sums if every source piece is
    in a group; a piece in no group is ignored (give end-of-sentence its own group to keep it). The row
    of a target group without pieces is zero.

    Args:
        weights: [T, S]
        source_groups: the pieces of each source word, Sw groups of indices below S.
        target_groups: the pieces of each target word, Tw groups of indices below T.

    Returns:
        [Tw, Sw], with the dtype of `weights`.
    """
    T, S = weights.shape
    average = np.zeros((len(target_groups), T), weights.dtype)
    for word, pieces in enumerate(target_groups):
        if pieces:
            average[word, list(pieces)] = 1 / len(pieces)
    share = np.zeros((S, len(source_groups)), weights.dtype)
    for word, pieces in enumerate(source_groups):
        share[list(pieces), word] = 1
    share /= np.maximum(share.sum(axis=1, keepdims=True), 1)
    merged: NDArray[np.floating[Any]] = average @ weights @ share  # [Tw, T] [T, S] [S, Sw]
    return merged


def expand_links(
    links: Iterable[Link], source_groups: Sequence[Sequence[int]], target_groups: Sequence[Sequence[int]]
) -> list[Link]:
    """Word links → piece links: every source piece with every target piece of a link, ascending.

    Args:
        links: word links.
        source_groups: the pieces of each source word.
        target_groups: the pieces of each target word.
    """
    return sorted(
        {(s, t) for source, target in links for s in source_groups[source] for t in target_groups[target]}
    )


def argmax_links(weights: NDArray[np.floating[Any]]) -> frozenset[Link]:
    """Link every target word to the source word that it attends to most; ties go to the first.

    Args:
        weights: [Tw, Sw], without end-of-sentence, which is not a word. An all-zero row gets no link.
    """
    if 0 in weights.shape:
        return frozenset()
    best = weights.argmax(axis=1)
    return frozenset((int(s), t) for t, s in enumerate(best) if weights[t, s] > 0)


def threshold_links(weights: NDArray[np.floating[Any]], threshold: float) -> frozenset[Link]:
    """Link every target word to all source words that receive at least `threshold` of its attention.

    Args:
        weights: [Tw, Sw], without end-of-sentence.
        threshold: above 0, at most 1.
    """
    rows, columns = (weights >= threshold).nonzero()
    return frozenset(zip(columns.tolist(), rows.tolist(), strict=True))


def shift_rows(weights: NDArray[Any], shift: int) -> NDArray[Any]:
    """Shift rows up by `shift` (row t becomes row t + shift); at the edges the last or first row repeats.

    Bahdanau's attention at step t is computed from the state before word t, so the attention that
    matches a word best may be one step later (shift 1) or earlier (shift -1).

    Args:
        weights: [..., T, S].
    """
    T = weights.shape[-2]
    rows = np.clip(np.arange(T) + shift, 0, max(T - 1, 0))
    return weights[..., rows, :]
