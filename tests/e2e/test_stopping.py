"""Signals at chosen moments of training: everything is saved, and the resumed run ends identically."""

import json
import os
import signal
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from inside import STEPS, Begin, check_finished, resume

from nmt.decoding.translator import Translator
from nmt.runs.checkpoint import find_checkpoint, kept_checkpoints
from nmt.training.step import TrainStep

Moment = Callable[[pytest.MonkeyPatch, Callable[[], None]], None]


def send(*numbers: int) -> Callable[[], None]:
    """Send these signals to this process, one after the other."""

    def send() -> None:
        for number in numbers:
            os.kill(os.getpid(), number)

    return send


def interposed(owner: object, name: str, number: int, work: Callable[[], None], patch) -> None:
    """Do `work` at the beginning of call `number`, counted from 1, of a function."""
    real, calls = getattr(owner, name), iter(range(1, 1 << 30))

    def wrapped(*arguments, **options):
        if next(calls) == number:
            work()
        return real(*arguments, **options)

    patch.setattr(owner, name, wrapped)


def in_step(number: int) -> Moment:
    return lambda patch, work: interposed(TrainStep, "update", number, work, patch)


def in_validation(patch: pytest.MonkeyPatch, work: Callable[[], None]) -> None:
    """In the first validation, after step 2."""
    interposed(Translator, "align", 1, work, patch)


def in_saving(number: int) -> Moment:
    """Half of the checkpoint is written: the training state is its last large file."""

    def moment(patch: pytest.MonkeyPatch, work: Callable[[], None]) -> None:
        real, left = tempfile.mkstemp, [number]

        def wrapped(*, prefix: str, **options):
            left[0] -= prefix == ".training.pt."
            if prefix == ".training.pt." and not left[0]:
                work()
            return real(prefix=prefix, **options)

        patch.setattr(tempfile, "mkstemp", wrapped)

    return moment


def at_the_end(patch: pytest.MonkeyPatch, work: Callable[[], None]) -> None:
    """The first translation after two validations."""
    interposed(Translator, "translate", 3, work, patch)


@pytest.fixture(autouse=True)
def _own_handlers() -> Iterator[None]:
    """Training restores the handlers that it found, here not those of nohup."""
    hangup = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    numbers = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)
    before = {number: signal.getsignal(number) for number in numbers}
    yield
    assert {number: signal.getsignal(number) for number in before} == before
    signal.signal(signal.SIGHUP, hangup)


def step_of(run: Path) -> int:
    folder = find_checkpoint(run / "checkpoints" / "last")
    return json.loads((folder / "model.json").read_text(encoding="utf-8"))["progress"]["step"]


def last_line(run: Path) -> str:
    """The last line of the log, without the time."""
    return (run / "train.log").read_text(encoding="utf-8").splitlines()[-1].split(" ", 2)[2]


@pytest.mark.parametrize(
    ("moment", "number", "code", "step"),
    [
        pytest.param(in_step(3), signal.SIGTERM, 143, 3, id="step 3, SIGTERM"),
        pytest.param(in_validation, signal.SIGINT, 130, 2, id="validation, SIGINT"),
        pytest.param(in_saving(3), signal.SIGTERM, 143, 3, id="saving after step 3, SIGTERM"),
        pytest.param(in_step(2), signal.SIGHUP, 129, 2, id="step 2, SIGHUP"),
        pytest.param(in_saving(2), signal.SIGUSR1, 143, 2, id="saving after validation, SIGUSR1"),
    ],
)
def test_a_signal_stops_when_all_is_saved(
    begin, uninterrupted, monkeypatch, tmp_path, moment, number, code, step
):
    run = tmp_path / "runs" / "run"
    with monkeypatch.context() as patch:
        moment(patch, send(number))
        answer = begin(tmp_path)
    assert answer.code == code
    assert answer.err == (
        f"stopped after step {step}, everything is saved; resume with: python -m nmt.train resume=runs/run\n"
    )
    assert last_line(run) == answer.err.strip()
    assert step_of(run) == step < STEPS
    assert not (run / "report.html").exists()
    answer = resume(run)
    assert (answer.code, answer.err) == (0, "")
    check_finished(run, uninterrupted)


@pytest.mark.parametrize(
    ("moment", "step"),
    [
        pytest.param(in_step(3), 2, id="step"),
        pytest.param(in_validation, 1, id="validation"),
        pytest.param(in_saving(3), 2, id="saving"),
    ],
)
def test_a_second_ctrl_c_leaves_at_once(begin, monkeypatch, tmp_path, moment, step):
    """The previous checkpoint is kept; resuming from it is tested above."""
    run = tmp_path / "runs" / "run"
    with monkeypatch.context() as patch:
        moment(patch, send(signal.SIGINT, signal.SIGINT))
        answer = begin(tmp_path)
    assert (answer.code, answer.err) == (130, "interrupted\n")
    assert last_line(run) == "interrupted"
    assert step_of(run) == step
    kept = kept_checkpoints(run / "checkpoints" / "last")
    assert [find_checkpoint(folder) for folder in kept] == kept
    assert not [path for path in run.rglob("*") if path.suffix in (".new", ".tmp", ".old")]


def test_a_signal_after_the_last_step_lets_it_finish(begin: Begin, uninterrupted, monkeypatch, tmp_path):
    """The remaining work takes less time than resuming would."""
    with monkeypatch.context() as patch:
        at_the_end(patch, send(signal.SIGTERM))
        answer = begin(tmp_path)
    assert (answer.code, answer.err) == (0, "")
    assert (
        last_line(tmp_path / "runs" / "run")
        == "stopped; the current run was past its last update and has been finished"
    )
    check_finished(tmp_path / "runs" / "run", uninterrupted)
