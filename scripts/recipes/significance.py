"""Scores of recipes and the significance of their differences, from sacreBLEU's sentence statistics.

Two things make a difference between recipes uncertain, and each has its own figure. The seed: the sample
standard deviation over the runs of a recipe. The choice of test sentences: the paired bootstrap (Koehn
2004). A resample draws sentences, the same ones for every run of both recipes, and its statistic is the
difference between the means over the runs. The outputs of all runs for one sentence are not independent, so
they are never drawn separately: pooling them as if they were would make any p-value too small. With one run
for each recipe it is the test of `sacrebleu --paired-bs`, with the same resamples and the same p-value
(one-sided).
"""

from collections.abc import Sequence
from statistics import fmean, stdev
from typing import Any

import numpy as np
from numpy.typing import NDArray

RESAMPLES = 1000  # sacreBLEU's default, as is the seed
SEED = 12345
Statistics = NDArray[np.float64]
"""Sufficient statistics of each run and sentence, [R, N, K] for R runs: a corpus's are the sum over N."""


def sentence_statistics(
    metric: Any, outputs: Sequence[Sequence[str]], streams: Sequence[Sequence[str | None]]
) -> Statistics:
    """The statistics of sentences, [R, N, K].

    Args:
        metric: a metric of sacreBLEU; BLEU and chrF have such statistics.
        outputs: N translations of each of R runs.
        streams: of references, each N, or None where a sentence has fewer.
    """
    rows = [metric._extract_corpus_statistics(texts, streams) for texts in outputs]
    return np.array(rows, np.float64)


def scores_of_sums(metric: Any, sums: NDArray[np.float64]) -> list[float]:
    """The scores of corpora, on a scale of 100.

    Args:
        metric: as in `sentence_statistics`.
        sums: the sum of each corpus's statistics, [C, K].
    """
    return [float(metric._compute_score_from_stats(row).score) for row in sums]


def run_scores(metric: Any, statistics: Statistics, members: Sequence[int] | None = None) -> list[float]:
    """The corpus score of each run.

    Args:
        metric: as in `sentence_statistics`.
        statistics: of the runs, [R, N, K].
        members: indices of the sentences, by default all.
    """
    chosen = statistics if members is None else statistics[:, list(members)]
    return scores_of_sums(metric, chosen.sum(axis=1))


def deviation(scores: Sequence[float]) -> float | None:
    """The sample standard deviation; None of a single score."""
    return stdev(scores) if len(scores) > 1 else None


def paired_bootstrap(metric: Any, baseline: Statistics, system: Statistics) -> float:
    """The p-value of the difference between two recipes' mean scores under resampling of the sentences; 1 if
    there is none, which sacreBLEU's formula calls significant if the outputs are the same.

    Args:
        metric: as in `sentence_statistics`.
        baseline: statistics of its runs, [R1, N, K].
        system: of the other's runs, on the same sentences, [R2, N, K].
    """
    observed = abs(fmean(run_scores(metric, system)) - fmean(run_scores(metric, baseline)))
    if not observed:
        return 1.0
    sentences = baseline.shape[1]
    drawn = np.random.default_rng(SEED).choice(sentences, size=(RESAMPLES, sentences), replace=True)
    counts = np.stack([np.bincount(row, minlength=sentences) for row in drawn]).astype(np.float64)
    differences = np.abs(_resampled(metric, counts, system) - _resampled(metric, counts, baseline))
    extreme = int((differences - differences.mean() > observed).sum())
    return (extreme + 1) / (RESAMPLES + 1)


def _resampled(metric: Any, counts: NDArray[np.float64], statistics: Statistics) -> Any:
    """The mean score over the runs in each resample, [R]; `counts`: how often it has a sentence, [R, N]."""
    return np.array([scores_of_sums(metric, counts @ run) for run in statistics]).mean(axis=0)
