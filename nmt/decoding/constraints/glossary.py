"""Terms and their translations: read from a file, and found in a source sentence."""

from collections.abc import Mapping
from pathlib import Path

from nmt.data.lines import file_lines
from nmt.data.text import clean
from nmt.decoding.constraints.characters import EDGE, with_edges
from nmt.errors import DataError

Group = tuple[str, ...]
"""Translations of which one is enough."""


class Glossary:
    """Finds terms in source sentences, as whole words and without case. The end of a word is that of its
    letters and digits, so "Tom" is in "Tom's".

    Args:
        entries: source term → target term, or several.
    """

    def __init__(self, entries: Mapping[str, str | Group]) -> None:
        self._terms: dict[tuple[str, ...], tuple[str, Group]] = {}
        for source, target in entries.items():
            group = (target,) if isinstance(target, str) else tuple(target)
            self._terms[_words(clean(source))] = source, group
        self._longest = max(map(len, self._terms), default=0)

    def find(self, text: str) -> list[tuple[str, Group]]:
        """The terms that a cleaned text has, each once, and their translations, in order; of those that
        overlap, the one that begins first, and of these the longest.
        """
        words = _words(text)
        found: dict[str, Group] = {}
        start = 0
        while start < len(words):
            lengths = range(min(self._longest, len(words) - start), 0, -1)
            length = next((n for n in lengths if words[start : start + n] in self._terms), 0)
            if length:
                source, group = self._terms[words[start : start + length]]
                found[source] = group
            start += length or 1
        return list(found.items())


def _words(text: str) -> tuple[str, ...]:
    return tuple(word for word in with_edges(text.casefold()).split(EDGE) if word.strip())


def read_glossary(path: Path) -> dict[str, Group]:
    """Read a glossary: lines of a source term, a tab, and its translation; further columns are other
    translations of which one is enough. Blank lines are skipped, and lines without a tab that begin with #.

    Raises:
        DataError: if the file cannot be read, or a line is no entry, naming it.
    """
    entries: dict[str, Group] = {}
    for number, line in file_lines(path):
        columns = [clean(column) for column in line.split("\t")]
        if not any(columns) or (line.startswith("#") and len(columns) == 1):
            continue
        if len(columns) < 2 or not all(columns):
            raise DataError("must be a source term, a tab and its translation", path, number)
        if columns[0] in entries:
            raise DataError(f"{columns[0]!r} has an entry above; put all translations in one", path, number)
        entries[columns[0]] = tuple(columns[1:])
    return entries
