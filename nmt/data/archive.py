"""Zip archives of sentence pairs: opening and verification, with one-line error messages."""

import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from nmt.errors import DataError

# What `zipfile` raises for corruption, encryption and unsupported compression methods.
_FORMAT_ERRORS = (zipfile.BadZipFile, zlib.error, lzma.LZMAError, struct.error, ValueError, RuntimeError)
_ZIP_ERRORS = (*_FORMAT_ERRORS, EOFError, OverflowError, OSError)


@contextmanager
def _zip(path: Path, member: str, label: Path | str) -> Iterator[zipfile.ZipFile]:
    """Open an archive that contains `member`; any failure becomes a `DataError` about `label`."""
    try:
        with zipfile.ZipFile(path) as archive:
            _require(archive, member, label)
            yield archive
    except _ZIP_ERRORS as error:
        reason = str(error) or type(error).__name__
        raise DataError(
            f"not a complete zip archive ({reason}); it is corrupt or truncated: download it again",
            label,
        ) from error


def _require(archive: zipfile.ZipFile, member: str, label: Path | str) -> None:
    if member in archive.namelist():
        if archive.getinfo(member).flag_bits & 1:
            raise DataError(f"its {member} is encrypted; unpack it and zip it without a password", label)
        return
    texts = [name for name in archive.namelist() if name.endswith(".txt") and name != "_about.txt"]
    if len(texts) == 1 and re.fullmatch(r"[a-z]{2,8}\.txt", texts[0]):
        language = texts[0].removesuffix(".txt")
        raise DataError(f"has no {member}, only {texts[0]}; set data.language={language} to use it", label)
    names = ", ".join(texts[:5]) + (" …" if len(texts) > 5 else "")
    raise DataError(
        f"has no {member}; text files in it: {names or 'none'}; is it an archive of sentence pairs?", label
    )


@contextmanager
def open_member(path: Path, member: str) -> Iterator[IO[bytes]]:
    """Open one member of a zip archive for reading.

    Raises:
        DataError: if it is not a readable zip archive or lacks `member`; also while reading from it.
    """
    with _zip(path, member, path) as archive, archive.open(member) as file:
        yield file


def check_archive(path: Path, member: str, label: Path | str | None = None) -> None:
    """Read an entire zip archive and verify its checksums.

    Raises:
        DataError: if it is not a complete zip archive with `member`; names `label` (default: the path).
    """
    with _zip(path, member, label or path) as archive:
        corrupt = archive.testzip()
        if corrupt is not None:
            raise zipfile.BadZipFile(f"bad checksum of {corrupt}")
