"""Word alignments: attention over pieces → attention over words → links between words.

T and S are the numbers of target and source pieces, Tw and Sw those of words. A link is a pair
(source word, target word), both counted from 0; the Pharaoh format writes it as `source-target`.
"""

import re
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.data.lines import file_lines
from nmt.errors import DataError

Link = tuple[int, int]
_LINK = re.compile(r"([0-9]+)-([0-9]+)")


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


def parse_pharaoh(text: str, path: Path | str | None = None, line: int | None = None) -> frozenset[Link]:
    """Parse links in the Pharaoh format: "0-0 1-2" is {(0, 0), (1, 2)}; an empty text has no links.

    Raises:
        DataError: for anything that is not `source-target`, with `path` and `line` if given.
    """
    links = set()
    for item in text.split():
        match = _LINK.fullmatch(item)
        if match is None:
            raise DataError(
                f"{item!r} is not a link; write source-target, counted from 0, such as 0-0 1-2", path, line
            )
        links.add((int(match[1]), int(match[2])))
    return frozenset(links)


def read_gold(path: Path) -> tuple[list[frozenset[Link]], list[frozenset[Link]]]:
    """Read gold alignments, one line per sentence pair: `1-2` is a sure link, `1?2` a possible one.

    Returns:
        The sure links and the additional possible links of each pair.

    Raises:
        DataError: for a malformed link, with file and line.
    """
    sure, possible = [], []
    for number, line in file_lines(path):
        unsure = [item for item in line.split() if "?" in item]
        certain = [item for item in line.split() if "?" not in item]
        sure.append(parse_pharaoh(" ".join(certain), path, number))
        possible.append(parse_pharaoh(" ".join(unsure).replace("?", "-"), path, number))
    return sure, possible


def outside(links: Iterable[Link], source_words: int, target_words: int) -> Link | None:
    """The smallest link that is out of range for sentences of these lengths (in words), or None."""
    return min(((s, t) for s, t in links if s >= source_words or t >= target_words), default=None)


def counts_from_one(file: Iterable[Iterable[Link]]) -> bool:
    """Whether no link in the file contains a 0, which suggests that it counts from 1."""
    return not any(0 in link for links in file for link in links)


def outside_error(
    link: Link, sizes: tuple[int, int], from_one: bool, path: Path | str | None, line: int | None
) -> DataError:
    """The error to raise for a link that is out of range.

    Args:
        link: from `outside`.
        sizes: number of source and target words.
        from_one: result of `counts_from_one` for the file.
        path: the file.
        line: the line of the link, from 1.
    """
    fits = from_one and link[0] <= sizes[0] and link[1] <= sizes[1]  # in range if counted from 1
    hint = "; this file seems to count from 1" if fits else ""
    return DataError(
        f"link {link[0]}-{link[1]} is out of range: the sentences have {sizes[0]} and {sizes[1]} words; "
        f"links are counted from 0{hint}",
        path,
        line,
    )


def check_gold(path: Path, gold: Sequence[Iterable[Link]], sizes: Sequence[tuple[int, int]]) -> None:
    """Check that gold alignments match their sentences.

    Args:
        path: the file, for error messages.
        gold: the links of each line.
        sizes: number of source and target words of each sentence pair.

    Raises:
        DataError: if the number of lines differs from the number of pairs, or a link is out of range.
    """
    if len(gold) != len(sizes):
        raise DataError(f"{len(gold)} lines, but {len(sizes)} sentence pairs; give one line per pair", path)
    for number, (links, size) in enumerate(zip(gold, sizes, strict=True), 1):
        link = outside(links, *size)
        if link is not None:
            raise outside_error(link, size, counts_from_one(gold), path, number)


def format_pharaoh(links: Iterable[Link]) -> str:
    """Write links in the Pharaoh format, in ascending order: {(1, 2), (0, 0)} is "0-0 1-2"."""
    return " ".join(f"{source}-{target}" for source, target in sorted(links))
