"""How a command or a training run ends with an error: the message and the exit code."""

import traceback
from pathlib import Path
from typing import NamedTuple

from nmt.errors import NmtError, StoppedError
from nmt.files import explain

INTERRUPTED = 130


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
    first_line = (str(error).splitlines() or [""])[0]
    return Failure(f"internal error: {type(error).__name__}: {first_line}", 1, internal=True)


def whole_text(error: BaseException, where: Path | str) -> str:
    """The line from `describe`, after the traceback if it is an internal error."""
    failure = describe(error, where)
    trace = "".join(traceback.format_exception(error)) if failure.internal else ""
    return trace + failure.line


def _one_line(text: str) -> str:
    """Replace line breaks by spaces; other whitespace may belong to a path."""
    return " ".join(line.strip() for line in text.splitlines() if line.strip())
