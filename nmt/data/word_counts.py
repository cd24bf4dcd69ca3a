"""How often each source word occurs in the training set: rare words are where translations fail.

The words are those of `nmt.data.text.words` without punctuation, in the form of `canonical_key`: case folded,
and without apostrophes and hyphens (`Don't` and `don’t` are `dont`). In scripts without spaces between words
(Chinese, Japanese, Thai …) a run of letters is no word, so each letter with its marks counts as one.

The file has a line for each word: the word, a tab, its count; the most frequent first.
"""

import unicodedata
from collections import Counter
from collections.abc import Mapping
from contextlib import closing
from functools import partial
from pathlib import Path

from nmt.data.examples import Numbered, StoredExamples
from nmt.data.scripts import has_spaces
from nmt.data.text import canonical_key, words
from nmt.errors import DataError
from nmt.files import replacing

WordCounts = Mapping[str, int]


def counted_words(text: str) -> list[str]:
    """The words of a text as they are counted: "Don't go, 小明." → ["dont", "go", "小", "明"]."""
    keys = (canonical_key(word) for word in words(text))
    return [unit for key in keys if _category(key[0]) in "LMN" for unit in _units(key)]


def _units(word: str) -> list[str]:
    """A word, or its letters with their marks where the script has no spaces."""
    if word.isascii():
        return [word]
    units: list[str] = []
    joined = False  # whether the next character continues the last unit
    for character in word:
        category, spaced = _category(character), has_spaces(character)
        if units and (category == "M" or (joined and spaced)):
            units[-1] += character
        else:
            units.append(character)
        joined = joined if units and category == "M" else spaced
    return units


def _category(character: str) -> str:
    return unicodedata.category(character)[0]


def rarest_count(text: str, counts: WordCounts) -> int | None:
    """How often the rarest word of a sentence occurs in the training set; None if it has no word."""
    return min((counts.get(word, 0) for word in counted_words(text)), default=None)


def count_source_words(train: StoredExamples, lines: int, workers: int | None = None) -> Counter[str]:
    """The number of occurrences of each word in the sources of a training set; a source that has several
    translations is in as many pairs, and counts as often.

    Args:
        train: the training set.
        lines: how many of its examples count, from the first: those of the main corpus, so that runs with
            and without extra corpora have the same counts.
        workers: as in `in_order`.

    Raises:
        DataError: if the set is corrupt.
    """
    counts: Counter[str] = Counter()
    with closing(train.map_chunks(partial(_count_chunk, lines), workers)) as chunks:
        for chunk in chunks:
            counts.update(chunk)
    return counts


def _count_chunk(lines: int, chunk: Numbered) -> Counter[str]:
    examples = chunk.examples[: max(0, lines - chunk.first)]
    tokens = Counter(token for example in examples for token in example.source.split())
    counts: Counter[str] = Counter()
    for token, count in tokens.items():  # no word has a space in it: each distinct token is split once
        for word in counted_words(token):
            counts[word] += count
    return counts


def save_word_counts(path: Path, counts: WordCounts) -> None:
    """Write counts to a file."""
    with replacing(path) as file:
        for word, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
            file.write(f"{word}\t{count}\n")


def load_word_counts(path: Path) -> dict[str, int]:
    """Read the counts written by `save_word_counts`.

    Raises:
        DataError: if the file is missing or corrupt.
    """
    counts: dict[str, int] = {}
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for line in file:
                word, count = line.removesuffix("\n").split("\t")
                counts[word] = int(count)
    except (OSError, ValueError) as error:
        raise DataError(
            "missing or corrupt; delete it to evaluate without it", path, len(counts) + 1
        ) from error
    return counts
