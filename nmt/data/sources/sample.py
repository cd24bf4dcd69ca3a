"""The bundled corpus: English and Marathi sentences of a small grammar, with gold word alignments."""

from collections.abc import Iterator
from pathlib import Path

from nmt.config.data import DataConfig
from nmt.data.lines import file_lines
from nmt.data.sources.source import DataSource, RawPair, columns
from nmt.errors import DataError

_PACKAGE = Path(__file__).resolve().parents[2]


class SampleSource(DataSource):
    """The bundled corpus."""

    licence = "MIT, made for this project"
    alignments = True

    @staticmethod
    def languages(data: DataConfig) -> tuple[str, str]:
        """English and Marathi."""
        return "en", "mr"

    def files(self) -> list[Path]:
        """The bundled file; see `DataSource.files`."""
        return [sample_file()]

    def pairs(self, files: list[Path]) -> Iterator[RawPair]:
        """Source, target and alignment in three columns; see `DataSource.pairs`."""
        (file,) = files
        return columns(file_lines(file), str(file), 1, 2, 3)


def sample_file() -> Path:
    """The bundled corpus: inside an installed package, or under `data/` in a checkout.

    Raises:
        DataError: if it is in neither location.
    """
    paths = [_PACKAGE / "sample" / "corpus.tsv", _PACKAGE.parent / "data" / "sample" / "corpus.tsv"]
    for path in paths:
        if path.is_file():
            return path
    raise DataError("the bundled corpus is missing; reinstall the package", paths[0])
