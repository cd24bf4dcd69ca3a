"""Raw sentence pairs from a manythings archive, the bundled corpus, TSV, or Moses text.

Lines end at U+000A only (a carriage return before it is stripped); other separators, such as U+2028 and
U+0085, are text. Invalid input is an error with file and line; empty sentences are passed through, so that
cleaning can count them.
"""

import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from nmt.config.data import DataConfig
from nmt.data.archive import open_member
from nmt.data.download import fetch
from nmt.data.lines import decoded_lines, file_lines
from nmt.errors import ConfigError, DataError

_PACKAGE = Path(__file__).resolve().parent.parent


class RawPair(NamedTuple):
    """A source and a target sentence as read, with their line number (from 1).

    `alignment` is the gold word alignment in Pharaoh format ("0-0 1-2"), if the corpus has one.
    """

    source: str
    target: str
    line: int
    alignment: str | None = None


# ---------------------------------------------------------------- which files


def sample_file() -> Path:
    """The bundled corpus: inside an installed package, or under `data/` in a checkout.

    Raises:
        DataError: if it is in neither location.
    """
    places = [_PACKAGE / "sample" / "corpus.tsv", _PACKAGE.parent / "data" / "sample" / "corpus.tsv"]
    for place in places:
        if place.is_file():
            return place
    raise DataError("the bundled corpus is missing; reinstall the package", places[0])


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


def _member(data: DataConfig) -> str:
    """The name of the file with the sentence pairs inside a manythings archive."""
    if not re.fullmatch("[a-z]{2,8}", data.language):  # it becomes part of a URL and a path
        raise ConfigError(f"data.language={data.language}: must be a code such as mar, deu or fra")
    return f"{data.language}.txt"


def _archive(data: DataConfig) -> Path:
    member = _member(data)
    if data.archive:
        path = given_file("archive", data.archive)
        with open_member(path, member):
            return path
    cached = Path(data.cache) / "manythings" / f"{data.language}-eng.zip"
    fetch(data.url.replace("{language}", data.language), cached, member=member)
    try:
        with open_member(cached, member):
            return cached
    except DataError as error:
        raise DataError(f"{error}; delete this file to download it again") from error


def source_files(data: DataConfig) -> list[Path]:
    """The files that `read_pairs` reads, downloaded if necessary; all are checked to be readable.

    Raises:
        ConfigError: if a setting that names them is missing or invalid.
        DataError: if a file is missing or unusable; names the setting.
        DownloadError: if the archive cannot be downloaded.
    """
    if data.source == "manythings":
        return [_archive(data)]
    if data.source == "sample":
        return [sample_file()]
    if data.source == "tsv":
        return [given_file("path", data.path)]
    assert data.source == "moses", data.source
    names = ["source_path", "target_path", *(["alignment_path"] if data.alignment_path else [])]
    return [given_file(name, getattr(data, name)) for name in names]


# ---------------------------------------------------------------- pairs


def _member_lines(path: Path, member: str) -> Iterator[tuple[int, str]]:
    with open_member(path, member) as file:
        yield from decoded_lines(file, f"{path} ({member})")


def _columns(
    lines: Iterator[tuple[int, str]],
    where: str,
    source: int,
    target: int,
    alignment: int | None = None,
    aligned: bool = True,
) -> Iterator[RawPair]:
    """Pairs from tab-separated columns, numbered from 1; a blank line is an empty pair."""
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
        return _columns(file_lines(file), str(file), 1, 2)
    columns = (data.source_column, data.target_column, data.alignment_column)
    return _columns(file_lines(file), str(file), *columns, aligned=aligned)


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


def read_pairs(data: DataConfig, files: list[Path]) -> Iterator[RawPair]:
    """The raw sentence pairs of `files` (from `source_files`), one at a time.

    Nothing is cleaned, dropped or swapped: in a manythings archive, English is the source. A blank
    line gives a pair of empty sentences, and an empty side stays empty.

    Raises:
        DataError: while iterating, with file and line, for text that is not UTF-8, a missing column, or
            sides of different length; with the file if it is corrupt.
    """
    if data.source == "moses":
        return side_by_side(*files)
    (file,) = files
    if data.source == "manythings":
        member = _member(data)
        return _columns(_member_lines(file, member), f"{file} ({member})", 1, 2)
    if data.source == "sample":
        return _columns(file_lines(file), str(file), 1, 2, 3)
    return read_columns(data, file)
