"""Signals that stop training: recorded inside, and handled as before afterwards."""

import os
import signal
from collections.abc import Iterator

import pytest

from nmt.errors import StoppedError
from nmt.training.signals import StopAtOnce, StopSignals

NUMBERS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGUSR1)


@pytest.fixture(autouse=True)
def _no_nohup() -> Iterator[None]:
    """Also where the tests themselves run under nohup."""
    before = signal.signal(signal.SIGHUP, signal.SIG_DFL)
    yield
    signal.signal(signal.SIGHUP, before)


def send(number: int) -> None:
    os.kill(os.getpid(), number)


@pytest.mark.parametrize(
    ("sent", "noted"),
    [
        (signal.SIGTERM, signal.SIGTERM),
        (signal.SIGINT, signal.SIGINT),
        (signal.SIGHUP, signal.SIGHUP),
        (signal.SIGUSR1, signal.SIGTERM),  # Slurm's warning is treated as SIGTERM
    ],
)
def test_a_signal_is_noted_and_work_continues(sent, noted):
    done = []
    with StopSignals() as signals:
        assert signals.received == 0
        send(sent)
        assert signals.received == noted
        done.append("the rest")
    assert done == ["the rest"]
    assert signals.received == noted


@pytest.mark.parametrize("first", NUMBERS)
def test_ctrl_c_after_another_signal_leaves_at_once(first):
    done = []

    def work() -> None:
        with StopSignals():
            send(first)
            done.append("between")
            send(signal.SIGINT)
            done.append("after")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert done == ["between"]


def test_cleaning_up_after_a_stop_is_not_interrupted():
    """Such as by the end of standard input after a Ctrl-C; but a second Ctrl-C leaves at once."""
    done = []
    with StopAtOnce("resume"):
        with pytest.raises(StoppedError, match="resume") as caught:
            send(signal.SIGINT)
        send(signal.SIGTERM)
        done.append("cleaned up")
        with pytest.raises(KeyboardInterrupt):
            send(signal.SIGINT)
    assert done
    assert caught.value.code == 130


def test_nohup_stays():
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with StopSignals() as signals:
            send(signal.SIGHUP)
        assert signals.received == 0
    finally:
        signal.signal(signal.SIGHUP, before)


def test_the_first_signal_counts():
    """Slurm sends SIGUSR1 first and SIGTERM at the time limit: the latter does not interrupt saving."""
    with StopSignals() as signals:
        for number in (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1, signal.SIGTERM):
            send(number)
    assert signals.received == signal.SIGINT


@pytest.mark.parametrize("fails", [False, True])
def test_handlers_are_put_back(fails):
    """Whatever the handlers were, and also after an error."""
    heard = []
    mine = [lambda number, frame, n=n: heard.append((n, number)) for n in range(len(NUMBERS))]
    before = [signal.signal(number, handler) for number, handler in zip(NUMBERS, mine, strict=True)]
    try:
        try:
            with StopSignals():
                assert [signal.getsignal(number) for number in NUMBERS] != mine
                if fails:
                    raise KeyError
        except KeyError:
            assert fails
        assert [signal.getsignal(number) for number in NUMBERS] == mine
        for number in NUMBERS:
            send(number)
        assert heard == list(enumerate(NUMBERS))
    finally:
        for number, handler in zip(NUMBERS, before, strict=True):
            signal.signal(number, handler)
