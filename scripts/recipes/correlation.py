"""Rank correlation of development metrics with test scores, over runs."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.config.selection_metrics import METRICS, metric_value
from nmt.errors import RunError
from nmt.files import sha256

FEWEST = 4  # runs
RESAMPLES = 1000
SEED = 1
Values = NDArray[np.float64]


@dataclass(frozen=True)
class Point:
    """A finished run.

    Attributes:
        run: its folder.
        dev: each metric at the selected checkpoint, by name (`training.metric`); the loss in nats per
            character of the references, as tokens of different tokenizers do not compare.
        test: BLEU, chrF2 and their sum.
    """

    run: str
    dev: dict[str, float]
    test: dict[str, float]


@dataclass(frozen=True)
class Correlation:
    """How well a development metric predicts a test score.

    Attributes:
        test, dev: their names.
        rho: Spearman's rank correlation; positive if better by the metric is better on the test.
        low, high: 95 % interval of rho under resampling of the runs.
        first: fraction of the resamples in which no other metric has a higher rho.
        pairs: fraction of the pairs of runs, without ties, that the metric orders as the test does.
        chosen, best: the test score of the run that is best by the metric, and of the best run.
    """

    test: str
    dev: str
    rho: float
    low: float
    high: float
    first: float
    pairs: float
    chosen: float
    best: float


def read_points(runs: Sequence[Path]) -> tuple[list[Point], list[str]]:
    """The scores of finished runs, and the folders of the others.

    Raises:
        RunError: if fewer than four are finished, their dev or test sets differ, or a file is corrupt.
    """
    finished = [run for run in runs if (run / "training.json").exists() and _metrics(run).exists()]
    if len(finished) < FEWEST:
        raise RunError(f"finished runs: {len(finished)}; a rank correlation needs {FEWEST} at least")
    for split in ("dev", "test"):
        digests = {run: sha256(run / "data" / f"{split}.jsonl") for run in finished}
        for run, digest in digests.items():
            if digest != digests[finished[0]]:
                raise RunError(f"{run}: its {split} set is not that of {finished[0]}")
    return [_read_point(run) for run in finished], [str(run) for run in runs if run not in finished]


def _metrics(run: Path) -> Path:
    return run / "test" / "metrics.json"


def _read_point(run: Path) -> Point:
    try:
        training = json.loads((run / "training.json").read_text(encoding="utf-8"))
        scores = json.loads(_metrics(run).read_text(encoding="utf-8"))["scores"]
        (*_, chosen) = (one for one in training["validations"] if one["step"] == training["best_step"])
        test = {name: float(scores[name]["value"]) for name in ("BLEU", "chrF2")}
        dev = {name: metric_value(chosen, name) for name in METRICS}
        dev["loss"] *= _tokens_per_character(run)
    except (ValueError, KeyError, TypeError) as error:
        raise RunError(f"{run}: training.json or test/metrics.json is corrupt") from error
    return Point(str(run), dev, test | {"BLEU+chrF2": sum(test.values())})


def _tokens_per_character(run: Path) -> float:
    """Target tokens, end-of-sentence included, per character of the development references."""
    from nmt.data.examples import load_examples
    from nmt.data.tokenizer import Tokenizer

    tokenizer = Tokenizer((run / "checkpoints" / "best" / "target.model").read_bytes())
    texts = [text for example in load_examples(run / "data" / "dev.jsonl") for text in example.references]
    return sum(len(tokenizer.encode(text)) + 1 for text in texts) / sum(map(len, texts))


def correlate(points: Sequence[Point]) -> list[Correlation]:
    """Every development metric that all runs have, against every test score; without those that are the same
    for all runs.
    """
    dev = {
        name: np.array([point.dev[name] * (-1 if METRICS[name].lower_is_better else 1) for point in points])
        for name in METRICS
        if all(math.isfinite(point.dev[name]) for point in points)
    }
    tests = {name: np.array([point.test[name] for point in points]) for name in points[0].test}
    varying, tests = ({k: v for k, v in some.items() if np.ptp(v)} for some in (dev, tests))
    return [one for name, values in tests.items() for one in _against(name, values, varying)]


def _against(test: str, scores: Values, dev: Mapping[str, Values]) -> list[Correlation]:
    drawn = np.random.default_rng(SEED).choice(len(scores), (RESAMPLES, len(scores)))
    resampled = np.array([spearman(values[drawn], scores[drawn]) for values in dev.values()])
    known = resampled[:, np.isfinite(resampled).all(axis=0)]  # a resample of equal runs has no correlation
    highest = known.max(axis=0)
    found = []
    for (name, values), rhos in zip(dev.items(), known, strict=True):
        low, high = np.percentile(rhos, (2.5, 97.5)).tolist()
        found.append(
            Correlation(
                test,
                name,
                float(spearman(values, scores)),
                low,
                high,
                float(np.isclose(rhos, highest).mean()),
                _agreeing_pairs(values, scores),
                float(scores[values.argmax()]),
                float(scores.max()),
            )
        )
    return found


def ranks(values: Values) -> Values:
    """Ranks from 1 along the last axis, [..., N]; equal values have the average of their ranks."""
    one, other = values[..., :, None], values[..., None, :]
    average: Values = (other < one).sum(-1) + ((other == one).sum(-1) + 1) / 2
    return average


def spearman(one: Values, other: Values) -> Values:
    """Spearman's rank correlation along the last axis of values of [..., N], with average ranks for ties; NaN
    if all values of a side are equal.
    """
    a, b = (side - side.mean(-1, keepdims=True) for side in (ranks(one), ranks(other)))
    with np.errstate(invalid="ignore"):  # 0 / 0
        rho: Values = (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))
    return rho


def _agreeing_pairs(one: Values, other: Values) -> float:
    signs = [
        np.sign(one[i] - one[j]) * np.sign(other[i] - other[j]) for i, j in combinations(range(len(one)), 2)
    ]
    decided = [sign for sign in signs if sign]
    return sum(sign > 0 for sign in decided) / len(decided) if decided else math.nan


def table(found: Sequence[Correlation]) -> str:
    """A line for each metric, under a head for each test score, the highest correlation first."""
    from recipes.tables import aligned

    parts = []
    for test in dict.fromkeys(one.test for one in found):
        rows: list[list[str]] = [[f"test {test}", "rho", "95 %", "first", "pairs", "chosen", "best run"]]
        same: list[Any] = sorted((one for one in found if one.test == test), key=lambda one: -one.rho)
        for one in same:
            interval = f"{one.low:.2f} to {one.high:.2f}"
            shares = [f"{one.first:.0%}", f"{one.pairs:.0%}"]
            rows.append(
                [
                    f"dev {one.dev}",
                    f"{one.rho:.3f}",
                    interval,
                    *shares,
                    f"{one.chosen:.2f}",
                    f"{one.best:.2f}",
                ]
            )
        parts.append(aligned(rows))
    return "\n\n".join(parts)
