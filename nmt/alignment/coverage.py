"""Reference-free diagnostics of a translation from its attention: entropy and coverage.

A source word that received almost no attention may be under-translated (dropped); one that received twice
its share may be over-translated (Tu et al. 2016, §2.2).

Shapes: Tw target words, its end-of-sentence included if it has one; Sw source words, without end-of-sentence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

LOW, HIGH = 0.2, 2.0
"""A source word that received less than LOW counts as under-translated, more than HIGH as over-translated."""


@dataclass(frozen=True)
class Coverage:
    """Attention statistics of one sentence.

    Attributes:
        entropy: mean entropy of the target words' attention, in nats: 0 if each attends to one place, log
            (Sw + 1) if all attend to every source word and the end-of-sentence alike.
        received: total attention that each source word received, Sw numbers.
    """

    entropy: float
    received: tuple[float, ...]

    @property
    def under_translated(self) -> list[int]:
        """Indices of under-translated source words, which received less than LOW."""
        return [word for word, amount in enumerate(self.received) if amount < LOW]

    @property
    def over_translated(self) -> list[int]:
        """Indices of over-translated source words, which received more than HIGH."""
        return [word for word, amount in enumerate(self.received) if amount > HIGH]


def coverage(weights: NDArray[np.floating[Any]]) -> Coverage:
    """Attention statistics of one sentence.

    The entropy is −1/Tw Σ_t Σ_j α_tj ln α_tj, over all places that the model attends to: j runs over the
    source words and end-of-sentence (Rikters and Fishel 2017, absentmindedness penalty). Without the latter,
    rows would not be distributions: models often attend to it when no source word fits. A source word
    received Σ_t α_tj; end-of-sentence is not counted there, as it cannot be left untranslated.

    Args:
        weights: word-level attention, [Tw, Sw + 1]: source words, then end-of-sentence; rows sum to 1.
    """
    logs = np.log(weights, out=np.zeros_like(weights), where=weights > 0)
    rows = -(weights * logs).sum(axis=1)  # [Tw]
    return Coverage(float(rows.mean()) if len(rows) else 0.0, tuple(weights[:, :-1].sum(axis=0).tolist()))


@dataclass(frozen=True)
class CoverageScores:
    """Attention statistics of a corpus.

    Attributes:
        entropy: mean entropy of attention, averaged over sentences, in nats.
        under_translated: fraction of the source words that received less than LOW.
        over_translated: fraction of the source words that received more than HIGH.
    """

    entropy: float
    under_translated: float
    over_translated: float


def coverage_scores(sentences: Sequence[Coverage]) -> CoverageScores:
    """Average over sentences (entropy) and over source words (the fractions)."""
    words = max(sum(len(sentence.received) for sentence in sentences), 1)
    return CoverageScores(
        float(np.mean([sentence.entropy for sentence in sentences])) if sentences else 0.0,
        sum(len(sentence.under_translated) for sentence in sentences) / words,
        sum(len(sentence.over_translated) for sentence in sentences) / words,
    )
