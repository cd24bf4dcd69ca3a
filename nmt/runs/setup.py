"""The parts of a training run, made from its settings: corpus, model or checkpoint, trainer."""

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch

from nmt.allocator import keep_freed_memory
from nmt.config.directions import target_languages
from nmt.config.settings import Config
from nmt.data.batching import TrainingBatches
from nmt.data.corpus import TokenizedPairs, load_links, load_tokenized
from nmt.data.examples import Example, StoredExamples, save_examples
from nmt.data.mixture import main_lines, row_weights
from nmt.data.soft_labels import soft_labels_of
from nmt.data.subword_sampling import SampledPairs
from nmt.data.tokenizer import PAD, Tokenizer
from nmt.data.vocabulary import Corpus, load_corpus
from nmt.data.word_counts import count_source_words, save_word_counts
from nmt.errors import DataError
from nmt.evaluation.bleu_tokenizer import check_tokenizer
from nmt.files import write_json
from nmt.model.initialise import build_model
from nmt.model.translation import DropoutRates
from nmt.runs.checkpoint import Checkpoint, kept_checkpoints, load_for_resuming
from nmt.runs.logger import start_log
from nmt.runs.resume import Request, keep_settings, refuse_other_data, restarted, resumed
from nmt.runs.run import Run, check_name
from nmt.runs.scoring import RECORD, Scoring, choose_scoring
from nmt.runs.summary import log_start
from nmt.runs.transfer import found_initial, initial_run, initialise_from
from nmt.training.callbacks import Callbacks
from nmt.training.distributed import Processes
from nmt.training.precision import Precision
from nmt.training.random_state import seed_everything
from nmt.training.trainer import Trainer

logger = logging.getLogger("nmt")
SavedState = dict[str, Any] | None
"""Training state to resume from, if any."""


@dataclass(frozen=True)
class Setup:
    """What a training run works with.

    Attributes:
        run: its folder.
        config: its settings.
        corpus: its data.
        scoring: how translations are scored, and by which metric checkpoints are selected.
        precision: device, and dtype of the matrix products.
        processes: the processes that train together.
        latest: whether `latest`, next to the run folder, is to point to the run.
    """

    run: Run
    config: Config
    corpus: Corpus
    scoring: Scoring
    precision: Precision
    processes: Processes
    latest: bool

    @property
    def scored(self) -> Config:
        """The settings, with the scoring that was chosen for the data."""
        return self.scoring.applied(self.config)

    @property
    def dev(self) -> Sequence[Example]:
        """The dev set."""
        return self.corpus.prepared.splits["dev"]


def choose_settings(request: Request, processes: Processes) -> tuple[Config, Run | None]:
    """The settings to train with, and the run to resume, or None for a new run."""
    if processes.launch and request.config.resume is None:
        request = restarted(request, processes.launch)
    if request.config.resume is not None:
        return resumed(request)
    check_name(request.config)
    check_tokenizer(request.config.training.bleu_tokenizer)
    return found_initial(request.config), None


def set_up_torch(config: Config, device: torch.device) -> None:
    """Seed, threads and device of this process."""
    seed_everything(config.seed)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    torch.set_flush_denormal(True)
    keep_freed_memory()
    if device.type == "cuda":
        torch.cuda.set_device(device)


def load_scored_corpus(config: Config, processes: Processes, old: Run | None) -> tuple[Corpus, Scoring]:
    """The corpus, and how its translations are scored, which is recorded in its report.

    Args:
        config: the settings.
        processes: the main process prepares the data; the others read it or, on other machines, remake it.
        old: the run to resume, if any; it keeps its scoring.

    Raises:
        DataError: if the processes have different data, or soft labels are not of it.
    """
    mine = load_corpus(config.data, config.threads) if processes.is_main else None
    fingerprint = processes.broadcast(lambda: mine and mine.prepared.report["fingerprint"])
    corpus = mine or load_corpus(config.data, config.threads)
    prepared = corpus.prepared
    if prepared.report["fingerprint"] != fingerprint:
        raise DataError(
            "not the same data as in the main process; give all machines the same files", prepared.folder
        )
    if mine:
        soft_labels_of(config.data, prepared.mixture, mine.train)  # refused before there is a run
    splits = prepared.splits
    if target_languages(config.data):  # the training targets are in several
        splits = splits | {"train": splits["dev"]}
    scoring = processes.broadcast(lambda: choose_scoring(config.training, splits, old))
    report = prepared.report | {RECORD: scoring.tokenizer}
    return corpus._replace(prepared=replace(prepared, report=report)), scoring


def open_checkpoint(setup: Setup) -> tuple[Checkpoint, SavedState]:
    """The newest checkpoint of the run with its training state, or a new model without one. Only the main
    process reads a checkpoint.

    Raises:
        RunError: if the checkpoint is corrupt, the data is not what the run was trained on, or the run to
            start from does not fit.
    """
    if not setup.processes.is_main:
        return _new_model(setup), None
    run, config, prepared = setup.run, setup.config, setup.corpus.prepared
    state: SavedState = None
    start_log(run.log)
    if kept_checkpoints(run.last):
        refuse_other_data(run, prepared)
        checkpoint, state = load_for_resuming(run.last, setup.precision.device, _dropout(config))
    else:  # a new run, or one that was stopped before its first checkpoint
        write_json(run.prepared, prepared.report)
        for split in ("dev", "test"):
            save_examples(run.examples(split), prepared.splits[split])
        log_start(run, prepared, config)
        checkpoint = _new_model(setup)
        if (initial := initial_run(config, run)) is not None:
            initialise_from(initial, checkpoint)
    if state is None or not run.word_counts.exists():  # a resumed run may be older than the file
        train = prepared.splits["train"]
        assert isinstance(train, StoredExamples)
        lines = main_lines(prepared.mixture) if prepared.mixture else len(train)
        save_word_counts(run.word_counts, count_source_words(train, lines, config.threads))
    if config.resume is not None:
        keep_settings(run, config)
    if state is None:
        for line in setup.scoring.notes(config.training):
            logger.info(line)
    return checkpoint, state


def _new_model(setup: Setup) -> Checkpoint:
    config, source, target = setup.config, setup.corpus.source, setup.corpus.target
    model = build_model(config.model, len(source), len(target), PAD, _dropout(config))
    return Checkpoint(model.to(setup.precision.device), config.model, source, target, {})


def _dropout(config: Config) -> DropoutRates:
    training = config.training
    return DropoutRates(training.dropout, training.embedding_dropout, training.word_dropout)


def make_trainer(setup: Setup, checkpoint: Checkpoint, state: SavedState, callbacks: Callbacks) -> Trainer:
    """The trainer of a model, with the state to resume from, if any."""
    model, processes, precision = checkpoint.model, setup.processes, setup.precision
    size = sum(parameter.numel() for parameter in model.parameters())
    others = f", {processes.size} processes" if processes.size > 1 else ""
    logger.info(f"model: {size:,} parameters, on {precision.device} in {precision.dtype}{others}")
    training = setup.scored.training
    lr = training.learning_rate * training.lr_multiplier
    trainer = Trainer(
        model,
        _batches(setup, checkpoint),
        replace(training, learning_rate=lr),
        precision,
        callbacks,
        processes,
    )
    if processes.rank:  # the main process's weights, but independent dropout
        seed_everything(setup.config.seed, processes.rank)
    if state is not None:
        trainer.load_state_dict(state)
        logger.info(f"resuming after step {trainer.state.step} of {trainer.total}")
    return trainer


def _batches(setup: Setup, checkpoint: Checkpoint) -> TrainingBatches:
    config, corpus = setup.config, setup.corpus
    source, target, train = checkpoint.source, checkpoint.target, corpus.train
    if (source.model, target.model) != (corpus.source.model, corpus.target.model):  # an older run's own
        train = load_tokenized(corpus.prepared, source, target, config.data.max_tokens, config.threads)
    links = None
    if config.training.guided_alignment:
        links = load_links(corpus.prepared, train, source, target, config.threads)
    soft = soft_labels_of(config.data, corpus.prepared.mixture, train)
    if soft is not None:
        logger.info(f"soft labels: of {soft.pairs:,} of {len(train):,} pairs")
    return TrainingBatches(
        train.source,
        train.target,
        config.training.batch_tokens,
        config.seed,
        links,
        batches_per_update=config.training.accumulate * setup.processes.size,
        weights=row_weights(corpus.prepared.mixture, train.left_out),
        sampled=_sampled(config, train, (source, target)),
        soft=soft,
    )


def _sampled(
    config: Config, train: TokenizedPairs, tokenizers: tuple[Tokenizer, Tokenizer]
) -> SampledPairs | None:
    training = config.training
    if not training.subword_sampling:
        return None
    kind, strength, below = (
        config.data.tokenizer.kind,
        training.subword_sampling,
        training.subword_sampling_below,
    )
    return SampledPairs(
        train.source, train.target, tokenizers, kind, strength, below, config.seed, training.epochs
    )
