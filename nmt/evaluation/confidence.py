"""Confidence: how likely a word is right, and how good a sentence is, from the model's log-probabilities.

A model's probabilities rank translations well, but as numbers they are too low or too high. A calibration
maps them to what was observed on the development set:

- of a word, the log-probability (the sum over its subwords) → the fraction of such words that are in one of
  the references of their sentence, each as often at most;
- of a sentence, the mean log-probability of its subwords, end-of-sentence included (Ueffing and Ney 2007
  compare such measures) → the mean chrF2, from 0 to 1, of such sentences.

Both maps rise from 0 at twice the lowest log-probability observed to 1 at log-probability 0. Between, they
are isotonic regressions (pool adjacent violators) over bins of equally many observations, interpolated
between the means of the bins. Without a calibration, confidence is exp of the same log-probability.
"""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.alignment.words import piece_groups
from nmt.data.text import clean, word_spans, words
from nmt.decoding.result import Translation
from nmt.errors import RunError
from nmt.files import write_json

_BINS, _FEWEST = 20, 25
"""At most so many bins, of at least so many observations."""
_FORMAT = 1


@dataclass(frozen=True)
class Curve:
    """A map that rises, by linear interpolation; without points, exp.

    Attributes:
        at: ascending log-probabilities.
        values: what was observed there, 0 to 1.
    """

    at: tuple[float, ...]
    values: tuple[float, ...]

    def __call__(self, log_probability: float) -> float:
        """The value at a log-probability; beyond the ends, that of the end."""
        if not self.at:
            return min(math.exp(log_probability), 1.0)
        return float(np.interp(log_probability, self.at, self.values))

    def of_each(self, log_probabilities: Sequence[float]) -> list[float]:
        """The values at several."""
        if not self.at:
            return list(map(self, log_probabilities))
        values: list[float] = np.interp(log_probabilities, self.at, self.values).tolist()
        return values


@dataclass(frozen=True)
class Calibration:
    """Calibrated confidence of words and sentences; see the module."""

    word: Curve
    sentence: Curve

    def save(self, path: Path) -> None:
        """Write it as JSON."""
        curves = {
            name: {"log_probability": list(curve.at), "confidence": list(curve.values)}
            for name, curve in (("word", self.word), ("sentence", self.sentence))
        }
        write_json(path, {"format": _FORMAT, **curves})

    @staticmethod
    def load(path: Path) -> "Calibration":
        """What `save` wrote; `UNCALIBRATED` if there is no such file.

        Raises:
            RunError: if it is not such a file.
        """
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            return Calibration(_curve(content["word"]), _curve(content["sentence"]))
        except FileNotFoundError:
            return UNCALIBRATED
        except (OSError, ValueError, TypeError, KeyError) as error:
            raise RunError(
                f"{path}: corrupt; write it again with python -m nmt.evaluate --calibrate, or remove it"
            ) from error


UNCALIBRATED = Calibration(Curve((), ()), Curve((), ()))


def fit(log_probabilities: Sequence[float], observed: Sequence[float]) -> Curve:
    """The curve of some observations.

    Args:
        log_probabilities: ascending or not; without any, the curve has no points.
        observed: as many values from 0 to 1.
    """
    if not len(log_probabilities):
        return Curve((), ())
    order = np.argsort(log_probabilities, kind="stable")
    x, y = np.asarray(log_probabilities, float)[order], np.asarray(observed, float)[order]
    count = max(1, min(_BINS, len(x) // _FEWEST))
    blocks: list[_Block] = []
    for part in np.array_split(np.arange(len(x)), count):
        block = _Block(float(x[part].mean()), float(y[part].mean()), len(part))
        while blocks and blocks[-1].value >= block.value:
            block = blocks.pop().pooled(block)
        blocks.append(block)
    ends = _Block(2 * blocks[0].at, 0.0, 0), _Block(0.0, 1.0, 0)
    points = [ends[0], *blocks, ends[1]] if blocks[-1].at < 0 else blocks
    return Curve(tuple(point.at for point in points), tuple(point.value for point in points))


class _Block(NamedTuple):
    """Observations with one value: their means and their number."""

    at: float
    value: float
    number: int

    def pooled(self, other: "_Block") -> "_Block":
        number = self.number + other.number
        share = self.number / number
        mean_at, mean = (a * share + b * (1 - share) for a, b in zip(self[:2], other[:2], strict=True))
        return _Block(mean_at, mean, number)


def calibrate(translations: Sequence[Translation], references: Sequence[Sequence[str]]) -> Calibration:
    """The calibration by some translations; without words, that of words is none.

    Args:
        translations: of the development set.
        references: of each, one or more.
    """
    from nmt.evaluation.metrics import sentence_chrf  # sacreBLEU, which translating does not need

    of_words: list[tuple[float, float]] = []
    of_sentences: list[tuple[float, float]] = []
    for translation, possible in zip(translations, references, strict=True):
        if translation.log_probabilities:
            right = right_words(words(translation.target.text), [words(clean(one)) for one in possible])
            of_words += zip(word_log_probabilities(translation), map(float, right), strict=True)
            chrf = sentence_chrf(translation.text, possible) / 100
            of_sentences.append((mean_log_probability(translation), chrf))
    curves = (fit([at for at, _ in found], [seen for _, seen in found]) for found in (of_words, of_sentences))
    return Calibration(*curves)


def mean_log_probability(translation: Translation) -> float:
    """Mean log-probability of the subwords, end-of-sentence included; 0 of a blank text."""
    logs = translation.log_probabilities
    return sum(logs) / len(logs) if logs else 0.0


def word_log_probabilities(translation: Translation) -> list[float]:
    """Of each word of the text, summed over its subwords."""
    target, logs = translation.target, translation.log_probabilities
    groups = piece_groups(target.offsets, word_spans(target.text))
    return [sum(logs[piece] for piece in pieces) for pieces in groups]


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float:
    """Spearman's rank correlation, equal values sharing their mean rank; NaN if all values are equal."""
    with np.errstate(invalid="ignore"):
        return float(np.corrcoef(_ranks(one), _ranks(other))[0, 1])


def _ranks(values: Sequence[float]) -> NDArray[np.float64]:
    _, places, counts = np.unique(np.asarray(values), return_inverse=True, return_counts=True)
    ranks: NDArray[np.float64] = (np.cumsum(counts) - (counts - 1) / 2)[places]
    return ranks


def right_words(found: Sequence[str], references: Sequence[Sequence[str]]) -> list[bool]:
    """Which words of a translation are in one of its references: each as often as there, at most."""
    left: Counter[str] = Counter()
    for reference in references:
        left |= Counter(reference)
    right = []
    for word in found:
        right.append(left[word] > 0)
        left[word] -= 1
    return right


def _curve(content: Any) -> Curve:
    at, values = ([float(number) for number in content[name]] for name in ("log_probability", "confidence"))
    if len(at) != len(values) or not all(map(math.isfinite, at + values)) or at != sorted(at):
        raise ValueError("not a curve")
    if not all(0 <= value <= 1 for value in values):
        raise ValueError("not a curve")
    return Curve(tuple(at), tuple(values))
