"""Sentence pairs: cleaning, filtering (with counts by reason), and grouping into examples."""

import functools
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from nmt.alignment.pharaoh import counts_from_one, format_pharaoh, outside, outside_error, parse_pharaoh
from nmt.config.data import DataConfig
from nmt.data.examples import Example
from nmt.data.keys import SeenKeys, text_key, text_keys
from nmt.data.sources.source import RawPair, open_source
from nmt.data.text import canonical_key, clean, word_spans

_CHUNK = 16_384  # pairs that are cleaned at a time


class Pair(NamedTuple):
    """A cleaned pair in the corpus's direction, with its word alignment (Pharaoh) or ""."""

    source: str
    target: str
    alignment: str


class KeyedPair(NamedTuple):
    """A cleaned pair, and the 64-bit keys of its sentences (`canonical_key`)."""

    pair: Pair
    first: int
    second: int


def clean_pairs(
    config: DataConfig,
    files: list[Path],
    dropped: Counter[str],
    held_out: Callable[[str, str], str | None],
) -> Iterator[KeyedPair]:
    """The cleaned pairs of a corpus that pass the filters; dropped pairs are counted by reason.

    Args:
        config: what to read, and the limits.
        files: of the corpus, from `DataSource.files`.
        dropped: updated in place.
        held_out: returns the reason to drop a pair that shares a sentence with a user-provided set, or None;
            called with the canonical keys of its sentences.

    Raises:
        DataError: while iterating, for what cannot be read, with file and line.
    """
    seen = SeenKeys()
    corpus = open_source(config)
    again = functools.partial(corpus.pairs, files)
    where = corpus.alignment_file(files)
    raw_pairs = again()
    while chunk := list(itertools.islice(raw_pairs, _CHUNK)):
        usable = []
        for raw in chunk:
            source, target = clean(raw.source), clean(raw.target)
            if reason := _reason_to_drop(source, target, config):
                dropped[reason] += 1
            else:
                usable.append((raw, source, target))
        # no cleaned text has a tab
        new = seen.add(text_keys(f"{source}\t{target}" for _, source, target in usable))
        for (raw, source, target), is_new in zip(usable, new.tolist(), strict=True):
            first, second = canonical_key(source), canonical_key(target)
            if reason := held_out(first, second) or (None if is_new else "duplicate"):
                dropped[reason] += 1
                continue
            pair = Pair(source, target, checked_alignment(raw, source, target, where, again))
            yield KeyedPair(pair, text_key(first), text_key(second))


def _reason_to_drop(source: str, target: str, config: DataConfig) -> str | None:
    if not source or not target:
        return "empty"
    if max(len(source.split()), len(target.split())) > config.max_words:
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


def grouped(pairs: Iterable[Pair]) -> list[Example]:
    """One example per source, with all its translations as references, for development and test sets."""
    by_source: dict[str, list[Pair]] = {}
    for pair in pairs:
        by_source.setdefault(pair.source, []).append(pair)
    return [
        Example(source, tuple(pair.target for pair in group), tuple(pair.alignment for pair in group))
        for source, group in by_source.items()
    ]
