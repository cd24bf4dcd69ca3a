"""One training, from settings to a finished run folder. The command `nmt.train` is a shell around it."""

import logging
from collections.abc import Sequence
from contextlib import closing, nullcontext
from dataclasses import replace
from typing import Any

import torch

from nmt.config import Config
from nmt.data.batches import TrainingBatches
from nmt.data.examples import Example, save_examples
from nmt.data.prepare import Prepared, prepare
from nmt.data.tokenizer import PAD
from nmt.data.vocabulary import load_tokenizers, piece_links
from nmt.decoding.opening import open_translator
from nmt.device import choose_device
from nmt.errors import DataError, StoppedError
from nmt.evaluation.evaluate import evaluate, write_evaluation
from nmt.evaluation.report import save_report
from nmt.files import write_json
from nmt.model.initialise import build_model
from nmt.observers import Follower, Reporter
from nmt.processes import Processes, join_processes
from nmt.resume import Request, keep_settings, mark_launches, refuse_other_data, restarted, resumed
from nmt.schema import settings
from nmt.storage.checkpoint import (
    Checkpoint,
    find_checkpoint,
    kept_checkpoints,
    load_checkpoint,
    load_training,
)
from nmt.storage.run import Run, check_name, create_run, locked
from nmt.training.journal import Journal, duration, start_log
from nmt.training.loop import Progress, Trainer
from nmt.training.precision import Precision, choose_precision
from nmt.training.randomness import seed_everything
from nmt.training.signals import StopSignals

logger = logging.getLogger("nmt")
TEST_HEATMAPS = 8
State = dict[str, Any] | None  # of a training that goes on
_ECHO = 2.0  # seconds


def train(request: Request) -> float:
    """Train and evaluate a model, or go on with a training.

    Args:
        request: the settings; checked, unless they go on with a run.

    Returns:
        the best value of `training.metric` on the development part.

    Raises:
        StoppedError: when a signal came; everything is saved, and what was past its last update finished.
        NmtError: for whatever the user can mend.
    """
    with join_processes() as processes:
        config, old = processes.from_first(lambda: _settings(request, processes))
        device = choose_device(config.device, processes.local_rank)
        _set_up_torch(config, device)
        precision = choose_precision(config.training.precision, device)
        prepared = _prepare(config, processes)
        run = processes.from_first(lambda: old or create_run(config, request.name))
        lock = locked(run) if processes.first else nullcontext()
        with lock, StopSignals(_ECHO if processes.size > 1 else 0.0) as signals:
            checkpoint, found = _open(run, config, prepared, device, processes)
            launches = processes.gathered(processes.launch)
            if processes.first:
                mark_launches(run, launches)
            state = processes.from_first(lambda: found)
            best = _train(run, config, prepared, checkpoint, state, precision, signals, processes)
    if signals.received:
        raise StoppedError("stopped; the run that was nearly done is finished", signals.received, best)
    return best


def _settings(request: Request, processes: Processes) -> tuple[Config, Run | None]:
    """The settings to train with, and the run to go on with, if it is not a new one."""
    if processes.launch and request.config.resume is None:
        request = restarted(request, processes.launch)
    if request.config.resume is not None:
        return resumed(request)
    check_name(request.config)
    return request.config, None


def _prepare(config: Config, processes: Processes) -> Prepared:
    """The prepared data; the first process makes them, the others read them or, elsewhere, make the same."""
    mine = prepare(config.data) if processes.first else None
    fingerprint = processes.from_first(lambda: mine and mine.report["fingerprint"])
    prepared = mine or prepare(config.data)
    if prepared.report["fingerprint"] != fingerprint:
        raise DataError(
            "other data than the first process has; give all machines the same files", prepared.folder
        )
    return prepared


def _open(
    run: Run, config: Config, prepared: Prepared, device: torch.device, processes: Processes
) -> tuple[Checkpoint, State]:
    """The newest checkpoint of a run with the state of its training, or a new model and none; the latter
    too where another process reads them.
    """
    if not processes.first:
        return _new(config, prepared, device), None
    state: State
    start_log(run.log)
    if kept_checkpoints(run.last):
        refuse_other_data(run, prepared)
        newest = find_checkpoint(run.last)  # weights and state of one checkpoint, whatever is damaged
        checkpoint, state = load_checkpoint(newest, device), load_training(newest)
    else:  # a new run, or one that was stopped before its first checkpoint
        write_json(run.prepared, prepared.report)
        for part in ("dev", "test"):
            save_examples(run.examples(part), prepared.parts[part])
        _tell_start(run, prepared, config)
        checkpoint, state = _new(config, prepared, device), None
    if config.resume is not None:
        keep_settings(run, config)
    return checkpoint, state


def _new(config: Config, prepared: Prepared, device: torch.device) -> Checkpoint:
    source, target = load_tokenizers(prepared, config.data)
    model = build_model(config.model, len(source), len(target), PAD).to(device)
    return Checkpoint(model, config.model, source, target, {})


def _train(
    run: Run,
    config: Config,
    prepared: Prepared,
    checkpoint: Checkpoint,
    state: State,
    precision: Precision,
    signals: StopSignals,
    processes: Processes,
) -> float:
    size = sum(parameter.numel() for parameter in checkpoint.model.parameters())
    others = f", {processes.size} processes" if processes.size > 1 else ""
    logger.info(f"model: {size:,} parameters, on {precision.device} in {precision.dtype}{others}")
    batches = _batches(config, prepared.parts["train"], checkpoint, processes)
    reporter = Reporter(run, config, checkpoint, prepared.parts["dev"], signals) if processes.first else None
    observer = reporter or Follower(signals)
    rate = config.training.learning_rate * config.model.rate_factor
    training = replace(config.training, learning_rate=rate)
    trainer = Trainer(checkpoint.model, batches, training, precision, observer, processes)
    if processes.rank:  # with the weights of the first, but a dropout of its own
        seed_everything(config.seed, processes.rank)
    if state is not None:
        trainer.restore(state)
        logger.info(f"going on after step {trainer.progress.step} of {trainer.total}")
    observer.start(trainer)
    with closing(reporter.journal) if reporter else nullcontext():
        progress = trainer.run()
        if trainer.stopped and progress.step < trainer.total:
            way = f"python -m nmt.train resume={run.folder}"
            said = f"stopped after step {progress.step}, all is saved; go on with: {way}"
            raise StoppedError(said if processes.first else "", trainer.stopped)
        if reporter:
            _finish(run, config, prepared, progress, reporter, precision.device)
    assert progress.best is not None, "search refuses a model that gives NaN"
    return progress.best


def _finish(
    run: Run,
    config: Config,
    prepared: Prepared,
    progress: Progress,
    reporter: Reporter,
    device: torch.device,
) -> None:
    logger.info(f"trained in {duration(progress.seconds)}; best at step {progress.best_step}")
    newest = None
    if config.training.ema:  # all scores so far are of the average
        newest = reporter.validate(progress)
        line = "  ".join(f"{name} {value:.2f}" for name, value in newest.items())
        logger.info(f"development with the newest weights in place of their average: {line}")
    _write_training(run, progress, reporter.journal, newest)
    final = _evaluate_best(run, config, prepared, progress, device)
    reporter.journal.finished({key: value for key, _, value in settings(config)}, final)
    _tell_end(run)


def _batches(
    config: Config, train: Sequence[Example], checkpoint: Checkpoint, processes: Processes
) -> TrainingBatches:
    source, target, links = checkpoint.source, checkpoint.target, None
    if config.training.guided_alignment:
        links = [piece_links(example, source, target) for example in train]
    return TrainingBatches(
        [source.encode(example.source) for example in train],
        [target.encode(example.references[0]) for example in train],
        config.training.batch_tokens,
        config.seed,
        links,
        block=config.training.accumulate * processes.size,
    )


def _set_up_torch(config: Config, device: torch.device) -> None:
    seed_everything(config.seed)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)
    if device.type == "cuda":
        torch.cuda.set_device(device)


def _evaluate_best(
    run: Run, config: Config, prepared: Prepared, progress: Progress, device: torch.device
) -> dict[str, float]:
    test = prepared.parts["test"]
    translator = open_translator(run, config.decoding, device)
    evaluation = evaluate(translator, test)
    write_evaluation(run.evaluation("test"), evaluation, test, config.decoding, TEST_HEATMAPS)
    logger.info(f"test, {len(test)} sentences, beam {config.decoding.beam_size}:\n{evaluation.summary()}")
    save_report(run.report, config, evaluation, test, progress.history, prepared.report)
    return evaluation.values()


def _write_training(run: Run, progress: Progress, journal: Journal, newest: dict[str, float] | None) -> None:
    values = {
        "steps": progress.step,
        "best_step": progress.best_step,
        "seconds": progress.seconds,
        "skipped": progress.skipped,
        "tokens_per_second": journal.speed,
        "validations": progress.history,
        "newest_weights": newest,
    }
    write_json(run.training, values)


def _tell_start(run: Run, prepared: Prepared, config: Config) -> None:
    report = prepared.report
    drops = ", ".join(f"{count} {reason}" for reason, count in report["dropped"].items() if count)
    parts = ", ".join(f"{part} {size['pairs']:,}" for part, size in report["parts"].items())
    logger.info(f"run folder: {run.folder}")
    change = report["since_previous"]
    if prepared.fresh and change is not None:
        logger.info(
            f"the source has changed since it was last prepared: {change['new_sources']} new source "
            f"sentences, {change['gone_sources']} gone, {change['moved_sources']} in another part now"
        )
    logger.info(
        f"data: {config.data.source}, {report['pairs_kept']:,} pairs ({parts}); dropped: {drops or 'none'}"
    )


def _tell_end(run: Run) -> None:
    folder = run.evaluation("test")
    logger.info(f"translations, scores and attention: {folder}")
    if (folder / "heatmaps").is_dir():
        logger.info(f"alignment heatmaps:                 {folder / 'heatmaps'}")
    logger.info(
        f"report:                             {run.report}\n"
        f"training curves:                    tensorboard --logdir {run.folder.parent}\n"
        f'translate:                          python -m nmt.translate --run {run.folder} "…"'
    )
