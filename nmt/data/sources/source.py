"""What a data source is, and the readers that sources share.

Lines end at U+000A only (a carriage return before it is stripped); other separators, such as U+2028 and
U+0085, are text. Invalid input is an error with file and line; empty sentences are passed through, so that
cleaning can count them.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import ClassVar, NamedTuple

from nmt.config.data import DataConfig
from nmt.config.extensions import SOURCES
from nmt.data.lines import file_lines
from nmt.errors import ConfigError, DataError


class RawPair(NamedTuple):
    """A source and a target sentence as read, with their line number (from 1).

    `alignment` is the gold word alignment in Pharaoh format ("0-0 1-2"), if the corpus has one.
    """

    source: str
    target: str
    line: int
    alignment: str | None = None


class DataSource(ABC):
    """A corpus: its settings, its files and its sentence pairs. How to add one: docs/extending.md.

    Args:
        data: the data settings.

    Attributes:
        requires: dotted keys of the settings that must be given with this source.
        uses: those that have an effect with it besides, but not with every source.
        licence: of the corpus, if it is known.
        alignments: whether the corpus has gold word alignments, or the key of the setting that says where.
        location: the name of the setting that says where the corpus is: `path` of an extra corpus.
    """

    requires: ClassVar[tuple[str, ...]] = ()
    uses: ClassVar[tuple[str, ...]] = ()
    licence: ClassVar[str | None] = None
    alignments: ClassVar[bool | str] = False
    location: ClassVar[str] = "path"

    def __init__(self, data: DataConfig) -> None:
        self.data = data

    @staticmethod
    def conflicts(data: DataConfig) -> list[str]:
        """What is wrong with the settings, one message each; no file is opened."""
        return []

    @staticmethod
    def languages(data: DataConfig) -> tuple[str, str] | None:
        """Codes of the languages (`nmt.config.languages`) in the order of the files; None: not known."""
        return None

    @property
    def is_local(self) -> bool:
        """Whether `files` works without a network."""
        return True

    @abstractmethod
    def files(self) -> list[Path]:
        """The files that `pairs` reads, downloaded if necessary; all are checked to be readable.

        Raises:
            ConfigError: if a setting that names them is missing or invalid.
            DataError: if a file is missing or unusable; names the setting.
            DownloadError: if a file cannot be downloaded.
        """

    @abstractmethod
    def pairs(self, files: list[Path]) -> Iterator[RawPair]:
        """The raw sentence pairs, one at a time. Nothing is cleaned, dropped or swapped. A blank line gives
        a pair of empty sentences, and an empty side stays empty.

        Args:
            files: from `files`.

        Raises:
            DataError: while iterating, with file and line, for text that is not UTF-8, a missing column, or
                sides of different length; with the file if it is corrupt.
        """

    def alignment_file(self, files: list[Path]) -> Path:
        """The file that an error in a word alignment names."""
        return files[0]


def open_source(data: DataConfig) -> DataSource:
    """The source that `data.source` chooses."""
    chosen = SOURCES.load(data.source)
    assert issubclass(chosen, DataSource), chosen
    return chosen(data)


# ---------------------------------------------------------------- readers


def given_file(key: str, value: str | None) -> Path:
    """The file named by the setting `data.<key>`, checked to be readable.

    Raises:
        ConfigError: if it is not set.
        DataError: if it cannot be read.
    """
    if not value:
        raise ConfigError(f"data.{key}: not set; add data.{key}=FILE")
    path = Path(value)
    try:
        if not path.exists():
            where = "" if path.is_absolute() else f" in {Path.cwd()}"
            raise DataError(f"data.{key}={value}: no such file{where}")
        if not path.is_file():
            raise DataError(f"data.{key}={value}: not a regular file; give the path of a file")
        with path.open("rb"):
            return path
    except OSError as error:
        raise DataError(f"data.{key}={value}: cannot be read ({error.strerror})") from error


def columns(
    lines: Iterator[tuple[int, str]],
    where: str,
    source: int,
    target: int,
    alignment: int | None = None,
    aligned: bool = True,
) -> Iterator[RawPair]:
    """Pairs from tab-separated columns, numbered from 1; a blank line is an empty pair.

    Args:
        lines: with their numbers.
        where: names the file in errors.
        source, target, alignment: the columns.
        aligned: whether the alignment column, if set, is required.

    Raises:
        DataError: while iterating, for a missing column.
    """
    needed = max(source, target, alignment or 0 if aligned else 0)
    for number, line in lines:
        cells = line.split("\t")
        if len(cells) >= needed:
            gold = None if alignment is None or len(cells) < alignment else cells[alignment - 1]
            yield RawPair(cells[source - 1], cells[target - 1], number, gold)
        elif not line.strip():
            yield RawPair("", "", number)
        else:
            raise DataError(
                f"has no column {needed}; it has {len(cells)} tab-separated columns", where, number
            )


def side_by_side(source: Path, target: Path, alignment: Path | None = None) -> Iterator[RawPair]:
    """Pairs from two line-aligned files (plain or gzip), with alignments from an optional third.

    Raises:
        DataError: while iterating, if the files differ in number of lines.
    """
    files = [source, target, *([alignment] if alignment else [])]
    sides = [file_lines(file) for file in files]
    for number, lines in enumerate(zip_longest(*sides), start=1):
        if None not in lines:
            texts = [text for _, text in lines]
            yield RawPair(texts[0], texts[1], number, texts[2] if alignment else None)
            continue
        short = next(file for file, line in zip(files, lines, strict=True) if line is None)
        long, rest = next((files[k], sides[k]) for k, line in enumerate(lines) if line is not None)
        total = number + sum(1 for _ in rest)
        raise DataError(
            f"has no counterpart: {short} has {number - 1} lines, {long} has {total}; lines must match up",
            long,
            number,
        )
