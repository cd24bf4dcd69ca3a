"""The user's own sentence pairs, one per line, in tab-separated columns; UTF-8, plain or gzip."""

from collections.abc import Iterator
from pathlib import Path

from nmt.config.data import DataConfig
from nmt.data.lines import file_lines
from nmt.data.sources.source import DataSource, RawPair, columns, given_file


class TsvSource(DataSource):
    """One file with a column for each side, and an optional one for word alignments."""

    requires = ("data.path",)
    uses = ("data.source_column", "data.target_column", "data.alignment_column")
    alignments = "data.alignment_column"

    @staticmethod
    def conflicts(data: DataConfig) -> list[str]:
        """Columns that are used twice."""
        found = []
        if data.source_column == data.target_column:
            found.append(f"data.target_column={data.target_column}: the same as data.source_column")
        if data.alignment_column in (data.source_column, data.target_column):
            found.append(f"data.alignment_column={data.alignment_column}: already a column of sentences")
        return found

    def files(self) -> list[Path]:
        """The given file; see `DataSource.files`."""
        return [given_file("path", self.data.path)]

    def pairs(self, files: list[Path]) -> Iterator[RawPair]:
        """The given columns; see `DataSource.pairs`."""
        (file,) = files
        return read_columns(self.data, file)


def read_columns(data: DataConfig, file: Path, aligned: bool = True) -> Iterator[RawPair]:
    """The pairs of a TSV file, from the columns given in the settings, or from the first two if the corpus
    is not TSV.

    Args:
        data: has the column numbers.
        file: the TSV file.
        aligned: whether the alignment column, if set, is required.

    Raises:
        DataError: while iterating, for text that is not UTF-8 and for a missing column.
    """
    if data.source != "tsv":
        return columns(file_lines(file), str(file), 1, 2)
    numbers = (data.source_column, data.target_column, data.alignment_column)
    return columns(file_lines(file), str(file), *numbers, aligned=aligned)
