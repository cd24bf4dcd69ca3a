"""A training run from settings to a finished run folder. The command `nmt.train` is a thin wrapper."""

import logging
from contextlib import closing, nullcontext
from dataclasses import replace
from typing import Any

import torch

from nmt.cli import command
from nmt.config.schema import settings
from nmt.config.settings import Config
from nmt.data.batches import TrainingBatches
from nmt.data.corpus import load_links, load_tokenized
from nmt.data.examples import save_examples
from nmt.data.prepare import Prepared
from nmt.data.tokenizer import PAD
from nmt.data.vocabulary import Corpus, load_corpus
from nmt.device import choose_device
from nmt.errors import DataError, StoppedError
from nmt.evaluation.bleu_tokenizer import check_tokenizer
from nmt.evaluation.scoring import RECORD, choose_scoring
from nmt.files import write_json
from nmt.model.initialise import build_model
from nmt.model.translation import DropoutRates
from nmt.runs.checkpoint import Checkpoint, kept_checkpoints, load_for_resuming
from nmt.runs.latest import finish_latest
from nmt.runs.load import load_translator
from nmt.runs.logger import TrainingLogger, duration, errors_logged, log_error, start_log
from nmt.runs.reporting import MainCallbacks, WorkerCallbacks
from nmt.runs.resume import Request, keep_settings, mark_launches, refuse_other_data, restarted, resumed
from nmt.runs.run import Run, check_name, create_run, locked
from nmt.runs.summary import log_end, log_start
from nmt.training.distributed import Processes, join_processes, losses_explained
from nmt.training.precision import Precision, choose_precision
from nmt.training.random_state import seed_everything
from nmt.training.signals import StopSignals
from nmt.training.train_state import TrainState
from nmt.training.trainer import Trainer

logger = logging.getLogger("nmt")
TEST_HEATMAPS = 8
State = dict[str, Any] | None  # training state to resume from
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
        config, old = processes.broadcast(lambda: _settings(request, processes))
        device = choose_device(config.device, processes.local_rank)
        _set_up_torch(config, device)
        precision = choose_precision(config.training.precision, device)
        corpus = _load_corpus(config, processes)
        parts, report = corpus.prepared.splits, corpus.prepared.report
        scoring = processes.broadcast(lambda: choose_scoring(config.training, parts, old))
        prepared = replace(corpus.prepared, report=report | {RECORD: scoring.tokenizer})
        corpus = corpus._replace(prepared=prepared)
        run = processes.broadcast(lambda: old or create_run(config, request.name))
        lock = locked(run) if processes.is_main else nullcontext()
        with (
            lock,
            errors_logged(run.log, processes.name),
            losses_explained(processes),
            StopSignals(_ECHO if processes.size > 1 else 0.0) as signals,
        ):
            checkpoint, found = _open(run, config, corpus, device, processes)
            launches = processes.all_gather(processes.launch)
            if processes.is_main:
                mark_launches(run, launches)
            if processes.is_main and found is None:
                for line in scoring.notes(config.training):
                    logger.info(line)
            state = processes.broadcast(lambda: found)
            scored = scoring.applied(config)
            best = _train(run, scored, corpus, checkpoint, state, precision, signals, processes)
    if signals.received:
        stop = StoppedError(
            "stopped; the current run was past its last update and has been finished", signals.received, best
        )
        if processes.is_main:
            log_error(run.log, stop)
        raise stop
    return best


def _settings(request: Request, processes: Processes) -> tuple[Config, Run | None]:
    """The settings to train with, and the run to resume, or None for a new run."""
    if processes.launch and request.config.resume is None:
        request = restarted(request, processes.launch)
    if request.config.resume is not None:
        return resumed(request)
    check_name(request.config)
    check_tokenizer(request.config.training.bleu_tokenizer)
    return request.config, None


def _load_corpus(config: Config, processes: Processes) -> Corpus:
    """The prepared data: made by the main process; the others read it or, on other machines, remake it."""
    mine = load_corpus(config.data) if processes.is_main else None
    fingerprint = processes.broadcast(lambda: mine and mine.prepared.report["fingerprint"])
    corpus = mine or load_corpus(config.data)
    if corpus.prepared.report["fingerprint"] != fingerprint:
        raise DataError(
            "not the same data as in the main process; give all machines the same files",
            corpus.prepared.folder,
        )
    return corpus


def _open(
    run: Run, config: Config, corpus: Corpus, device: torch.device, processes: Processes
) -> tuple[Checkpoint, State]:
    """The newest checkpoint of a run with its training state, or a new model without one. Only the main
    process reads a checkpoint.
    """
    if not processes.is_main:
        return _new(config, corpus, device), None
    state: State
    prepared = corpus.prepared
    start_log(run.log)
    if kept_checkpoints(run.last):
        refuse_other_data(run, prepared)
        checkpoint, state = load_for_resuming(run.last, device, _dropout(config))
    else:  # a new run, or one that was stopped before its first checkpoint
        write_json(run.prepared, prepared.report)
        for part in ("dev", "test"):
            save_examples(run.examples(part), prepared.splits[part])
        log_start(run, prepared, config)
        checkpoint, state = _new(config, corpus, device), None
    if config.resume is not None:
        keep_settings(run, config)
    return checkpoint, state


def _new(config: Config, corpus: Corpus, device: torch.device) -> Checkpoint:
    source, target = corpus.source, corpus.target
    model = build_model(config.model, len(source), len(target), PAD, _dropout(config)).to(device)
    return Checkpoint(model, config.model, source, target, {})


def _dropout(config: Config) -> DropoutRates:
    training = config.training
    return DropoutRates(training.dropout, training.embedding_dropout, training.word_dropout)


def _train(
    run: Run,
    config: Config,
    corpus: Corpus,
    checkpoint: Checkpoint,
    state: State,
    precision: Precision,
    signals: StopSignals,
    processes: Processes,
) -> float:
    size = sum(parameter.numel() for parameter in checkpoint.model.parameters())
    others = f", {processes.size} processes" if processes.size > 1 else ""
    logger.info(f"model: {size:,} parameters, on {precision.device} in {precision.dtype}{others}")
    prepared = corpus.prepared
    batches = _batches(config, corpus, checkpoint, processes)
    main_callbacks = (
        MainCallbacks(run, config, checkpoint, prepared.splits["dev"], signals) if processes.is_main else None
    )
    callbacks = main_callbacks or WorkerCallbacks(signals)
    lr = config.training.learning_rate * config.training.lr_multiplier
    training = replace(config.training, learning_rate=lr)
    trainer = Trainer(checkpoint.model, batches, training, precision, callbacks, processes)
    if processes.rank:  # rank 0's weights, but independent dropout
        seed_everything(config.seed, processes.rank)
    if state is not None:
        trainer.load_state_dict(state)
        logger.info(f"resuming after step {trainer.state.step} of {trainer.total}")
    callbacks.start(trainer)
    with closing(main_callbacks.logger) if main_callbacks else nullcontext():
        result = trainer.run()
        if trainer.stopped and result.step < trainer.total:
            way = command("python", "-m", "nmt.train", f"resume={run.folder}")
            said = f"stopped after step {result.step}, everything is saved; resume with: {way}"
            raise StoppedError(said if processes.is_main else "", trainer.stopped)
        if main_callbacks:
            _finish(run, config, prepared, result, main_callbacks, precision.device)
    assert result.best is not None, "search rejects a model that outputs NaN"
    return result.best


def _finish(
    run: Run,
    config: Config,
    prepared: Prepared,
    state: TrainState,
    callbacks: MainCallbacks,
    device: torch.device,
) -> None:
    logger.info(f"trained in {duration(state.seconds)}; best at step {state.best_step}")
    non_ema = None
    if config.training.ema:  # all scores so far are for the averaged weights
        non_ema = callbacks.validate(state)
        line = "  ".join(f"{name} {value:.2f}" for name, value in non_ema.items())
        logger.info(f"development scores with the newest weights instead of their average: {line}")
    _write_training(run, state, callbacks.logger, non_ema, config.training.metric)
    final = _evaluate_best(run, config, prepared, state, device)
    callbacks.logger.finished({key: value for key, _, value in settings(config)}, final)
    finish_latest(run.folder)
    log_end(run, [example.source for example in prepared.splits["test"]])


def _batches(config: Config, corpus: Corpus, checkpoint: Checkpoint, processes: Processes) -> TrainingBatches:
    source, target, train = checkpoint.source, checkpoint.target, corpus.train
    if (source.model, target.model) != (corpus.source.model, corpus.target.model):  # an older run's own
        train = load_tokenized(corpus.prepared, source, target, config.data.max_tokens)
    links = None
    if config.training.guided_alignment:
        links = load_links(corpus.prepared, train, source, target)
    return TrainingBatches(
        train.source,
        train.target,
        config.training.batch_tokens,
        config.seed,
        links,
        batches_per_update=config.training.accumulate * processes.size,
    )


def _set_up_torch(config: Config, device: torch.device) -> None:
    seed_everything(config.seed)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)
    if device.type == "cuda":
        torch.cuda.set_device(device)


def _evaluate_best(
    run: Run, config: Config, prepared: Prepared, state: TrainState, device: torch.device
) -> dict[str, float]:
    from nmt.evaluation.evaluator import evaluate, write_evaluation  # slow to import, and not needed to start
    from nmt.export.report import save_report

    test = prepared.splits["test"]
    translator = load_translator(run, config.decoding, device)
    evaluation = evaluate(translator, test, config.training.bleu_tokenizer)
    write_evaluation(run.evaluation("test"), evaluation, test, config.decoding, TEST_HEATMAPS)
    logger.info(f"test, {len(test)} sentences, beam {config.decoding.beam_size}:\n{evaluation.summary()}")
    save_report(run.report, config, evaluation, test, state.history, prepared.report)
    return evaluation.values()


def _write_training(
    run: Run, state: TrainState, logger: TrainingLogger, non_ema: dict[str, float] | None, metric: str
) -> None:
    values = {
        "steps": state.step,
        "metric": metric,
        "best_step": state.best_step,
        "seconds": state.seconds,
        "skipped": state.skipped,
        "tokens_per_second": logger.speed,
        "validations": state.history,
        "newest_weights": non_ema,
    }
    write_json(run.training, values)
