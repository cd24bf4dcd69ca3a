"""The metrics that can select the best checkpoint (`training.metric`): one entry each.

All but sums are computed at every validation, logged and drawn. sacreBLEU is imported when a score is
computed.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Metric:
    """A score of the translations of the development set.

    Attributes:
        title: of its curve in the report.
        scorer: takes sacreBLEU's name of the tokenizer for BLEU; returns an object whose
            `corpus_score(hypotheses, streams).score` is the score, as those of sacreBLEU: a stream has one
            reference (or None) per hypothesis. None for the loss, which the model computes, and for sums.
        lower_is_better: whether a lower score is better.
        for_short_references: whether it is meaningful if hardly any reference has four tokens; else chrF
            takes its place on such data.
        sum_of: names of other metrics, of which this one is the sum; it has no scorer.
    """

    title: str
    scorer: Callable[[str], Any] | None
    lower_is_better: bool = False
    for_short_references: bool = True
    sum_of: tuple[str, ...] = ()


def _bleu(tokenizer: str) -> Any:
    from sacrebleu.metrics.bleu import BLEU

    return BLEU(tokenize=tokenizer, force=True)  # force: no warning about tokenised text


def _chrf(tokenizer: str) -> Any:
    from sacrebleu.metrics.chrf import CHRF

    return CHRF()


METRICS = {
    "bleu": Metric("Development BLEU (greedy)", _bleu, for_short_references=False),
    "chrf": Metric("Development chrF2 (greedy)", _chrf),
    "loss": Metric("Development loss (nats per token)", None, lower_is_better=True),
    "bleu+chrf": Metric(
        "Development BLEU + chrF2 (greedy)", None, for_short_references=False, sum_of=("bleu", "chrf")
    ),
}


def metric_value(scores: Mapping[str, float], metric: str) -> float:
    """The value of a metric.

    Args:
        scores: of one validation, by name; without the sums.
        metric: its name.

    Returns:
        NaN if it is missing, because the run is older than the metric.
    """
    return sum(scores.get(name, math.nan) for name in METRICS[metric].sum_of or (metric,))
