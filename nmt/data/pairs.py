"""Sentence pairs: cleaning, filtering (with counts by reason), and grouping into examples."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from nmt.alignment.pharaoh import counts_from_one, format_pharaoh, outside, outside_error, parse_pharaoh
from nmt.config.data import DataConfig
from nmt.data.examples import Example, from_line, to_line
from nmt.data.keys import Keys, text_keys
from nmt.data.sources.source import RawPair
from nmt.data.text import canonical_key, clean, word_spans
from nmt.errors import DataError

CHUNK = 4096  # pairs that are cleaned at a time


class Pair(NamedTuple):
    """A cleaned pair in the corpus's direction, with its word alignment (Pharaoh) or ""."""

    source: str
    target: str
    alignment: str


class CleanedChunk(NamedTuple):
    """The pairs of a chunk that pass the filters, N of them; duplicates are among them.

    Attributes:
        lines: a line of JSON for each, in the translation direction, as in a training set.
        pairs: keys of source and target as they are, in the translation direction, [N].
        first, second: keys of the sentences (`canonical_key`), in the corpus's direction, [N].
        sources: keys of the source sentences as they are, in the translation direction, [N].
        misaligned: the raw pairs whose alignment is wrong, by position; their lines have none.
        dropped: number of other pairs by reason.
    """

    lines: list[bytes]
    pairs: Keys
    first: Keys
    second: Keys
    sources: Keys
    misaligned: dict[int, RawPair]
    dropped: Counter[str]


def clean_chunk(
    config: DataConfig, held_out: Callable[[str, str], str | None], raw_pairs: Sequence[RawPair]
) -> CleanedChunk:
    """The cleaned pairs that pass the filters.

    Args:
        config: the limits, and the translation direction.
        held_out: returns the reason to drop a pair that shares a sentence with a user-provided set, or None;
            called with the canonical keys of its sentences.
        raw_pairs: of the corpus.
    """
    pairs: list[Pair] = []
    keys, dropped, misaligned = [], Counter[str](), {}
    for raw in raw_pairs:
        source, target = clean(raw.source), clean(raw.target)
        reason = _reason_to_drop(source, target, config)
        if not reason:
            canonical = canonical_key(source), canonical_key(target)
            reason = held_out(*canonical)
        if reason:
            dropped[reason] += 1
            continue
        pair = _aligned(raw, source, target)
        if pair is None:
            misaligned[len(pairs)] = raw
        pairs.append(pair or Pair(source, target, ""))
        keys.append(canonical)
    translated = [swapped(pair) for pair in pairs] if config.swap else pairs
    return CleanedChunk(
        [to_line(Example(one, (other,), (links,))).encode() for one, other, links in translated],
        text_keys(f"{pair.source}\t{pair.target}" for pair in translated),  # no cleaned text has a tab
        text_keys(first for first, _ in keys),
        text_keys(second for _, second in keys),
        text_keys(pair.source for pair in translated),
        misaligned,
        dropped,
    )


def _aligned(raw: RawPair, source: str, target: str) -> Pair | None:
    """The cleaned pair, or None if its alignment is wrong; `checked_alignment` says where and why."""
    try:
        return Pair(source, target, checked_alignment(raw, source, target, Path(), lambda: iter(())))
    except DataError:
        return None


def _reason_to_drop(source: str, target: str, config: DataConfig) -> str | None:
    if not source or not target:
        return "empty"
    if max(source.count(" "), target.count(" ")) >= config.max_words:  # cleaned: single spaces
        return "too_long"
    shorter, longer = sorted((len(source), len(target)))  # characters: not every script has spaces
    return "ratio" if longer > config.max_ratio * shorter else None


def checked_alignment(
    raw: RawPair, source: str, target: str, path: Path, again: Callable[[], Iterator[RawPair]]
) -> str:
    """The alignment of a cleaned pair, with all links checked to be in range.

    Args:
        raw: the pair as read from its file.
        source, target: cleaned.
        path: the file of its alignment.
        again: reads the entire corpus again, to find the cause of an error.

    Raises:
        DataError: for a link that is out of range, with file and line.
    """
    if not raw.alignment:
        return ""
    links = parse_pharaoh(raw.alignment, path, raw.line)
    if links:
        sizes = len(word_spans(source)), len(word_spans(target))
        link = outside(links, *sizes)
        if link is not None:
            every = (parse_pharaoh(pair.alignment or "", path, pair.line) for pair in again())
            raise outside_error(link, sizes, counts_from_one(every), path, raw.line)
    return format_pharaoh(links)


def swapped(pair: Pair) -> Pair:
    """The pair in the other direction, with its links reversed."""
    if not pair.alignment:
        return Pair(pair.target, pair.source, "")
    links = frozenset((target, source) for source, target in parse_pharaoh(pair.alignment))
    return Pair(pair.target, pair.source, format_pharaoh(links))


def reversed_line(line: bytes) -> bytes:
    """The line of a training pair in the other direction."""
    example = from_line(line.decode())
    one, other, links = swapped(Pair(example.source, example.references[0], example.alignments[0]))
    return to_line(Example(one, (other,), (links,))).encode()


def reversed_examples(examples: Iterable[Example]) -> list[Example]:
    """A development or test set in the other direction: one example per reference, with all sources that it
    translates as references.
    """
    pairs = (
        Pair(example.source, reference, links)
        for example in examples
        for reference, links in zip(example.references, example.alignments, strict=True)
    )
    return grouped(map(swapped, pairs))


def grouped(pairs: Iterable[Pair]) -> list[Example]:
    """One example per source, with all its translations as references, for development and test sets."""
    by_source: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_source.setdefault(pair.source, []).append(pair)
    return [
        Example(source, tuple(pair.target for pair in group), tuple(pair.alignment for pair in group))
        for source, group in by_source.items()
    ]
