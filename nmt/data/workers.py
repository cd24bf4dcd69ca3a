"""Work on the chunks of a corpus in several processes, with the results in order.

A worker is a Python process that reads pickled chunks from its standard input and writes pickled results to
its standard output. It ends when its input does, so none is left behind when the process that started it is
killed. Unlike `multiprocessing`, this neither forks (PyTorch has threads) nor imports the main program again.
"""

import os
import pickle
import queue
import signal
import subprocess
import sys
import traceback
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from itertools import chain, islice
from types import TracebackType
from typing import IO, Any, Generic, TypeVar

from nmt.errors import NmtError

Chunk = TypeVar("Chunk")
Result = TypeVar("Result")

FEW = 8  # chunks, which take less time here than workers take to start
_AHEAD = 2  # chunks per worker that are read ahead
_PROGRAM = "from signal import *; signal(SIGINT, SIG_IGN); from nmt.data.workers import serve; serve()"
_ADVICE = "if its memory ran out, close other programs, or use fewer processes with threads=1"


def available_cores() -> int:
    """The number of cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def in_order(
    function: Callable[[Chunk], Result], chunks: Iterable[Chunk], workers: int | None = None
) -> Generator[Result]:
    """The results of `function` for each chunk, in order. They do not depend on the number of workers.

    If the iterator is closed, or an error passes through it, all workers are ended.

    Args:
        function: a function of a module or a `functools.partial` of one. Workers receive it pickled.
        chunks: what it is called with. An error in reading them is raised after the results of those before.
        workers: number of processes, by default one per core; with 1, or for few chunks, all is done in this
            process.

    Raises:
        NmtError: while iterating, if a worker dies.
        Exception: what `function` or `chunks` raises.
    """
    workers = available_cores() if workers is None else workers
    readable = _UntilError(chunks)
    first = list(islice(readable, FEW if workers > 1 else 0))
    remaining = chain(first, readable)
    if len(first) == FEW:
        with _Workers(function, workers) as pool:
            yield from pool.results(remaining)
    else:
        yield from map(function, remaining)
    if readable.error is not None:
        raise readable.error


class _UntilError(Iterator[Chunk]):
    """Items of an iterable until it raises an error, which is kept."""

    def __init__(self, items: Iterable[Chunk]) -> None:
        self._items = iter(items)
        self.error: Exception | None = None

    def __next__(self) -> Chunk:
        try:
            return next(self._items)
        except StopIteration:
            raise
        except Exception as error:
            self.error = error
            raise StopIteration from error


class _Workers(Generic[Chunk, Result]):
    """Worker processes, and a thread for each that talks to it; all end with the block."""

    def __init__(self, function: Callable[[Chunk], Result], count: int) -> None:
        self._count = count
        self._workers: list[_Worker] = []
        self._idle: queue.SimpleQueue[_Worker] = queue.SimpleQueue()
        self._threads = ThreadPoolExecutor(count)
        self._function = function

    def __enter__(self) -> "_Workers[Chunk, Result]":
        try:
            for _ in range(self._count):
                self._workers.append(_Worker(self._function))
                self._idle.put(self._workers[-1])
        except BaseException:
            self.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._threads.shutdown(wait=False, cancel_futures=True)
        for worker in self._workers:
            worker.end()
        self._threads.shutdown()

    def results(self, chunks: Iterable[Chunk]) -> Iterator[Result]:
        """The results for the chunks, in order."""
        waiting: deque[Future[Result]] = deque()
        for chunk in chunks:
            waiting.append(self._threads.submit(self._result, chunk))
            if len(waiting) > _AHEAD * self._count:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()

    def _result(self, chunk: Chunk) -> Result:
        worker = self._idle.get()
        try:
            return worker.result(chunk)  # type: ignore[no-any-return]
        finally:
            self._idle.put(worker)


class _Worker:
    """One worker process."""

    def __init__(self, function: Callable[[Any], Any]) -> None:
        self._process = start_python(_PROGRAM)
        self._function: Callable[[Any], Any] | None = function  # until it is sent

    def result(self, chunk: Any) -> Any:
        """What the function returns for a chunk.

        Raises:
            NmtError: if the process has died.
            Exception: what the function raises.
        """
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        try:
            if self._function is not None:
                pickle.dump(self._function, self._process.stdin, pickle.HIGHEST_PROTOCOL)
                self._function = None
            pickle.dump(chunk, self._process.stdin, pickle.HIGHEST_PROTOCOL)
            self._process.stdin.flush()
            result, error = pickle.load(self._process.stdout)
        except (OSError, ValueError, EOFError, pickle.UnpicklingError) as failure:
            raise NmtError(f"a worker process {self._end()}; {_ADVICE}") from failure
        if error is not None:
            raise error
        return result

    def _end(self) -> str:
        """How the process has ended."""
        code = self._process.wait()
        return f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"

    def end(self) -> None:
        """Kill the process, and wait until it has ended."""
        self._process.kill()
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            with suppress(OSError):
                if pipe is not None:
                    pipe.close()


def start_python(program: str, stderr: IO[bytes] | None = None) -> subprocess.Popen[bytes]:
    """Start a Python process that imports from where this one does, with pipes to its standard input and
    from its standard output.

    Args:
        program: its source.
        stderr: its standard error; None: that of this process.
    """
    path = os.pathsep.join(entry or os.curdir for entry in sys.path)
    return subprocess.Popen(
        [sys.executable, "-P", "-c", program],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env={**os.environ, "PYTHONPATH": path},
    )


def result_stream() -> IO[bytes]:
    """The standard output of this process for its results; from now on, what a library prints is dropped."""
    results = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return results


def serve() -> None:
    """Work on the chunks from standard input until it ends; the program of a worker process."""
    results = result_stream()
    with suppress(EOFError, BrokenPipeError):
        function = pickle.load(sys.stdin.buffer)
        while True:
            outcome = _outcome(function, pickle.load(sys.stdin.buffer))
            pickle.dump(outcome, results, pickle.HIGHEST_PROTOCOL)
            results.flush()


def _outcome(function: Callable[[Any], Any], chunk: Any) -> tuple[Any, Exception | None]:
    """The result or the error, which gets its traceback as a note."""
    try:
        return function(chunk), None
    except Exception as error:
        if not isinstance(error, NmtError):
            error.add_note(f"in a worker process:\n{traceback.format_exc()}")
        return None, error
