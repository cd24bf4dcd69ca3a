"""One training, from settings to a finished run folder. The command `nmt.train` is a shell around it."""

import logging
import random
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nmt.config import Config, settings
from nmt.data.batches import TrainingBatches
from nmt.data.examples import Example, save_examples
from nmt.data.prepare import Prepared, prepare
from nmt.data.tokenizer import PAD, Tokenizer
from nmt.data.vocabulary import load_tokenizers, piece_links
from nmt.decoding.opening import open_translator
from nmt.decoding.translator import Translation, Translator
from nmt.device import choose_device
from nmt.errors import StoppedError
from nmt.evaluation.evaluate import evaluate, write_evaluation
from nmt.evaluation.report import save_report
from nmt.evaluation.validation import validate
from nmt.files import write_json
from nmt.model.initialise import build_model
from nmt.resume import Request, keep_settings, refuse_other_data, resumed
from nmt.storage.checkpoint import (
    Checkpoint,
    find_checkpoint,
    kept_checkpoints,
    load_checkpoint,
    load_training,
    save_checkpoint,
)
from nmt.storage.run import Run, check_name, create_run, locked, point_latest
from nmt.training.journal import Journal, duration, start_log
from nmt.training.loop import Progress, Trainer, Window
from nmt.training.precision import Precision, choose_precision
from nmt.training.signals import StopSignals
from nmt.visualisation.heatmap import draw_heatmap, to_image

logger = logging.getLogger("nmt")
TEST_HEATMAPS = 8


def train(request: Request) -> float:
    """Train and evaluate a model, or go on with a training.

    Args:
        request: the settings; checked, unless they go on with a run.

    Returns:
        the best value of `training.metric` on the development part.

    Raises:
        StoppedError: when a signal came; everything is saved.
        NmtError: for whatever the user can mend.
    """
    run: Run | None = None
    if request.config.resume is None:
        config = request.config
        check_name(config)
    else:
        config, run = resumed(request)
    device = choose_device(config.device)
    precision = choose_precision(config.training.precision, device)
    _set_up_torch(config)
    prepared = prepare(config.data)
    run = run or create_run(config, request.name)
    with locked(run), StopSignals() as signals:
        start_log(run.log)
        if kept_checkpoints(run.last):
            refuse_other_data(run, prepared)
            newest = find_checkpoint(run.last)  # weights and state of one checkpoint, whatever is damaged
            checkpoint, state = load_checkpoint(newest, device), load_training(newest)
        else:  # a new run, or one that was stopped before its first checkpoint
            checkpoint, state = _begin(run, config, prepared, device), None
        if config.resume is not None:
            keep_settings(run, config)
        return _train(run, config, prepared, checkpoint, state, precision, signals)


def _begin(run: Run, config: Config, prepared: Prepared, device: torch.device) -> Checkpoint:
    """A new model, and what a run keeps of its data."""
    source, target = load_tokenizers(prepared, config.data)
    write_json(run.prepared, prepared.report)
    for part in ("dev", "test"):
        save_examples(run.examples(part), prepared.parts[part])
    _tell_start(run, prepared, config)
    model = build_model(config.model, len(source), len(target), PAD).to(device)
    return Checkpoint(model, config.model, source, target, {})


def _train(
    run: Run,
    config: Config,
    prepared: Prepared,
    checkpoint: Checkpoint,
    state: dict[str, Any] | None,
    precision: Precision,
    signals: StopSignals,
) -> float:
    model = checkpoint.model
    size = sum(parameter.numel() for parameter in model.parameters())
    logger.info(f"model: {size:,} parameters, on {precision.device} in {precision.dtype}")
    batches = _batches(config, prepared.parts["train"], checkpoint.source, checkpoint.target)
    observer = _Observer(run, config, checkpoint, prepared.parts["dev"], signals)
    trainer = Trainer(model, batches, config.training, precision, observer)
    if state is not None:
        trainer.restore(state)
        logger.info(f"going on after step {trainer.progress.step} of {trainer.total}")
    observer.start(trainer)
    try:
        progress = trainer.run()
        if signals.received is not None and progress.step < trainer.total:
            way = f"python -m nmt.train resume={run.folder}"
            said = f"stopped after step {progress.step}, all is saved; go on with: {way}"
            raise StoppedError(said, signals.received)
        logger.info(f"trained in {duration(progress.seconds)}; best at step {progress.best_step}")
        _write_training(run, progress, observer.journal)
        final = _evaluate_best(run, config, prepared, progress, precision.device)
    except BaseException:
        observer.journal.stop()
        raise
    observer.journal.close({key: value for key, _, value in settings(config)}, final)
    _tell_end(run)
    assert progress.best is not None, "search refuses a model that gives NaN"
    return progress.best


def _batches(
    config: Config, train: Sequence[Example], source: Tokenizer, target: Tokenizer
) -> TrainingBatches:
    links = None
    if config.training.guided_alignment:
        links = [piece_links(example, source, target) for example in train]
    return TrainingBatches(
        [source.encode(example.source) for example in train],
        [target.encode(example.references[0]) for example in train],
        config.training.batch_tokens,
        config.seed,
        links,
    )


def _set_up_torch(config: Config) -> None:
    random.seed(config.seed)
    np.random.seed(config.seed)
    torch.manual_seed(config.seed)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)


class _Observer:
    """Validates, saves and reports for the training loop."""

    journal: Journal
    _trainer: Trainer

    def __init__(
        self,
        run: Run,
        config: Config,
        checkpoint: Checkpoint,
        dev: Sequence[Example],
        signals: StopSignals,
    ) -> None:
        self._run, self._checkpoint, self._dev, self._signals = run, checkpoint, dev, signals
        self._keep = config.training.keep
        self._samples = config.training.samples
        greedy = replace(config.decoding, beam_size=1)
        self._translator = Translator(checkpoint.model, checkpoint.source, checkpoint.target, greedy)
        self._translations: list[Translation] = []
        self._is_latest = False

    def start(self, trainer: Trainer) -> None:
        """Begin to report on `trainer`."""
        self._trainer = trainer
        self.journal = Journal(self._run.tensorboard, trainer.total, trainer.progress.step)

    def updated(self, progress: Progress) -> None:
        self.journal.updated()

    def reported(self, progress: Progress, window: Window) -> None:
        self.journal.reported(progress, window)

    def validate(self, progress: Progress) -> dict[str, float]:
        validation = validate(self._translator, self._dev)
        self._translations = validation.translations
        return validation.scores

    def validated(self, progress: Progress, improved: bool) -> None:
        self._describe(progress)
        if improved:
            save_checkpoint(self._run.best, self._checkpoint, keep=self._keep)
            if not self._is_latest:
                point_latest(self._run)
                self._is_latest = True
        shown = list(zip(self._dev, self._translations, strict=True))[: self._samples]
        samples = [(example.source, found.text, example.references[0]) for example, found in shown]
        images = [_picture(translation) for _, translation in shown if len(translation.heads)]
        scores = self._checkpoint.progress["scores"]
        self.journal.validated(progress, scores, improved, samples, images)
        self.save(progress)  # at the end: what dies before it does all of the above again when it goes on

    def save(self, progress: Progress) -> None:
        self.journal.flush()  # the steps of this checkpoint are not done again
        self._describe(progress)
        save_checkpoint(self._run.last, self._checkpoint, self._trainer.state(), self._keep)

    def _describe(self, progress: Progress) -> None:
        newest = progress.history[-1] if progress.history else {}
        scores = {name: value for name, value in newest.items() if name != "step"}
        self._checkpoint.progress = {"step": progress.step, "epoch": progress.epoch, "scores": scores}

    def stopping(self) -> bool:
        return self._signals.received is not None


def _picture(translation: Translation) -> NDArray[np.uint8]:
    return to_image(draw_heatmap(*translation.words()))


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


def _write_training(run: Run, progress: Progress, journal: Journal) -> None:
    values = {
        "steps": progress.step,
        "best_step": progress.best_step,
        "seconds": progress.seconds,
        "skipped": progress.skipped,
        "tokens_per_second": journal.speed,
        "validations": progress.history,
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
