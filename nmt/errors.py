"""The errors that a user can cause and mend.

Every command turns an `NmtError` into one line on standard error and exit code 2; any other
exception is a fault of this program (exit code 1). `assert` guards what can only be our own mistake.
"""

from pathlib import Path


class NmtError(Exception):
    """Something the user can mend; the message is one line: what, where, and what to do."""


class ConfigError(NmtError):
    """A setting that is misspelt, of the wrong type, impossible, or in conflict with another."""


class DataError(NmtError):
    """A corpus that cannot be read or used.

    Args:
        message: what is wrong and what to do about it.
        path: the file at fault, if there is one.
        line: its line number, counted from 1.
    """

    def __init__(self, message: str, path: Path | str | None = None, line: int | None = None) -> None:
        where = "" if path is None else f"{path}: " if line is None else f"{path}, line {line}: "
        super().__init__(where + message)


class DownloadError(DataError):
    """The corpus could not be fetched."""


class StoppedError(NmtError):
    """A training that a signal has stopped, with everything saved.

    Args:
        message: how to go on.
        signal: the signal's number; the exit code is 128 more.
        score: of a training that was past its last update: it has been finished, but nothing after it is
            to begin.
    """

    def __init__(self, message: str, signal: int, score: float | None = None) -> None:
        super().__init__(message)
        self.code = 128 + signal
        self.score = score


class RunError(NmtError):
    """A run folder or checkpoint that is missing, damaged, or does not fit."""
