"""A model in processes of its own, each of which translates a batch at a time.

Threads share one interpreter: while one of them searches, the others wait for it. Processes do not, so that
N of them use N cores. They share the CPU threads: the only one that translates has all of them.

A process and the server exchange messages over a pipe: a call, what becomes certain of a text and what is
found for it as soon as it is there, and which texts are given up. A process ends with the server, however
that ends; one that ends by itself is replaced, and its call fails.
"""

import multiprocessing
import queue
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from nmt.library.options import TranslationOptions
from nmt.server.engine import Outcome, Result
from nmt.server.engine_worker import Load, alternatives, answer_calls, translate

_POLL = 0.01  # seconds between two questions whether a text is given up
_PATIENCE = 5.0  # seconds for a process to end


class EngineProcesses:
    """A model in several processes; `Engine` says what the methods do.

    Args:
        load: the model, in each process and in this one, where it counts pieces.
        count: the number of processes.

    Raises:
        NmtError: if the model cannot be loaded.
    """

    def __init__(self, load: Load, count: int) -> None:
        self._load, self._closed = load, False
        self._shares = _Shares()
        self._children = [_Child.start(load) for _ in range(count)]
        self._free: queue.SimpleQueue[_Child] = queue.SimpleQueue()
        try:
            self._here = load()
            for child in self._children:
                child.wait()
                self._free.put(child)
        except BaseException:
            self.close()
            raise
        self.heads = self._here.heads

    @property
    def languages(self) -> tuple[str, str] | None:
        """As in `Engine`."""
        return self._here.languages

    @property
    def directions(self) -> Sequence[tuple[str, str]]:
        """As in `Engine`."""
        return self._here.directions

    @property
    def targets(self) -> Sequence[str]:
        """As in `Engine`."""
        return self._here.targets

    @property
    def beam_size(self) -> int:
        """As in `Engine`."""
        return self._here.beam_size

    def share_threads(self, batches: int) -> None:
        """As in `Engine`: the process that translates the next batches of this thread has its share."""
        self._shares.batches = batches

    def size(self, text: str) -> int:
        """As in `Engine`."""
        return self._here.size(text)

    def target_size(self, text: str) -> int:
        """As in `Engine`."""
        return self._here.target_size(text)

    def translate_batch(
        self,
        texts: Sequence[str],
        options: Sequence[TranslationOptions],
        *,
        cancelled: Callable[[int], bool],
        report: Callable[[int, str], None] | None = None,
        streamed: Sequence[int] = (),
        finished: Callable[[int, Outcome], None] | None = None,
    ) -> Sequence[Outcome]:
        """As in `Engine`, in a process that is free; waits for one."""
        with self._child() as child:
            call = translate, (self._shares.batches, list(texts), list(options), list(streamed))
            found: Sequence[Outcome] = child.call(call, len(texts), cancelled, report, finished)
            return found

    def alternatives(
        self,
        text: str,
        prefix: str,
        count: int,
        options: TranslationOptions,
        *,
        cancelled: Callable[[], bool],
    ) -> Sequence[Result]:
        """As in `Engine`, likewise."""
        with self._child() as child:
            call = alternatives, (self._shares.batches, text, prefix, count, options)
            found: Sequence[Result] = child.call(call, 1, lambda _: cancelled())
            return found

    def close(self) -> None:
        """End the processes."""
        self._closed = True
        for child in self._children:
            child.connection.close()
        for child in self._children:
            child.process.join(_PATIENCE)
            if child.process.is_alive():
                child.process.kill()

    @contextmanager
    def _child(self) -> Iterator["_Child"]:
        """A process that is free. One that has ended is replaced; so is one that was left in the middle of a
        call, whose messages would be taken for those of the next.
        """
        child = self._free.get()
        try:
            if not child.process.is_alive():
                child = self._instead_of(child)
            yield child
        except (EOFError, OSError) as error:
            if self._closed:
                raise
            child.process.join(_PATIENCE)
            code, child = child.process.exitcode, self._instead_of(child)
            raise RuntimeError(f"a process that translates has ended with exit code {code}") from error
        finally:
            if child.calling:
                child.process.kill()
                child.process.join()
            self._free.put(child)

    def _instead_of(self, ended: "_Child") -> "_Child":
        """Start a process instead of one that has ended, and wait until it can translate."""
        child = _Child.start(self._load)
        child.wait()
        self._children[self._children.index(ended)] = child
        return child


class _Shares(threading.local):
    """How many batches are translated at the same time, for the thread that asks."""

    batches = 1


@dataclass
class _Child:
    """A process, the pipe to it, and whether it has not answered a call."""

    process: BaseProcess
    connection: Connection
    calling: bool = False

    @staticmethod
    def start(load: Load) -> "_Child":
        """Start a process that loads the model."""
        context = multiprocessing.get_context("spawn")  # PyTorch's threads do not survive a fork
        here, there = context.Pipe()
        process = context.Process(target=answer_calls, args=(load, there), name="translate", daemon=True)
        process.start()
        there.close()  # so that the pipe ends with the process
        return _Child(process, here)

    def wait(self) -> None:
        """Wait until the model is loaded.

        Raises:
            NmtError: if it cannot be.
            EOFError: if the process has ended.
        """
        kind, value = self.connection.recv()
        if kind == "error":
            raise value

    def call(
        self,
        call: tuple[Callable[..., Any], tuple[Any, ...]],
        texts: int,
        cancelled: Callable[[int], bool],
        report: Callable[[int, str], None] | None = None,
        finished: Callable[[int, Outcome], None] | None = None,
    ) -> Any:
        """Call a function of an engine and these arguments, and return what it returns.

        Raises:
            NmtError: as it does.
            RuntimeError: for an internal error, with its traceback.
            EOFError, OSError: if the process ends.
        """
        self.connection.send(call)
        self.calling = True
        open_texts = set(range(texts))
        while True:
            for text in [one for one in open_texts if cancelled(one)]:
                open_texts.remove(text)
                self.connection.send(text)
            if not self.connection.poll(_POLL):
                continue
            kind, *values = self.connection.recv()
            self.calling = kind not in ("result", "error")
            if kind == "result":
                return values[0]
            if kind == "error":
                raise values[0]
            if kind == "report" and report is not None:
                report(*values)
            elif kind == "finished" and finished is not None:
                open_texts.discard(values[0])
                finished(*values)
