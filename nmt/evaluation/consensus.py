"""Of several translations of a sentence, the one most like the others: minimum Bayes risk with chrF as the
gain (Kumar and Byrne 2004; Freitag et al. 2022), with the translations as samples of what is right.
"""

from collections.abc import Sequence
from typing import NamedTuple

from sacrebleu.metrics.chrf import CHRF


class Consensus(NamedTuple):
    """The chosen translation of a sentence.

    Attributes:
        number: its index among the translations; the first of equally good ones.
        agreement: its mean chrF2 with the others, 0 to 100.
    """

    number: int
    agreement: float


def consensus(translations: Sequence[str]) -> Consensus:
    """Choose y* = argmax_y Σ_{y' ≠ y} ½ (chrF(y, y') + chrF(y', y)), over N ≥ 2 translations.

    chrF2 weighs recall more than precision, so it is taken in both directions: with y as the hypothesis and
    as the reference.
    """
    assert len(translations) > 1, "nothing to agree with"
    gains = [0.0] * len(translations)
    for i, one in enumerate(translations):
        for j, other in enumerate(translations[:i]):
            gain = _likeness(one, other)
            gains[i] += gain
            gains[j] += gain
    best = max(range(len(gains)), key=gains.__getitem__)
    return Consensus(best, gains[best] / (len(translations) - 1))


def _likeness(one: str, other: str) -> float:
    """chrF2 of two texts, the mean of both directions."""
    if one == other:
        return 100.0
    return (_chrf(one, other) + _chrf(other, one)) / 2


def _chrf(hypothesis: str, reference: str) -> float:
    return float(CHRF().sentence_score(hypothesis, [reference]).score)
