"""The lines that a command translates: of files, of standard input as they come, or typed at a prompt."""

import queue
import sys
import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from nmt.data.lines import decoded_lines, file_lines
from nmt.errors import DataError


def given_lines(texts: Iterable[str]) -> Iterator[str]:
    """Texts given as arguments, one line each.

    Raises:
        DataError: while iterating, for text that is not UTF-8.
    """
    # A newline, so that an empty text counts as a line too.
    encoded = enumerate((text.encode("utf-8", "surrogateescape") + b"\n" for text in texts), 1)
    return (line for number, text in encoded for _, line in decoded_lines([text], f"TEXT {number}"))


def standard_input_lines() -> Iterator[str]:
    """The lines of standard input, with their line ends.

    Raises:
        DataError: while iterating, for text that is not UTF-8.
    """
    return (line for _, line in decoded_lines(sys.stdin.buffer, "standard input", keep_ends=True))


def lines_of_file(path: Path, progress: bool) -> Iterator[str]:
    """The lines of a file, with their line ends.

    Args:
        path: a plain or gzip file.
        progress: whether to show a progress bar, if standard error is a terminal.

    Raises:
        DataError: while iterating, for text that is not UTF-8 and for a file that cannot be read.
    """
    lines = (line for _, line in file_lines(path, keep_ends=True))
    if not progress or not sys.stderr.isatty():
        yield from lines
        return
    from tqdm import tqdm

    total = sum(1 for _ in file_lines(path))
    yield from tqdm(lines, total=total, unit=" lines", dynamic_ncols=True)


def typed_lines(prompt: str) -> Iterator[str]:
    """Lines typed at a prompt on the terminal, which can be edited, with those before as history."""
    import contextlib

    with contextlib.suppress(ImportError):  # Windows has no readline, and its own history
        import readline  # noqa: F401 (input() uses it)
    while True:
        try:
            yield input(prompt)
        except EOFError:
            print(file=sys.stderr)
            return


def chunks(lines: Iterator[str], size: int) -> Iterator[list[str]]:
    """Lists of `size` lines; lines before one that cannot be read are still yielded."""
    chunk: list[str] = []
    try:
        for line in lines:
            chunk.append(line)
            if len(chunk) == size:
                yield chunk
                chunk = []
    except DataError:
        yield chunk
        raise
    yield chunk


def waiting_chunks(lines: Iterator[str], size: int) -> Iterator[list[str]]:
    """Lists of the lines that are waiting, 1 to `size`: a line is not kept waiting for others. At most 2 ·
    `size` lines are in memory.
    """
    read: queue.Queue[str | Exception | None] = queue.Queue(size)

    def fill() -> None:
        try:
            for line in lines:
                read.put(line)
            read.put(None)
        except Exception as error:
            read.put(error)

    threading.Thread(target=fill, daemon=True).start()
    while True:
        chunk: list[str] = []
        last = read.get()
        while isinstance(last, str):
            chunk.append(last)
            if len(chunk) == size:
                break
            try:
                last = read.get_nowait()
            except queue.Empty:
                break
        yield chunk
        if isinstance(last, Exception):
            raise last
        if last is None:
            return
