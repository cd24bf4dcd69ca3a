"""Internal errors during training: the traceback is in the log, and nothing is lost."""

import errno
import logging
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from console import TRAINING, command
from inside import STEPS, check_finished, resume

from nmt.decoding.translator import Translator
from nmt.errors import DataError
from nmt.runs.logger import log_error
from nmt.training.step import TrainStep

TRACE = "Traceback (most recent call last):"
LINE = "internal error: RuntimeError: planted"


def plant(owner: type, name: str, number: int, error: BaseException, patch: pytest.MonkeyPatch) -> None:
    """Make call `number`, counted from 1, of a method raise an error."""
    real, calls = getattr(owner, name), iter(range(1, 1 << 30))

    def planted(*arguments, **options):
        if next(calls) == number:
            raise error
        return real(*arguments, **options)

    patch.setattr(owner, name, planted)


def read(log: Path) -> str:
    return log.read_text(encoding="utf-8")


FailurePoint = Callable[[BaseException, pytest.MonkeyPatch], None]
FAILURE_POINTS: dict[str, FailurePoint] = {
    "update": lambda error, patch: plant(TrainStep, "update", STEPS - 1, error, patch),
    "validation": lambda error, patch: plant(Translator, "align", 1, error, patch),
    "final evaluation": lambda error, patch: plant(Translator, "translate", 3, error, patch),
}


@pytest.mark.parametrize("point", FAILURE_POINTS)
def test_an_internal_error(begin, uninterrupted, monkeypatch, tmp_path, point):
    run = tmp_path / "runs" / "run"
    with monkeypatch.context() as patch:
        FAILURE_POINTS[point](RuntimeError("planted"), patch)
        answer = begin(tmp_path)
    assert answer.code == 1
    assert f"{TRACE}\n" in answer.err  # Hydra has a line of its own before it
    assert answer.err.endswith(f"\n{LINE}\n")
    assert answer.err.count(TRACE) == 1
    assert TRACE not in answer.out
    assert LINE not in answer.out
    log = read(run / "train.log")
    assert log.count(TRACE) == 1
    assert ", in planted\n" in log
    assert log.endswith(f"\nRuntimeError: planted\n{LINE}\n")
    assert resume(run).code == 0
    check_finished(run, uninterrupted)


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (DataError("cannot be read", "a.txt"), "error: a.txt: cannot be read"),
        (KeyboardInterrupt(), "interrupted"),
        (OSError(errno.ENOSPC, "No space left on device", "a.txt"), "error: a.txt: No space left on device"),
    ],
)
def test_other_errors_are_one_line_of_the_log(begin, monkeypatch, tmp_path, error, line):
    with monkeypatch.context() as patch:
        FAILURE_POINTS["update"](error, patch)
        answer = begin(tmp_path)
    assert answer.code in (2, 130)
    assert line in answer.err
    log = read(tmp_path / "runs" / "run" / "train.log")
    assert TRACE not in log
    time, rest = log.splitlines()[-1].split(",", 1)
    assert rest.split(" ", 1)[1].startswith(line)
    assert time.startswith("20")


def test_a_refused_training_leaves_the_log_alone(copy):
    before = read(copy / "train.log")
    assert resume(copy, "training.epochs=0").code == 2
    assert read(copy / "train.log") == before


def test_a_log_that_is_elsewhere(tmp_path, monkeypatch):
    """On another machine than the main process; and what was logged is not reported twice."""
    monkeypatch.setattr(logging.getLogger("nmt"), "handlers", [])
    log_error(tmp_path / "runs" / "run" / "train.log", RuntimeError("planted"))
    assert list(tmp_path.iterdir()) == []
    log_error(tmp_path / "train.log", RuntimeError("planted"), "process 3 of 4")
    assert f" process 3 of 4: RuntimeError: planted\n{LINE}\n" in read(tmp_path / "train.log")


# ---------------------------------------------------------------- in subprocesses


PROGRAM = """
import os, runpy, sys
from nmt.training.step import TrainStep
real, calls = TrainStep.update, iter(range(1, 1 << 30))

def planted(*arguments, **options):
    if os.environ.get("RANK", "1") == "1" and next(calls) == 5:
        raise RuntimeError("planted")
    return real(*arguments, **options)

TrainStep.update = planted
runpy.run_module("nmt.train", run_name="__main__", alter_sys=True)
"""


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "planted.py").write_text(PROGRAM, encoding="utf-8")
    return tmp_path


@pytest.fixture(scope="module")
def overrides(trained) -> tuple[str, ...]:
    return (*TRAINING, f"data.cache={trained.parent.parent / 'data' / 'cache'}", "name=run")


def test_in_a_process_of_its_own(folder, overrides):
    answer = command("planted", *overrides, folder=folder)
    assert answer.code == 1
    assert f"{TRACE}\n" in answer.err  # Hydra has a line of its own before it
    assert answer.err.endswith(f"\nRuntimeError: planted\n{LINE}\n")
    log = read(folder / "runs" / "run" / "train.log")
    assert log.endswith(f"\nRuntimeError: planted\n{LINE}\n")
    assert log.count(TRACE) == answer.err.count(TRACE) == 1


@pytest.mark.slow
def test_in_the_second_of_two_processes(folder, overrides):
    done = subprocess.run(
        [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", "-m", "planted", *overrides],
        cwd=folder,
        capture_output=True,
        timeout=300,
        text=True,
    )
    assert done.returncode == 1
    log = read(folder / "runs" / "run" / "train.log")
    assert log.count(TRACE) == 1, log
    assert f" process 1 of 2: {TRACE}\n" in log
    assert f"\nRuntimeError: planted\n{LINE}\n" in log
