"""A disk that fails at a chosen call, and a limit on file size."""

import errno
import io
import math
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

CALLS = ("open", "mkdir", "fsync", "chmod", "replace", "rename", "unlink", "rmdir")  # of `os`, beside write


class Disk:
    """Counts the calls that modify the disk and makes one of them fail, or all from there on.

    Args:
        patch: undone by the caller.
        at: the number of the call that fails, from 0; None: none fails.
        lasting: all later calls fail too.
        fault: the exception to raise.
    """

    def __init__(
        self,
        patch: pytest.MonkeyPatch,
        at: int | None = None,
        lasting: bool = False,
        fault: BaseException | None = None,
    ) -> None:
        self.count, self._at, self._lasting = 0, math.inf if at is None else at, lasting
        self._fault = fault or full()
        for name in CALLS:
            patch.setattr(os, name, self._wrapped(getattr(os, name)))
        patch.setattr(os, "fdopen", self._opened)

    def fails(self) -> bool:
        """Count a call; returns whether it should fail."""
        number, self.count = self.count, self.count + 1
        return number >= self._at if self._lasting else number == self._at

    def _wrapped(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def wrapped(*arguments: Any, **options: Any) -> Any:
            if self.fails():
                raise self._fault
            return call(*arguments, **options)

        return wrapped

    def _opened(self, descriptor: int, mode: str, **text: Any) -> Any:
        disk = self

        class Raw(io.FileIO):
            def write(self, content: Any) -> int:
                if disk.fails():
                    super().write(bytes(content)[: len(content) // 2])  # half of it is on the disk
                    raise disk._fault
                return super().write(content)

        binary = io.BufferedWriter(Raw(descriptor, "wb"))
        return binary if "b" in mode else io.TextIOWrapper(binary, **text)


def full() -> OSError:
    """The error of a full disk without a file name."""
    return OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


@contextmanager
def largest_file(size: int) -> Iterator[None]:
    """Inside, no file can grow beyond this many bytes: the operating system rejects such writes."""
    resource = pytest.importorskip("resource")  # not on Windows
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
