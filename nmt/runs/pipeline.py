"""A training run from settings to a finished run folder. The command `nmt.train` is a thin wrapper.

settings → corpus → run folder → model → trainer → evaluation → report
"""

import logging
from contextlib import closing, nullcontext

from nmt.cli import command
from nmt.config.settings import Config
from nmt.device import choose_device
from nmt.errors import StoppedError
from nmt.runs.finish import finish
from nmt.runs.logger import errors_logged, log_error
from nmt.runs.reporting import MainCallbacks, WorkerCallbacks
from nmt.runs.resume import Request, mark_launches
from nmt.runs.run import create_run, locked
from nmt.runs.setup import (
    Setup,
    choose_settings,
    load_scored_corpus,
    make_trainer,
    open_checkpoint,
    set_up_torch,
)
from nmt.training.distributed import explain_lost_process, join_processes
from nmt.training.precision import choose_precision
from nmt.training.signals import StopSignals

logger = logging.getLogger("nmt")
_ECHO = 2.0  # seconds


def train(request: Request) -> float:
    """Train and evaluate a model, or resume a run.

    Args:
        request: the settings; validated, unless they resume a run.

    Returns:
        the best development score by the selection metric: `training.metric`, or chrF if the references are
        too short for BLEU.

    Raises:
        StoppedError: if a signal was received; everything is saved, and a run past its last update is
            finished.
        NmtError: for anything the user can fix.
    """
    with join_processes() as processes:
        config, old = processes.broadcast(lambda: choose_settings(request, processes))
        device = choose_device(config.device, processes.local_rank)
        set_up_torch(config, device)
        units = max(config.model.encoder.size, config.model.decoder.size)
        precision = choose_precision(config.training.precision, device, units)
        corpus, scoring = load_scored_corpus(config, processes, old)
        run = processes.broadcast(lambda: old or create_run(config, request.name))
        with (
            locked(run) if processes.is_main else nullcontext(),
            errors_logged(run.log, processes.name),
            explain_lost_process(processes),
            StopSignals(_ECHO if processes.size > 1 else 0.0) as signals,
        ):
            setup = Setup(run, config, corpus, scoring, precision, processes, request.latest)
            best = _train(setup, signals)
    if signals.received:
        stop = StoppedError(
            "stopped; the current run was past its last update and has been finished", signals.received, best
        )
        if processes.is_main:
            log_error(run.log, stop)
        raise stop
    return best


def check_new(request: Request) -> Config:
    """The settings of a new run, after everything that is refused before its folder is made."""
    with join_processes() as processes:
        config, _ = choose_settings(request, processes)
        choose_device(config.device)
        load_scored_corpus(config, processes, None)
    return config


def _train(setup: Setup, signals: StopSignals) -> float:
    run, processes = setup.run, setup.processes
    checkpoint, state = open_checkpoint(setup)
    launches = processes.all_gather(processes.launch)
    if processes.is_main:
        mark_launches(run, launches)
    main = None
    if processes.is_main:
        main = MainCallbacks(run, setup.scored, checkpoint, setup.dev, signals, setup.latest)
    callbacks = main or WorkerCallbacks(signals)
    trainer = make_trainer(setup, checkpoint, processes.broadcast(lambda: state), callbacks)
    callbacks.start(trainer)
    with closing(main.logger) if main else nullcontext():
        result = trainer.run()
        if trainer.stopped and result.step < trainer.total:
            resume = command("python", "-m", "nmt.train", f"resume={run.folder}")
            said = f"stopped after step {result.step}, everything is saved; resume with: {resume}"
            raise StoppedError(said if processes.is_main else "", trainer.stopped)
        if main:
            finish(setup, result, main)
    assert result.best is not None, "search rejects a model that outputs NaN"
    return result.best
