"""Files that are either whole or absent: written beside their place, flushed, then renamed."""

import errno
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

_POLL = 0.1  # seconds between attempts to get a lock
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
    advice = _ADVICE.get(error.errno or 0, "fix that")
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
    """Flush a folder's entries, so that a rename in it survives a power cut. Windows cannot open folders
    and needs nothing of the kind.

    Raises:
        OSError: when they cannot be written.
    """
    directory = getattr(os, "O_DIRECTORY", None)
    if directory is None:
        return
    descriptor = os.open(folder, os.O_RDONLY | directory)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def lock_file(path: Path, wait: bool) -> Iterator[None]:
    """Hold an exclusive lock on the file at `path`, which is made; the system releases it when the process
    dies.

    Args:
        path: of a file that has no other use.
        wait: until another process that holds the lock releases it.

    Raises:
        BlockingIOError: when another process holds it and `wait` is False.
        OSError: when the file cannot be opened, or its file system has no locks.
    """
    from portalocker import AlreadyLocked, LockException, LockFlags, lock, unlock

    with path.open("ab") as file:
        while True:
            try:
                lock(file, LockFlags.EXCLUSIVE | LockFlags.NON_BLOCKING)  # a wait ends after 10 s on Windows
                break
            except AlreadyLocked as error:
                if not wait:
                    raise BlockingIOError(errno.EAGAIN, os.strerror(errno.EAGAIN), str(path)) from error
            except LockException as error:
                cause = error.__cause__
                number = (cause.errno if isinstance(cause, OSError) else None) or errno.ENOLCK
                raise OSError(number, os.strerror(number), str(path)) from error
            time.sleep(_POLL)
        try:
            yield
        finally:
            unlock(file)


@contextmanager
def replacing(path: Path, mode: str = "w") -> Iterator[IO[Any]]:
    """Open a temporary file that takes the place of `path` when the block ends without an error.

    Text is UTF-8 and lines end as written (no translation); what UTF-8 cannot encode, a lone surrogate in
    a file's name, is written as an escape, which in JSON is the same string. On an error the temporary file
    goes and what stood at `path` stays untouched.

    Raises:
        OSError: when it cannot be written; it names `path` or the folder that cannot be made.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with naming(path), _temporary(path) as (descriptor, temporary):
        text: dict[str, Any] = {"encoding": "utf-8", "errors": "backslashreplace", "newline": ""}
        with os.fdopen(descriptor, mode, **({} if "b" in mode else text)) as file:
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
