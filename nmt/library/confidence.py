"""Confidence: how likely a word is right, and how good a sentence is, from the model's log-probabilities.

A model's probabilities rank translations well, but as numbers they are too low or too high. A calibration
maps them to what was observed on the development set:

- of a word, the log-probability (the sum over its subwords) → the fraction of such words that are in one of
  the references of their sentence, each as often at most;
- of a sentence, the mean log-probability of its subwords, end-of-sentence included (Ueffing and Ney 2007
  compare such measures) → the mean chrF2, from 0 to 1, of such sentences.

Both maps never fall: they are isotonic regressions (pool adjacent violators) over bins of equally many
observations, interpolated between the means of the bins. Without a calibration, confidence is exp of the same
log-probability.
"""

import json
import math
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nmt.errors import RunError
from nmt.files import write_json

_BINS, _FEWEST = 20, 25
"""At most so many bins, of at least so many observations."""
_FORMAT = 1


@dataclass(frozen=True)
class Curve:
    """A map that never falls, by linear interpolation.

    Attributes:
        at: ascending log-probabilities.
        values: what was observed there, 0 to 1.
    """

    at: tuple[float, ...]
    values: tuple[float, ...]

    def __call__(self, log_probability: float) -> float:
        """The value at a log-probability; beyond the ends, that of the end. Without points, its exp."""
        if not self.at:
            return min(math.exp(log_probability), 1.0)
        return float(np.interp(log_probability, self.at, self.values))


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
        log_probabilities: at least one.
        observed: as many values from 0 to 1.
    """
    order = np.argsort(log_probabilities, kind="stable")
    x, y = np.asarray(log_probabilities, float)[order], np.asarray(observed, float)[order]
    count = max(1, min(_BINS, len(x) // _FEWEST))
    blocks: list[_Block] = []
    for part in np.array_split(np.arange(len(x)), count):
        block = _Block(float(x[part].mean()), float(y[part].mean()), len(part))
        while blocks and blocks[-1].value >= block.value:
            block = blocks.pop().pooled(block)
        blocks.append(block)
    return Curve(tuple(block.at for block in blocks), tuple(block.value for block in blocks))


class _Block(NamedTuple):
    """Observations with one value: their means and their number."""

    at: float
    value: float
    count: int

    def pooled(self, other: "_Block") -> "_Block":
        count = self.count + other.count
        share = self.count / count
        return _Block(
            self.at * share + other.at * (1 - share), self.value * share + other.value * (1 - share), count
        )


def right_words(words: Sequence[str], references: Sequence[Sequence[str]]) -> list[bool]:
    """Which words of a translation are in one of its references: each as often as there, at most."""
    left: Counter[str] = Counter()
    for reference in references:
        left |= Counter(reference)
    found = []
    for word in words:
        found.append(left[word] > 0)
        left[word] -= 1
    return found


def _curve(content: Any) -> Curve:
    at, values = ([float(number) for number in content[name]] for name in ("log_probability", "confidence"))
    if not at or len(at) != len(values) or not all(map(math.isfinite, at + values)) or at != sorted(at):
        raise ValueError("not a curve")
    if not all(0 <= value <= 1 for value in values):
        raise ValueError("not a curve")
    return Curve(tuple(at), tuple(values))
