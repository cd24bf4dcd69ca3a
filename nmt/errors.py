"""Errors that the user can cause and fix.

Every command turns an `NmtError` into one line on standard error and exit code 2; any other
exception is a bug in this program (exit code 1). `assert` is for what can only be a bug.
"""

from pathlib import Path


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
