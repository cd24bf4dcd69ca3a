"""The sentences that teachers translate: each once, in the order in which they occur."""

from collections.abc import Iterable, Iterator, Sequence
from itertools import chain, compress, islice
from pathlib import Path

from nmt.data.examples import Example
from nmt.data.keys import SeenKeys, text_keys
from nmt.data.lines import file_lines
from nmt.data.text import clean, words
from nmt.files import replacing

_CHUNK = 8192  # sentences whose keys are compared at a time


def write_sentences(path: Path, examples: Iterable[Example], texts: Sequence[Path], max_words: int) -> int:
    """Write the sources of examples, then the lines of texts, as a file with one sentence per line.

    Args:
        path: the file.
        examples: with cleaned sources.
        texts: files of any text, which is cleaned; blank lines are left out.
        max_words: lines of the texts that have more words are left out.

    Returns:
        the number of sentences.

    Raises:
        DataError: if a text is not UTF-8, or cannot be read; nothing is written.
    """
    lines = chain((example.source for example in examples), *(_usable(text, max_words) for text in texts))
    count = 0
    with replacing(path) as file:
        for sentence in distinct(lines):
            file.write(f"{sentence}\n")
            count += 1
    return count


def distinct(sentences: Iterable[str]) -> Iterator[str]:
    """The sentences without those that occurred before."""
    seen, rest = SeenKeys(), iter(sentences)
    while chunk := list(islice(rest, _CHUNK)):
        yield from compress(chunk, seen.add(text_keys(chunk)))


def _usable(text: Path, max_words: int) -> Iterator[str]:
    cleaned = (clean(line) for _, line in file_lines(text))
    return (line for line in cleaned if line and len(words(line)) <= max_words)
