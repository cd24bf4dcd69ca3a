"""How a run is scored: BLEU's tokenizer, and the metric that selects the best checkpoint."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

from nmt.config import Config, TrainingConfig
from nmt.data.examples import Example
from nmt.errors import ConfigError, RunError
from nmt.evaluation.bleu_tokenizer import (
    DEFAULT,
    NGRAM,
    check_tokenizer,
    choose_tokenizer,
    too_short_for_bleu,
)
from nmt.storage.checkpoint import kept_checkpoints
from nmt.storage.run import Run

RECORD = "bleu_tokenizer"
"""Of a run's `prepared.json`: the name of the tokenizer."""


class Scoring(NamedTuple):
    """How a run is scored.

    Attributes:
        tokenizer: sacreBLEU's name of the one for BLEU.
        metric: what selects the best checkpoint.
    """

    tokenizer: str
    metric: str

    def notes(self, asked: TrainingConfig) -> list[str]:
        """What is not as usual, or not as the settings ask: a line each."""
        lines = []
        if self.tokenizer != DEFAULT:
            why = ", chosen by the script of the training targets" if asked.bleu_tokenizer == "auto" else ""
            lines.append(f"BLEU's tokenizer: {self.tokenizer}{why}")
        if self.metric != asked.metric:
            lines.append(
                f"the development references are too short for BLEU, which counts runs of {NGRAM} tokens: "
                f"the best checkpoint is selected by {self.metric}, then by loss"
            )
        return lines

    def applied(self, config: Config) -> Config:
        """Settings that name what is used."""
        training = replace(config.training, metric=self.metric, bleu_tokenizer=self.tokenizer)
        return replace(config, training=training)


def choose_scoring(
    config: TrainingConfig, parts: Mapping[str, Sequence[Example]], run: Run | None = None
) -> Scoring:
    """How to score a training.

    Args:
        config: its settings.
        parts: the examples of "train" and "dev".
        run: what the training goes on with, if it is not a new one: its tokenizer stays.

    Raises:
        ConfigError: when the tokenizer's package is not installed, or a run is to go on with another one.
        RunError: when the run's record of it cannot be read.
    """
    tokenizer = config.bleu_tokenizer
    if run is not None and kept_checkpoints(run.last):
        before = recorded_tokenizer(run)
        if tokenizer not in ("auto", before):
            raise ConfigError(
                f"training.bleu_tokenizer: {before} → {tokenizer} would make BLEU scores that cannot be "
                "compared with those so far; leave it out, or start a new run without resume="
            )
        tokenizer = before
    if tokenizer == "auto":
        tokenizer = choose_tokenizer([example.references[0] for example in parts["train"]])
    check_tokenizer(tokenizer)
    short = config.metric == "bleu" and too_short_for_bleu([e.references for e in parts["dev"]], tokenizer)
    return Scoring(tokenizer, "chrf" if short else config.metric)


def recorded_tokenizer(run: Run) -> str:
    """The tokenizer that a run's BLEU is of; runs without a record are older than the choice.

    Raises:
        ConfigError: when its package is not installed.
        RunError: when the record cannot be read.
    """
    try:
        report = json.loads(run.prepared.read_text(encoding="utf-8"))
        tokenizer = str(report.get(RECORD, DEFAULT))
    except FileNotFoundError:
        return DEFAULT
    except (OSError, ValueError, AttributeError) as error:
        raise RunError(f"{run.prepared}: missing or damaged") from error
    check_tokenizer(tokenizer)
    return tokenizer
