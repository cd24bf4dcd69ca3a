"""What a comparison of recipes finds."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import Any

from nmt.data.text import words
from nmt.evaluation.buckets import LENGTHS, RAREST, Bucket, members_by_range
from nmt.evaluation.metrics import reference_streams
from recipes.reading import Recipe, TestSet
from recipes.significance import (
    Statistics,
    deviation,
    paired_bootstrap,
    run_scores,
    sentence_statistics,
)

LEVEL = 0.05  # of significance


@dataclass(frozen=True)
class Scores:
    """A metric over the runs of a recipe; `deviation`: sample standard deviation, None for a single run."""

    runs: list[float]
    mean: float
    deviation: float | None


@dataclass(frozen=True)
class Difference:
    """A recipe's mean score minus the baseline's.

    Attributes:
        value: the difference.
        spread: the larger of the two standard deviations over seeds; None if each has one run.
        p: of the paired bootstrap over sentences.
        verdict: "better", "worse", "no difference", or "no claim" where the spread is not known.
    """

    value: float
    spread: float | None
    p: float
    verdict: str


@dataclass(frozen=True)
class Result:
    """A recipe's results.

    Attributes:
        recipe: its name.
        runs, seeds: of each run.
        scores: BLEU and chrF2, by name.
        differences: from the first recipe, by name; empty for that one itself.
        by_rarest, by_length: mean scores by the training frequency of the rarest source word (None if it is
            not known) and by source length.
    """

    recipe: str
    runs: list[str]
    seeds: list[int | None]
    scores: dict[str, Scores]
    differences: dict[str, Difference]
    by_rarest: list[Bucket] | None
    by_length: list[Bucket]


def verdict(difference: float, spread: float | None, p: float) -> str:
    """What may be said about a difference: nothing below the spread over seeds, or without significance."""
    if p >= LEVEL or (spread is not None and abs(difference) < spread):
        return "no difference"
    if spread is None:
        return "no claim"
    return "better" if difference > 0 else "worse"


def compare_recipes(recipes: Sequence[Recipe], test: TestSet) -> list[Result]:
    """Score every translation once, and compare each recipe with the first."""
    from sacrebleu.metrics.bleu import BLEU
    from sacrebleu.metrics.chrf import CHRF

    metrics = {"BLEU": BLEU(tokenize=test.tokenizer, force=True), "chrF2": CHRF()}
    streams = reference_streams(test.sources, test.references)
    rarest = None if test.rarest is None else _by_rarest(test.rarest)
    lengths = members_by_range([len(words(source)) for source in test.sources], LENGTHS)
    results: list[Result] = []
    first: dict[str, Statistics] = {}
    for recipe in recipes:
        found = {
            name: sentence_statistics(metric, recipe.outputs, streams) for name, metric in metrics.items()
        }
        scores = {name: _scores(metric, found[name]) for name, metric in metrics.items()}
        differences = {
            name: _difference(metrics[name], first[name], found[name], results[0].scores[name], scores[name])
            for name in first
        }
        first = first or found
        results.append(
            Result(
                recipe.name,
                recipe.runs,
                recipe.seeds,
                scores,
                differences,
                None if rarest is None else _buckets(metrics, found, rarest),
                _buckets(metrics, found, lengths),
            )
        )
    return results


def _by_rarest(seen: Sequence[int | None]) -> dict[str, list[int]]:
    """The sentences of each range, and of those seen once to nine times together."""
    few = [index for index, count in enumerate(seen) if count is not None and 1 <= count <= 9]
    return members_by_range(seen, RAREST) | ({"1-9": few} if few else {})


def _scores(metric: Any, statistics: Statistics) -> Scores:
    scores = run_scores(metric, statistics)
    return Scores(scores, fmean(scores), deviation(scores))


def _difference(
    metric: Any, baseline: Statistics, system: Statistics, before: Scores, after: Scores
) -> Difference:
    value = after.mean - before.mean
    known = [one.deviation for one in (before, after) if one.deviation is not None]
    spread, p = max(known, default=None), paired_bootstrap(metric, baseline, system)
    return Difference(value, spread, p, verdict(value, spread, p))


def _buckets(
    metrics: Mapping[str, Any], statistics: Mapping[str, Statistics], ranges: Mapping[str, Sequence[int]]
) -> list[Bucket]:
    found = []
    for label, members in ranges.items():
        means = [fmean(run_scores(metrics[name], statistics[name], members)) for name in ("BLEU", "chrF2")]
        found.append(Bucket(label, len(members), *means))
    return found
