"""Atomic file writes: each file is written to a temporary name in the same folder, synced, then renamed."""

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

_POLL = 0.1  # seconds between attempts to acquire a lock


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Set the `filename` of an `OSError` raised inside to `path`, if it has none or names a temporary file
    for `path` (`.<name of path>.…`).

    Raises:
        OSError: the error raised inside, with the new `filename`.
    """
    try:
        yield
    except OSError as error:
        temporary = str(path.with_name(f".{path.name}."))
        if error.errno is None or not str(error.filename or temporary).startswith(temporary):
            raise
        raise OSError(error.errno, error.strerror, str(path)) from error


def sync_folder(folder: Path) -> None:
    """Sync a folder to disk, so that a rename in it survives a power failure. Does nothing on Windows, which
    cannot open folders and does not need it.

    Raises:
        OSError: if the sync fails.
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
    """Hold an exclusive lock on the file at `path`, which is created; the operating system releases the lock
    when the process dies.

    Args:
        path: a file used only for this lock.
        wait: wait until another process that holds the lock releases it.

    Raises:
        BlockingIOError: if another process holds the lock and `wait` is False.
        OSError: if the file cannot be opened, or the file system does not support locks.
    """
    from portalocker import AlreadyLocked, LockException, LockFlags, lock, unlock

    with path.open("ab") as file:
        while True:
            try:
                lock(file, LockFlags.EXCLUSIVE | LockFlags.NON_BLOCKING)  # blocking times out on Windows
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
    """Open a temporary file that replaces `path` when the block ends without an error.

    Text is UTF-8 without newline translation; lone surrogates (in file names), which UTF-8 cannot encode,
    are written as escapes, which mean the same string in JSON. On an error the temporary file is removed and
    `path` is left untouched.

    Raises:
        OSError: if writing fails; it names `path` or the folder that cannot be created.
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
    """Yield the descriptor and name of a temporary file next to `path`, removed at the end unless renamed."""
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    try:
        yield descriptor, Path(name)
    finally:
        Path(name).unlink(missing_ok=True)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path` atomically."""
    with replacing(path, "wb") as file:
        file.write(content)


def write_text(path: Path, text: str) -> None:
    """Write `text` to `path` atomically."""
    with replacing(path) as file:
        file.write(text)


def write_json(path: Path, value: Any) -> None:
    """Write `value` to `path` atomically as indented JSON."""
    write_text(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def sha256(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
