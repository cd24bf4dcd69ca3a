"""How a run is scored: BLEU's tokenizer, and the metric that selects the best checkpoint."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from nmt.config.selection_metrics import METRICS
from nmt.config.settings import Config
from nmt.config.training import TrainingConfig
from nmt.data.examples import Example
from nmt.data.word_counts import WordCounts, load_word_counts
from nmt.errors import ConfigError, RunError
from nmt.evaluation.bleu_tokenizer import (
    DEFAULT,
    NGRAM,
    SAMPLE,
    check_tokenizer,
    choose_tokenizer,
    too_short_for_bleu,
)
from nmt.runs.checkpoint import kept_checkpoints
from nmt.runs.run import Run

RECORD = "bleu_tokenizer"
"""The key in a run's `prepared.json` for the name of the tokenizer."""


class Scoring(NamedTuple):
    """How a run is scored.

    Attributes:
        tokenizer: sacreBLEU's name of the tokenizer for BLEU.
        metric: selects the best checkpoint.
    """

    tokenizer: str
    metric: str

    def notes(self, asked: TrainingConfig) -> list[str]:
        """What differs from the defaults or the requested settings, one line each."""
        lines = []
        if self.tokenizer != DEFAULT:
            why = ", chosen by the script of the training targets" if asked.bleu_tokenizer == "auto" else ""
            lines.append(f"BLEU tokenizer: {self.tokenizer}{why}")
        if self.metric != asked.metric:
            lines.append(
                f"the development references are too short for BLEU, which counts {NGRAM}-grams: "
                f"the best checkpoint is selected by {self.metric}, then by loss"
            )
        return lines

    def applied(self, config: Config) -> Config:
        """The settings with the tokenizer and the metric that are actually used."""
        training = replace(config.training, metric=self.metric, bleu_tokenizer=self.tokenizer)
        return replace(config, training=training)


def choose_scoring(
    config: TrainingConfig, splits: Mapping[str, Sequence[Example]], run: Run | None = None
) -> Scoring:
    """Choose how to score a training run.

    Args:
        config: its settings.
        splits: the examples of "train" and "dev".
        run: the run to resume, if any; it keeps its tokenizer.

    Raises:
        ConfigError: if the tokenizer's package is not installed, or a resumed run would change tokenizer.
        RunError: if the run's record of its tokenizer cannot be read.
    """
    tokenizer = config.bleu_tokenizer
    if run is not None and kept_checkpoints(run.last):
        before = recorded_tokenizer(run)
        if tokenizer not in ("auto", before):
            raise ConfigError(
                f"training.bleu_tokenizer: {before} → {tokenizer} would make BLEU scores that are not "
                "comparable with the earlier ones; leave it out, or start a new run without resume="
            )
        tokenizer = before
    if tokenizer == "auto":
        train = splits["train"]
        sample = train[:: max(1, len(train) // SAMPLE)]  # a large training set is not read completely
        tokenizer = choose_tokenizer([example.references[0] for example in sample])
    check_tokenizer(tokenizer)
    usable = METRICS[config.metric].for_short_references
    short = not usable and too_short_for_bleu([e.references for e in splits["dev"]], tokenizer)
    return Scoring(tokenizer, "chrf" if short else config.metric)


def recorded_tokenizer(run: Run) -> str:
    """The tokenizer of a run's BLEU scores; runs without a record predate the setting and used 13a.

    Raises:
        ConfigError: if its package is not installed.
        RunError: if the record cannot be read.
    """
    try:
        report = json.loads(run.prepared.read_text(encoding="utf-8"))
        tokenizer = str(report.get(RECORD, DEFAULT))
    except FileNotFoundError:
        return DEFAULT
    except (OSError, ValueError, AttributeError) as error:
        raise RunError(f"{run.prepared}: missing or corrupt") from error
    check_tokenizer(tokenizer)
    return tokenizer


def tokenizer_for(run: Run, examples: Sequence[Example], to: str | None) -> str:
    """The tokenizer for BLEU of translations to a language: in the main direction (None) that of the run,
    else by the script of the references.

    Raises:
        ConfigError, RunError: as `recorded_tokenizer`.
    """
    if to is None:
        return recorded_tokenizer(run)
    tokenizer = choose_tokenizer([example.references[0] for example in examples])
    check_tokenizer(tokenizer)
    return tokenizer


def recorded_word_counts(run: Run) -> WordCounts | None:
    """How often each source word occurs in the training set of a run; None if the run is older than the file.

    Raises:
        DataError: if the file is corrupt.
    """
    return load_word_counts(run.word_counts) if run.word_counts.exists() else None
