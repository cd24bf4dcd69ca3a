"""Interleaved repetitions, and their median and quartiles."""

import gc
import statistics
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch

from timing.clock import wait

Key = TypeVar("Key")


@dataclass(frozen=True)
class Spread:
    """Repeated measurements of a figure.

    Attributes:
        median: their median.
        lower, upper: their quartiles.
        repetitions: their number.
    """

    median: float
    lower: float
    upper: float
    repetitions: int


@dataclass(frozen=True)
class Measurement:
    """What has been measured under some conditions.

    Attributes:
        kind: such as "training".
        key: the conditions, such as the model and the batch size; with the kind, they identify it.
        figures: by name, with the unit.
    """

    kind: str
    key: dict[str, Any]
    figures: dict[str, Spread]


@dataclass(frozen=True)
class Options:
    """What is measured, and how.

    Attributes:
        models: files in configs/model.
        batch_tokens: maximum batch sizes of training.
        threads: numbers of CPU threads.
        precisions: of the matrix products in training: fp32, bf16 or fp16.
        device: the device of training and search.
        repetitions: of each measurement.
        small: small models and little work.
    """

    models: tuple[str, ...]
    batch_tokens: tuple[int, ...]
    threads: tuple[int, ...]
    precisions: tuple[str, ...]
    device: torch.device
    repetitions: int
    small: bool


def spread(values: Sequence[float]) -> Spread:
    """Median and quartiles of at least one value."""
    if len(values) == 1:
        return Spread(values[0], values[0], values[0], 1)
    lower, median, upper = statistics.quantiles(values, n=4, method="inclusive")
    return Spread(median, lower, upper, len(values))


def interleaved(
    works: Mapping[Key, Callable[[], object]], repetitions: int, device: torch.device, warm_up: bool = True
) -> dict[Key, list[float]]:
    """The seconds of each repetition of each work.

    Every round runs all works once, every other round in reverse order, so that a machine that becomes slower
    or faster meanwhile affects all of them alike.

    Args:
        works: what is timed.
        repetitions: number of rounds.
        device: the device that the works use.
        warm_up: run each work once before, untimed.
    """
    seconds: dict[Key, list[float]] = {key: [] for key in works}
    for number in range(-int(warm_up), repetitions):
        gc.collect()
        for key in works if number % 2 == 0 else reversed(list(works)):
            wait(device)
            started = time.perf_counter()
            works[key]()
            wait(device)
            if number >= 0:
                seconds[key].append(time.perf_counter() - started)
    return seconds


def with_threads(threads: int, work: Callable[[], object]) -> Callable[[], None]:
    """The same work with a number of CPU threads."""

    def run() -> None:
        with cpu_threads(threads):
            work()

    return run


@contextmanager
def cpu_threads(threads: int) -> Iterator[None]:
    """Use a number of CPU threads, then the previous number again."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def exponent(sizes: Sequence[float], seconds: Sequence[float]) -> float:
    """The exponent p of the least-squares fit log(seconds) = p · log(size) + c."""
    slope, _ = np.polyfit(np.log(sizes), np.log(seconds), 1)
    return float(slope)
