"""Trainings at the same time: what the process that started them does when they end, however they do.

The processes are real; instead of training, they do what their names say.
"""

import logging
import os
import signal
import subprocess
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from nmt.config.settings import Config
from nmt.data import workers
from nmt.distillation import parallel, training_process
from nmt.distillation.parallel import Training, train_at_once
from nmt.distillation.training_process import Outcome, failure_of
from nmt.errors import DataError, NmtError, StoppedError
from nmt.runs.resume import Request

DEADLINE = 60  # seconds
PROGRAM = """
import os, pickle, signal, sys, time, types
from pathlib import Path
from typing import NamedTuple
from nmt.errors import Failure

class Anything:  # the classes of a request, without importing torch
    pass

class Requests(pickle.Unpickler):
    def find_class(self, module, name):
        return Anything

class Outcome(NamedTuple):
    best: float | None = None
    failure: Failure | None = None
    trace: str = ""

signal.alarm(60)  # if nothing else ends it
Outcome.__module__ = "nmt.distillation.training_process"
sys.modules[Outcome.__module__] = types.SimpleNamespace(Outcome=Outcome)
request, threads = Requests(sys.stdin.buffer).load()
folder = Path(request.config.resume)
begun, stopped = time.monotonic(), Failure("stopped after step 3", 143)
(folder / "begun").write_text(str(threads))

def waits(failure):
    os.read(0, 1)
    (folder / "saved").touch()
    return Outcome(None, failure)

def others_have_begun():
    while not all((folder.parent / other / "begun").exists() for other in request.overrides):
        time.sleep(0.01)

if request.name == "complete":
    others_have_begun()
    time.sleep(0.2)
    (folder / "training.json").write_text('{"metric": "chrf"}')
    outcome = Outcome(12.345)
elif request.name == "waits":
    outcome = waits(stopped)
elif request.name == "cannot save":
    outcome = waits(Failure("error: No space left", 2))
elif request.name == "deaf":
    time.sleep(600)
else:
    others_have_begun()
    if request.name == "stopped":
        outcome = Outcome(None, stopped)
    elif request.name == "wrong":
        outcome = Outcome(None, Failure("error: no such file", 2))
    elif request.name == "broken":
        outcome = Outcome(None, Failure("internal error: KeyError: 7", 1, True), "in line 99")
    else:
        os.kill(os.getpid(), int(request.name))
print("done", begun, time.monotonic(), file=sys.stderr)
os.write(1, pickle.dumps(outcome))
"""
"""Some wait until the runs in their overrides have begun."""


@pytest.fixture(autouse=True)
def started(monkeypatch: pytest.MonkeyPatch) -> list[subprocess.Popen[bytes]]:
    """The processes that are started."""
    real, found = subprocess.Popen, []

    def start(*arguments: Any, **options: Any) -> subprocess.Popen[bytes]:
        found.append(real(*arguments, **options))
        return found[-1]

    monkeypatch.setattr(parallel, "PROGRAM", PROGRAM)
    monkeypatch.setattr(parallel, "_POLL", 0.01)
    monkeypatch.setattr(workers.subprocess, "Popen", start)
    return found


@pytest.fixture
def log(caplog, monkeypatch) -> pytest.LogCaptureFixture:
    """What is logged."""
    monkeypatch.setattr(logging.getLogger("nmt"), "propagate", True)
    caplog.set_level(logging.INFO, "nmt")
    return caplog


def trainings(folder: Path, *names: str, awaited: int = 2) -> list[Training]:
    """Numbered from 1; those that wait for others wait for the first `awaited`."""
    others, found = tuple(map(str, range(1, awaited + 1))), []
    for number, name in enumerate(names, 1):
        run = folder / str(number)
        run.mkdir()
        found.append(Training(f"run {number}", Request(Config(resume=str(run)), name, others)))
    return found


def saved(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob("*/saved"))


def begun(folder: Path) -> list[str]:
    return sorted(path.parent.name for path in folder.glob("*/begun"))


def all_ended(processes: Sequence[subprocess.Popen[bytes]]) -> bool:
    return all(one.returncode is not None for one in processes)


def test_no_more_than_so_many_at_the_same_time(tmp_path, started, log, monkeypatch):
    monkeypatch.setattr(parallel, "available_cores", lambda: 7)
    before = signal.getsignal(signal.SIGTERM)
    train_at_once(trainings(tmp_path, *["complete"] * 5, awaited=3), 3)
    assert len(started) == 5
    assert all_ended(started)
    times = [(path.read_text(encoding="utf-8").split()[1:]) for path in sorted(tmp_path.glob("*/train.log"))]
    spans = [(float(begin), float(end)) for begin, end in times]
    together = [sum(one <= begin < end for one, end in spans) for begin, _ in spans]
    assert max(together) == 3
    assert {path.read_text(encoding="utf-8") for path in tmp_path.glob("*/begun")} == {"2"}  # of 7 cores
    lines = log.messages
    assert lines[:3] == [f"run {number}: training in {tmp_path / str(number)}" for number in (1, 2, 3)]
    assert sum("; best development chrf 12.35" in line for line in lines) == 5
    assert signal.getsignal(signal.SIGTERM) == before


@pytest.mark.parametrize(
    ("name", "kind", "message"),
    [
        ("wrong", NmtError, r"^run 3: no such file; log: .*/3/train\.log$"),
        ("broken", RuntimeError, r"^run 3: KeyError: 7; log: .*/3/train\.log\nin its process:\nin line 99$"),
        ("9", NmtError, r"^run 3: its process was killed by SIGKILL; if memory ran out, use fewer processes"),
        ("stopped", StoppedError, "^$"),
        ("15", StoppedError, "^$"),
    ],
)
def test_when_one_fails_the_others_save(tmp_path, started, name, kind, message):
    with pytest.raises(kind, match=message) as caught:
        train_at_once(trainings(tmp_path, "waits", "waits", name, "complete"), 3)
    assert all_ended(started)
    assert saved(tmp_path) == ["1", "2"]
    assert begun(tmp_path) == ["1", "2", "3"]
    if kind is StoppedError:
        assert caught.value.code == 143


def signalled(folder: Path, number: int, times: int) -> threading.Thread:
    """Send a signal to this process when two runs have begun, and again."""

    def send() -> None:
        end = time.monotonic() + DEADLINE
        while len(begun(folder)) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        for _ in range(times):
            os.kill(os.getpid(), number)
            time.sleep(0.2)

    thread = threading.Thread(target=send)
    thread.start()
    return thread


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_at_a_signal_all_save(tmp_path, started, number):
    thread = signalled(tmp_path, number, 1)
    with pytest.raises(StoppedError) as caught:
        train_at_once(trainings(tmp_path, "waits", "waits", "complete"), 2)
    thread.join()
    assert caught.value.code == 128 + number
    assert all_ended(started)
    assert saved(tmp_path) == begun(tmp_path) == ["1", "2"]


def test_what_cannot_be_saved_is_said(tmp_path, started):
    thread = signalled(tmp_path, signal.SIGTERM, 1)
    with pytest.raises(NmtError, match=r"^run 2: No space left; log: "):
        train_at_once(trainings(tmp_path, "waits", "cannot save"), 2)
    thread.join()
    assert all_ended(started)


def test_a_second_ctrl_c_kills(tmp_path, started):
    thread = signalled(tmp_path, signal.SIGINT, 2)
    try:
        with pytest.raises(KeyboardInterrupt):
            train_at_once(trainings(tmp_path, "deaf", "deaf"), 2)
    finally:
        thread.join()
    assert [one.returncode for one in started] == [-signal.SIGKILL] * 2


def test_the_stand_in_answers_as_the_real_program_does():
    assert Outcome._fields == ("best", "failure", "trace")
    assert Outcome._field_defaults == {"best": None, "failure": None, "trace": ""}


def test_memory_may_suffice_for_fewer(tmp_path):
    fewer = "use fewer processes at the same time, with a lower distillation.processes"
    found = failure_of(MemoryError(), tmp_path)
    assert found == (f"error: memory ran out; {fewer}", 2, False)
    try:
        raise NmtError("too large; lower training.batch_tokens") from MemoryError()
    except NmtError as error:
        found = failure_of(error, tmp_path)
    assert found == (f"error: too large; lower training.batch_tokens; or {fewer}", 2, False)
    assert failure_of(DataError("bad"), tmp_path) == ("error: bad", 2, False)
    assert failure_of(KeyError(7), tmp_path) == ("internal error: KeyError: 7", 1, True)


def test_a_signal_before_training_is_a_stop(tmp_path, monkeypatch):
    monkeypatch.setattr(training_process, "start_log", lambda path: None)
    monkeypatch.setattr(training_process, "train", lambda request: signal.raise_signal(signal.SIGTERM))
    monkeypatch.setattr(training_process, "_stop_at_end_of_input", lambda: None)
    request = Request(Config(resume=str(tmp_path)), "", ())
    assert training_process._outcome(request) == (None, ("stopped before its training", 143, False), "")
