"""A dictionary or glossary: a word or phrase and its translation on each line; UTF-8, plain or gzip."""

from collections.abc import Iterator
from pathlib import Path

from nmt.data.lines import file_lines
from nmt.data.sources.source import DataSource, RawPair, columns, given_file


class DictionarySource(DataSource):
    """One file: source, tab, target; further columns are ignored, and so are lines that begin with #."""

    requires = ("data.path",)

    def files(self) -> list[Path]:
        """The given file; see `DataSource.files`."""
        return [given_file("path", self.data.path)]

    def pairs(self, files: list[Path]) -> Iterator[RawPair]:
        """The first two columns, without comments; see `DataSource.pairs`."""
        (file,) = files
        lines = ((number, line) for number, line in file_lines(file) if not line.startswith("#"))
        return columns(lines, str(file), 1, 2)
