"""Files that are either whole or absent: written beside their place, flushed, then renamed."""

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any


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
        OSError: as `open` and `os.replace` do.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    text = "b" not in mode
    descriptor, name = tempfile.mkstemp(prefix=f".{path.name}.", suffix=".tmp", dir=path.parent)
    temporary = Path(name)
    try:
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
    finally:
        temporary.unlink(missing_ok=True)


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
