"""How a command or a training ends with an error: what is said of it, and the exit code."""

import traceback
from pathlib import Path
from typing import NamedTuple

from nmt.errors import NmtError, StoppedError
from nmt.files import explain

INTERRUPTED = 130


class Failure(NamedTuple):
    """What is known of an exception.

    Attributes:
        line: what to say, in one line; empty where another process says it.
        code: the exit code: 2 the user's mistake, 1 ours, 128 + N stopped by signal N.
        internal: whether it is our mistake, of which the traceback is needed.
    """

    line: str
    code: int
    internal: bool = False


def describe(error: BaseException, where: Path | str) -> Failure:
    """What to say of an exception.

    Args:
        error: any.
        where: what is named if a failure of the file system names no file.
    """
    if isinstance(error, StoppedError):
        return Failure(str(error), error.code)
    if isinstance(error, NmtError):
        return Failure(f"error: {_one_line(str(error))}", 2)
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return Failure("interrupted", INTERRUPTED)
    if isinstance(error, OSError) and error.errno is not None:  # a full disk, say
        return Failure(f"error: {explain(error, where)}", 2)
    first_line = (str(error).splitlines() or [""])[0]
    return Failure(f"internal error: {type(error).__name__}: {first_line}", 1, internal=True)


def whole_text(error: BaseException, where: Path | str) -> str:
    """As `describe`, with the traceback before the line if the mistake is ours."""
    failure = describe(error, where)
    trace = "".join(traceback.format_exception(error)) if failure.internal else ""
    return trace + failure.line


def _one_line(text: str) -> str:
    """Line ends become spaces; other white space may belong to a path."""
    return " ".join(line.strip() for line in text.splitlines() if line.strip())
