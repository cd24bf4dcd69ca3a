"""What attention tells of a translation without a reference: how sure it was, what it passed over.

A source word that received almost no attention was perhaps dropped; one that received it twice was
perhaps said twice (Tu et al. 2016, §2.2).

Shapes: Tw target words, Sw source words.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOW, HIGH = 0.2, 2.0
"""A source word that received less than LOW counts as passed over, more than HIGH as attended twice."""


@dataclass(frozen=True)
class Coverage:
    """The attention of one sentence, summed up.

    Attributes:
        entropy: of a target word's attention, on average, in nats: 0 looks at one word, log Sw at all.
        received: what each source word has received in all, Sw numbers.
    """

    entropy: float
    received: tuple[float, ...]

    @property
    def passed_over(self) -> list[int]:
        """The source words that received almost nothing."""
        return [word for word, amount in enumerate(self.received) if amount < LOW]

    @property
    def repeated(self) -> list[int]:
        """The source words that received more than their share."""
        return [word for word, amount in enumerate(self.received) if amount > HIGH]


def coverage(weights: NDArray[np.floating[Any]]) -> Coverage:
    """Sum up the attention of one sentence.

    Args:
        weights: between words, [Tw, Sw]; rows that sum to 1.
    """
    logs = np.log(weights, out=np.zeros_like(weights), where=weights > 0)
    rows = -(weights * logs).sum(axis=1)  # [Tw]
    return Coverage(float(rows.mean()) if len(rows) else 0.0, tuple(weights.sum(axis=0).tolist()))


@dataclass(frozen=True)
class CoverageScores:
    """The attention of a corpus, summed up.

    Attributes:
        entropy: of a target word's attention, averaged over sentences, in nats.
        passed_over: share of the source words that received less than LOW.
        repeated: share of the source words that received more than HIGH.
    """

    entropy: float
    passed_over: float
    repeated: float


def coverage_scores(sentences: Sequence[Coverage]) -> CoverageScores:
    """Average over sentences (entropy) and over source words (the shares)."""
    words = max(sum(len(sentence.received) for sentence in sentences), 1)
    return CoverageScores(
        float(np.mean([sentence.entropy for sentence in sentences])) if sentences else 0.0,
        sum(len(sentence.passed_over) for sentence in sentences) / words,
        sum(len(sentence.repeated) for sentence in sentences) / words,
    )
