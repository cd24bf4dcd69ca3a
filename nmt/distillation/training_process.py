"""A process that trains one run.

It gets a request, pickled, from standard input, and writes the outcome, pickled, to standard output. When its
standard input ends, it saves and stops: so also when the process that started it is killed.
"""

import _thread
import os
import pickle
import signal
import sys
import threading
import traceback
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

import torch

from nmt.data.workers import result_stream
from nmt.errors import Failure, describe
from nmt.runs.logger import start_log
from nmt.runs.pipeline import train
from nmt.runs.resume import Request
from nmt.runs.run import Run
from nmt.training.signals import StopAtOnce
from nmt.training.step import is_out_of_memory

_IGNORE = "from signal import *; signal(SIGINT, SIG_IGN)"  # at a Ctrl-C, standard input ends too
PROGRAM = f"{_IGNORE}; from nmt.distillation.training_process import serve; serve()"
FEWER = "use fewer processes at the same time, with a lower distillation.processes"


class Outcome(NamedTuple):
    """How a training has ended.

    Attributes:
        best: the best development score; None if the run is not complete.
        failure: why it is not.
        trace: the traceback of an internal error.
    """

    best: float | None = None
    failure: Failure | None = None
    trace: str = ""


def run_of(request: Request) -> Run:
    """The run that is to be resumed."""
    assert request.config.resume is not None
    return Run(Path(request.config.resume))


def serve() -> None:
    """Train the run that standard input asks for; the program of the process."""
    results = result_stream()
    request, threads = pickle.load(sys.stdin.buffer)
    torch.set_num_threads(min(torch.get_num_threads(), threads))
    outcome = pickle.dumps(_outcome(request), pickle.HIGHEST_PROTOCOL)
    with suppress(BrokenPipeError), results:  # the process that started this one may be gone
        results.write(outcome)


def _outcome(request: Request) -> Outcome:
    run = run_of(request)
    try:
        with StopAtOnce("stopped before its training"):
            threading.Thread(target=_stop_at_end_of_input, daemon=True).start()
            start_log(run.log)
            return Outcome(train(request))
    except BaseException as error:
        failure = failure_of(error, run.folder)
        return Outcome(None, failure, "".join(traceback.format_exception(error)) if failure.internal else "")


def _stop_at_end_of_input() -> None:
    while os.read(sys.stdin.fileno(), 1):  # nothing more is sent
        pass
    _thread.interrupt_main(signal.SIGTERM)  # also on Windows, where a signal to itself would end the process


def failure_of(error: BaseException, folder: Path) -> Failure:
    """How an error is reported: as `describe` says, but memory that ran out may suffice for fewer processes.

    Args:
        error: that ended the training.
        folder: of the run.
    """
    failure = describe(error, folder)
    if not any(is_out_of_memory(one) for one in (error, error.__cause__)):
        return failure
    said = "error: memory ran out; " if failure.internal else f"{failure.line}; or "
    return Failure(said + FEWER, 2)
