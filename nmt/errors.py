"""Errors that the user can cause and fix.

Every command turns an `NmtError` into one line on standard error and exit code 2; any other
exception is a bug in this program (exit code 1). `assert` is for what can only be a bug.
"""

import errno
import traceback
from pathlib import Path
from typing import NamedTuple

INTERRUPTED = 130
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


class NmtError(Exception):
    """Something the user can fix; the message is one line: what is wrong, where, and what to do."""


class ConfigError(NmtError):
    """A setting that is misspelt, of the wrong type, invalid, or in conflict with another."""


class DataError(NmtError):
    """A corpus that cannot be read or used.

    Args:
        message: what is wrong and what to do about it.
        path: the file with the error, if any.
        line: its line number, counted from 1.
    """

    def __init__(self, message: str, path: Path | str | None = None, line: int | None = None) -> None:
        where = "" if path is None else f"{path}: " if line is None else f"{path}, line {line}: "
        super().__init__(where + message)


class DownloadError(DataError):
    """The corpus could not be downloaded."""


class StoppedError(NmtError):
    """Training was stopped by a signal; everything is saved.

    Args:
        message: how to resume.
        signal: the signal number; the exit code is 128 + signal.
        score: set if training was already past its last update: the run was finished, but nothing after
            it should start.
    """

    def __init__(self, message: str, signal: int, score: float | None = None) -> None:
        super().__init__(message)
        self.code = 128 + signal
        self.score = score


class RunError(NmtError):
    """A run folder or checkpoint that is missing, corrupt, or does not match."""


# ---------------------------------------------------------------- how an error is reported


def explain(error: OSError, where: Path | str) -> str:
    """Describe an `OSError` in one line: which file, what went wrong, and what to do.

    Args:
        error: the exception.
        where: named in the message if the error has no file name.
    """
    advice = _ADVICE.get(error.errno or 0, "fix that")
    return f"{error.filename or where}: {error.strerror or error}; {advice}"


class Failure(NamedTuple):
    """How an exception is reported.

    Attributes:
        line: the one-line message; empty if another process reports it.
        code: the exit code: 2 user error, 1 internal error, 128 + N stopped by signal N.
        internal: whether it is an internal error, which needs the traceback.
    """

    line: str
    code: int
    internal: bool = False


def describe(error: BaseException, where: Path | str) -> Failure:
    """Describe an exception.

    Args:
        error: any exception.
        where: named in the message if an `OSError` has no file name.
    """
    if isinstance(error, StoppedError):
        return Failure(str(error), error.code)
    if isinstance(error, NmtError):
        return Failure(f"error: {_one_line(str(error))}", 2)
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return Failure("interrupted", INTERRUPTED)
    if isinstance(error, OSError) and error.errno is not None:  # such as a full disk
        return Failure(f"error: {explain(error, where)}", 2)
    if isinstance(error, ModuleNotFoundError) and error.name and error.name.partition(".")[0] != "nmt":
        return Failure(f"error: the Python package {error.name} is not installed; install it with pip", 2)
    first_line = (str(error).splitlines() or [""])[0]
    return Failure(f"internal error: {type(error).__name__}: {first_line}", 1, internal=True)


def full_text(error: BaseException, where: Path | str) -> str:
    """The line from `describe`, after the traceback if it is an internal error."""
    failure = describe(error, where)
    trace = "".join(traceback.format_exception(error)) if failure.internal else ""
    return trace + failure.line


def _one_line(text: str) -> str:
    """Replace line breaks by spaces; other whitespace may belong to a path."""
    return " ".join(line.strip() for line in text.splitlines() if line.strip())
