"""Work in several processes: results in order, errors as without them, and no process left behind."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from nmt.data import workers as module
from nmt.data.workers import FEW, in_order
from nmt.errors import DataError, NmtError

MANY = list(range(5 * FEW))
DEADLINE = 30  # seconds


def square(number: int) -> int:
    print("not a result")
    if number % 3 == 0:
        time.sleep(0.005)  # a later chunk may be ready before
    return number * number


def refuse(error: Exception, number: int) -> int:
    if number == 20:
        raise error
    return number


def die(code: int, number: int) -> int:
    if number == 20:
        if code < 0:
            os.kill(os.getpid(), -code)
        os._exit(code)
    return number


def process(number: int) -> int:
    return os.getpid()


def until(last: int) -> Iterator[int]:
    for number in MANY:
        if number == last:
            raise DataError("cannot be read")
        yield number


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that are started."""
    real, found = subprocess.Popen, []

    def start(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        found.append(real(*arguments, **options))
        return found[-1]

    monkeypatch.setattr(module.subprocess, "Popen", start)
    return found


def all_ended(processes: list[subprocess.Popen[bytes]]) -> bool:
    return bool(processes) and all(one.returncode is not None for one in processes)


@pytest.mark.parametrize("workers", [1, 2, 3])
def test_results_come_in_order(workers: int, started: list[subprocess.Popen[bytes]]) -> None:
    assert list(in_order(square, MANY, workers)) == [number * number for number in MANY]
    assert len(started) == (workers if workers > 1 else 0)
    assert not started or all_ended(started)


def test_the_work_is_done_in_other_processes() -> None:
    found = set(in_order(process, MANY, 2))
    assert os.getpid() not in found
    assert len(found) <= 2


def test_for_few_chunks_no_process_starts(started: list[subprocess.Popen[bytes]]) -> None:
    assert list(in_order(process, MANY[: FEW - 1], 2)) == [os.getpid()] * (FEW - 1)
    assert list(in_order(process, [], 2)) == []
    assert not started


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("error", [DataError("wrong", "a.tsv", 3), ValueError("wrong"), MemoryError()])
def test_an_error_of_the_function(
    workers: int, error: Exception, started: list[subprocess.Popen[bytes]]
) -> None:
    found = []
    with pytest.raises(type(error)) as caught:
        found.extend(in_order(partial(refuse, error), MANY, workers))
    assert str(caught.value) == str(error)
    noted = any("in refuse" in note for note in getattr(caught.value, "__notes__", ()))
    assert noted == (workers > 1 and not isinstance(error, NmtError))
    assert not started or all_ended(started)


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("last", [0, 3, 20])
def test_an_error_in_reading_comes_after_the_results_before_it(workers: int, last: int) -> None:
    results = in_order(square, until(last), workers)
    assert [next(results) for _ in range(last)] == [number * number for number in range(last)]
    with pytest.raises(DataError, match="cannot be read"):
        next(results)


@pytest.mark.parametrize(("code", "said"), [(-9, "was killed by SIGKILL"), (3, "ended with exit code 3")])
def test_a_worker_that_dies(code: int, said: str, started: list[subprocess.Popen[bytes]]) -> None:
    with pytest.raises(NmtError, match=f"^a worker process {said}; .*threads=1$"):
        list(in_order(partial(die, code), MANY, 2))
    assert all_ended(started)


def test_closing_ends_the_workers(started: list[subprocess.Popen[bytes]]) -> None:
    results = in_order(square, MANY, 2)
    assert next(results) == 0
    assert not all_ended(started)
    results.close()
    assert all_ended(started)


def test_chunks_are_not_read_far_ahead() -> None:
    read = []
    results = in_order(square, (read.append(k) or k for k in range(10_000)), 2)
    assert [next(results) for _ in range(100)] == [k * k for k in range(100)]
    assert len(read) <= 100 + max(FEW, 2 * module._AHEAD) + 1
    results.close()


PROGRAM = """
import os, signal, time
from nmt.data.workers import in_order
from test_workers import slow
signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell ignores it for background jobs
for pid in in_order(slow, range(100_000), 2):  # longer than any machine takes to stop it
    print(pid, flush=True)
"""


def slow(number: int) -> int:
    time.sleep(0.02)
    return os.getpid()


def is_running(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs /proc")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda n: n.name)
def test_no_worker_outlives_the_program(number: int) -> None:
    """Ctrl-C reaches all processes of a terminal, other signals the program alone."""
    path = os.pathsep.join([str(Path(__file__).parent), *sys.path])
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
        start_new_session=True,
    ) as program:
        assert program.stdout is not None
        pids = {int(program.stdout.readline()) for _ in range(20)}
        assert all(is_running(pid) for pid in pids)
        if number == signal.SIGINT:
            os.killpg(program.pid, number)
        else:
            program.send_signal(number)
        _, errors = program.communicate(timeout=DEADLINE)
    assert program.returncode != 0
    assert errors.count("Traceback") == (number == signal.SIGINT), errors
    waited = time.monotonic()
    while any(is_running(pid) for pid in pids):
        assert time.monotonic() < waited + DEADLINE
        time.sleep(0.01)
