"""What the stages that run the teachers have in common: progress in the log, memory, threads."""

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from nmt.distillation.training_process import FEWER
from nmt.errors import NmtError

logger = logging.getLogger("nmt")
_EVERY = 30.0  # seconds between lines of progress


class Progress:
    """Logs how much is done, and how fast.

    Args:
        verb, unit: of what is done.
        total: the number of units.
        done: how many were done before.
    """

    def __init__(self, verb: str, unit: str, total: int, done: int) -> None:
        self._verb, self._unit, self._total, self._first, self._done = verb, unit, total, done, done
        self._start = self._logged = time.perf_counter()

    def add(self, count: int) -> None:
        """So many more are done."""
        self._done = min(self._done + count, self._total)
        now = time.perf_counter()
        if now - self._logged >= _EVERY:
            speed = (self._done - self._first) / (now - self._start)
            logger.info(
                f"{self._verb} {self._done:,} of {self._total:,} {self._unit}, {speed:,.0f} {self._unit}/s"
            )
            self._logged = now


@contextmanager
def memory_explained(workers: int | None) -> Iterator[None]:
    """Say what to do if the memory of a GPU does not suffice for so many processes."""
    try:
        yield
    except torch.OutOfMemoryError as error:  # of a GPU
        if workers == 1:
            raise
        raise NmtError(f"memory ran out while the teachers translated; {FEWER}") from error


@contextmanager
def threads_restored() -> Iterator[None]:
    """The number of threads of this process, which may run the teachers itself, is as before at the end."""
    threads = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(threads)
