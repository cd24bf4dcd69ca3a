"""Files that are either whole or absent: written beside their place, flushed, then renamed."""

import errno
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_ADVICE = {
    errno.ENOSPC: "free some space",
    errno.EDQUOT: "free some space",
    errno.EFBIG: "allow larger files (ulimit -f)",
    errno.EROFS: "make it writable or choose another folder",
    errno.EACCES: "make it writable or choose another folder",
    errno.EPERM: "make it writable or choose another folder",
    errno.EEXIST: "a file is in the way of a folder: move it or choose another folder",
    errno.ENOTDIR: "a file is in the way of a folder: move it or choose another folder",
    errno.EISDIR: "a folder is in the way of a file: move it or choose another name",
}


def explain(error: OSError, where: Path | str) -> str:
    """A failure of the file system in one line: which file, what, and what to do.

    Args:
        error: what was raised.
        where: what is named if the error names no file.
    """
    advice = _ADVICE.get(error.errno or 0, "mend that")
    return f"{error.filename or where}: {error.strerror or error}; {advice}"


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let failures inside name `path` if they name no file, or one that is on its way to `path`: its name
    begins with that of `path` between two dots.

    Raises:
        OSError: as it was raised inside, but for its `filename`.
    """
    try:
        yield
    except OSError as error:
        on_its_way = str(path.with_name(f".{path.name}."))
        if error.errno is None or not str(error.filename or on_its_way).startswith(on_its_way):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries, so that a rename in it survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def replacing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file that takes the place of `path` when the block ends without an error.

    Text is UTF-8 and lines end as written (no translation). On an error the temporary file goes and
    what stood at `path` stays untouched.

    Raises:
        OSError: when it cannot be written; it names `path` or the folder that cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path), _temporary(path) as (descriptor, temporary):
        text = "b" not in mode
        with os.fdopen(
            descriptor, mode, encoding="utf-8" if text else None, newline="" if text else None
        ) as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o666 & ~umask)
        temporary.replace(path)
        sync_folder(path.parent)


@contextmanager
def _temporary(path: Path) -> Iterator[tuple[int, Path]]:
    """An open file beside `path` and its name; if it still has that name in the end, it goes."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        yield descriptor, Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Put `content` at `path`, whole or not at all."""
    with replacing(path, "wb") as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Put `text` at `path`, whole or not at all."""
    with replacing(path) as file:
        file.write(text)


def write_json(path: Path, value: Any) -> None:
    """Put `value` at `path` as indented JSON, whole or not at all."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
