"""The user's own sentences in two files, aligned line by line; UTF-8, plain or gzip."""

from collections.abc import Iterator
from pathlib import Path

from nmt.data.sources.source import DataSource, RawPair, given_file, side_by_side


class MosesSource(DataSource):
    """A file for each side, and an optional one for word alignments."""

    requires = ("data.source_path", "data.target_path")
    uses = ("data.alignment_path",)
    location = "source_path"
    alignments = "data.alignment_path"

    def files(self) -> list[Path]:
        """Source, target and, if given, alignments; see `DataSource.files`."""
        names = ["source_path", "target_path", *(["alignment_path"] if self.data.alignment_path else [])]
        return [given_file(name, getattr(self.data, name)) for name in names]

    def pairs(self, files: list[Path]) -> Iterator[RawPair]:
        """Line by line; see `DataSource.pairs`."""
        return side_by_side(*files)

    def alignment_file(self, files: list[Path]) -> Path:
        """The third file, or the first if there are no alignments."""
        return files[2] if len(files) == 3 else files[0]
