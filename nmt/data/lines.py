"""Lines of text files: UTF-8, split at U+000A only, plain or gzip."""

import gzip
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from nmt.errors import DataError

_GZIP_MAGIC = b"\x1f\x8b"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"


def decoded_lines(file: Iterable[bytes], where: str, keep_ends: bool = False) -> Iterator[tuple[int, str]]:
    """The lines of a file, numbered from 1, without line endings or with them.

    Raises:
        DataError: while iterating, for text that is not UTF-8, with `where` and the line.
    """
    for number, line in enumerate(file, start=1):
        content = line.removeprefix(_BYTE_ORDER_MARK) if number == 1 else line
        if not content:  # the file contains only the byte-order mark
            return
        if number == 1 and not content.endswith(b"\n") and b"\r" in content.rstrip(b"\r"):
            raise DataError(
                "its lines end in CR only (classic Mac line endings), so the whole file is one line; "
                "convert it: tr '\\r' '\\n' <OLD >NEW",
                where,
            )
        try:
            text = content.decode("utf-8")
        except UnicodeDecodeError as error:
            byte = content[error.start]
            raise DataError(
                f"not UTF-8 (byte 0x{byte:02X} at position {error.start + 1}); convert the file to UTF-8",
                where,
                number,
            ) from error
        yield number, text if keep_ends else text.removesuffix("\n").removesuffix("\r")


@contextmanager
def _open_text(path: Path) -> Iterator[Iterable[bytes]]:
    """Open a plain or gzip file, detected by its first bytes; read errors become `DataError` too."""
    try:
        with path.open("rb") as file:
            compressed = file.read(len(_GZIP_MAGIC)) == _GZIP_MAGIC
            file.seek(0)
            if not compressed:
                yield file
                return
            with gzip.GzipFile(fileobj=file) as unpacked:
                yield unpacked
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise DataError(f"corrupt or truncated gzip file ({error}); download it again", path) from error
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", path) from error


def file_lines(path: Path, keep_ends: bool = False) -> Iterator[tuple[int, str]]:
    """The numbered lines of a plain or gzip file, as from `decoded_lines`.

    Raises:
        DataError: while iterating, for text that is not UTF-8 and for a file that cannot be read.
    """
    with _open_text(path) as file:
        yield from decoded_lines(file, str(path), keep_ends)
