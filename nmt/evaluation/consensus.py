"""Of several translations of a sentence, the one most like the others: minimum Bayes risk with chrF as the
gain (Kumar and Byrne 2004; Freitag et al. 2022), with the translations as samples of what is right.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from nmt.decoding.mbr import chrf_matrix


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
    as the reference. Two equal translations have 100, also where both are blank.
    """
    assert len(translations) > 1, "nothing to agree with"
    gains = chrf_matrix(translations, translations)
    gains = (gains + gains.T) / 2
    texts = np.array(translations, dtype=object)
    gains[np.equal.outer(texts, texts)] = 100.0
    means = (gains.sum(axis=1) - 100.0) / (len(translations) - 1)
    best = int(means.argmax())
    return Consensus(best, float(means[best]))
