"""The sentences that teachers translate: each once, in the order in which they occur."""

from collections.abc import Iterable, Iterator
from itertools import compress, islice
from pathlib import Path

from nmt.data.keys import SeenKeys, text_keys
from nmt.data.lines import file_lines
from nmt.data.text import clean, words
from nmt.files import replacing

_CHUNK = 8192  # sentences whose keys are compared at a time


def write_distinct(path: Path, sentences: Iterable[str]) -> int:
    """Write sentences, each once, as a file with one per line.

    Args:
        path: the file.
        sentences: cleaned.

    Returns:
        the number of those that are written.

    Raises:
        NmtError: that `sentences` raise; nothing is written.
    """
    count = 0
    with replacing(path) as file:
        for sentence in distinct(sentences):
            file.write(f"{sentence}\n")
            count += 1
    return count


def distinct(sentences: Iterable[str]) -> Iterator[str]:
    """The sentences without those that occurred before."""
    return further(sentences, known=())


def further(sentences: Iterable[str], known: Iterable[str]) -> Iterator[str]:
    """The sentences without those that are known or occurred before."""
    seen = SeenKeys()
    for chunk in _chunks(known):
        seen.add(text_keys(chunk))
    for chunk in _chunks(sentences):
        yield from compress(chunk, seen.add(text_keys(chunk)))


def usable(text: Path, max_words: int) -> Iterator[str]:
    """The lines of a file of any text, cleaned; without those that are blank or have more words.

    Raises:
        DataError: if it is not UTF-8, or cannot be read.
    """
    cleaned = (clean(line) for _, line in file_lines(text))
    return (line for line in cleaned if line and len(words(line)) <= max_words)


def _chunks(sentences: Iterable[str]) -> Iterator[list[str]]:
    rest = iter(sentences)
    while chunk := list(islice(rest, _CHUNK)):
        yield chunk
