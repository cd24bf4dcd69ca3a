"""Runs that are trained at the same time, each in a process of its own (`training_process.py`)."""

import json
import logging
import pickle
import signal
import time
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType

import torch

from nmt.data.workers import available_cores, start_python
from nmt.distillation.training_process import FEWER, PROGRAM, Outcome, run_of
from nmt.errors import NmtError, StoppedError
from nmt.runs.logger import duration
from nmt.runs.resume import Request
from nmt.runs.run import Run
from nmt.training.signals import STOP_SIGNALS, StopSignals

logger = logging.getLogger("nmt")
_POLL = 0.2  # seconds


@dataclass(frozen=True)
class Training:
    """What one process is to do.

    Attributes:
        name: of the run, in the log.
        request: to resume the run, whose settings are written.
    """

    name: str
    request: Request

    @property
    def run(self) -> Run:
        """The run folder."""
        return run_of(self.request)


def train_at_once(trainings: Sequence[Training], processes: int) -> None:
    """Train runs at the same time. When one fails, or a signal is received, all others save and stop.

    Args:
        trainings: the runs, which begin in this order.
        processes: how many at the same time; each has its share of the cores, unless the settings of its run
            say how many (`threads`).

    Raises:
        StoppedError: if a signal was received; without a message.
        NmtError: if a training fails by what the user can fix, or its process dies; it names the log.
        RuntimeError: if a training fails by an internal error, whose traceback is a note.
    """
    torch.cuda.empty_cache()  # what pretraining has left to this process
    with StopSignals() as signals, _Processes(trainings, processes) as all_of_them:
        while all_of_them.go_on(signals.received):
            time.sleep(_POLL)
    if all_of_them.error is not None:
        raise all_of_them.error


class _Processes:
    """The processes that run, and the trainings that wait for one. At the end of the block, processes that
    still run, as after a second Ctrl-C, are killed.

    Attributes:
        error: the error to report: the first, but none that is only a stop if there is another.
    """

    def __init__(self, trainings: Sequence[Training], count: int) -> None:
        self.error: Exception | None = None
        self._waiting, self._count = deque(trainings), count
        self._running: list[_Process] = []
        self._threads = max(1, available_cores() // count)

    def __enter__(self) -> "_Processes":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for process in self._running:
            process.kill()

    def go_on(self, received: int) -> bool:
        """Begin and end processes; whether one still runs.

        Args:
            received: the number of a signal that is to stop all, or 0.
        """
        if received and self.error is None:
            self._note(StoppedError("", received), "a signal was received; all trainings")
        for process in [one for one in self._running if one.has_ended]:
            self._running.remove(process)
            self._note(process.error(), f"{process.training.name} has failed; the others")
        try:
            while self.error is None and self._waiting and len(self._running) < self._count:
                self._running.append(_Process(self._waiting.popleft(), self._threads))
        except OSError as error:
            self._note(error, "a process cannot be started; the others")
        return bool(self._running)

    def _note(self, error: Exception | None, what: str) -> None:
        """Keep an error, if there is one, and let the processes stop; `what`: why and which, in the log."""
        if error is None:
            return
        if self.error is None and self._running:
            logger.info(f"{what} stop, and are saved")
        if self.error is None or (
            isinstance(self.error, StoppedError) and not isinstance(error, StoppedError)
        ):
            self.error = error
        for process in self._running:
            process.stop()


class _Process:
    """A process that trains a run."""

    def __init__(self, training: Training, threads: int) -> None:
        self.training = training
        self._start = time.perf_counter()
        logger.info(f"{training.name}: training in {training.run.folder}")
        with training.run.log.open("ab") as log:
            self._process = start_python(PROGRAM, log)
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):  # it has died, which is reported when it is asked for its outcome
            pickle.dump((training.request, threads), self._process.stdin, pickle.HIGHEST_PROTOCOL)
            self._process.stdin.flush()

    @property
    def has_ended(self) -> bool:
        """Whether it has."""
        return self._process.poll() is not None

    def stop(self) -> None:
        """Let it save and end."""
        assert self._process.stdin is not None
        with suppress(BrokenPipeError):
            self._process.stdin.close()

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()
        self._outcome()

    def error(self) -> Exception | None:
        """The error with which it has ended; without one, logs that the run is complete."""
        outcome, run = self._outcome(), self.training.run
        if outcome is None:
            return self._death()
        if outcome.failure is None:
            metric = json.loads(run.training.read_text(encoding="utf-8"))["metric"]
            taken = duration(time.perf_counter() - self._start)
            logger.info(
                f"{self.training.name}: complete in {taken}; best development {metric} {outcome.best:.2f}"
            )
            return None
        line, code, internal = outcome.failure
        if code > 128:
            return StoppedError("", code - 128)
        said = self._said(line.removeprefix("internal ").removeprefix("error: "))
        if not internal:
            return NmtError(said)
        error = RuntimeError(said)
        error.add_note(f"in its process:\n{outcome.trace}")
        return error

    def _death(self) -> Exception:
        """The error of a process that has ended without an outcome."""
        code = self._process.returncode
        if -code in STOP_SIGNALS:  # before it could handle it
            return StoppedError("", -code)
        how = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"ended with exit code {code}"
        return NmtError(self._said(f"its process {how}; if memory ran out, {FEWER}"))

    def _said(self, what: str) -> str:
        return f"{self.training.name}: {what}; log: {self.training.run.log}"

    def _outcome(self) -> Outcome | None:
        """What it has written, after its end."""
        self.stop()
        assert self._process.stdout is not None
        with self._process.stdout as stream:
            written = stream.read()
        self._process.wait()
        with suppress(EOFError, pickle.UnpicklingError):
            outcome: Outcome = pickle.loads(written)
            return outcome
        return None
