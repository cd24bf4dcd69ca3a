"""Alignment error rate: how well predicted word alignments agree with gold ones.

After Och and Ney, "A Systematic Comparison of Various Statistical Alignment Models" (Computational
Linguistics 29(1), 2003). Annotators mark links as sure (S) or possible (P), where S is a subset of P.
For predicted links A:

    precision = |A ∩ P| / |A|
    recall    = |A ∩ S| / |S|
    AER       = 1 - (|A ∩ S| + |A ∩ P|) / (|A| + |S|)

A link that is only possible is not an error, whether predicted or not. The counts are summed over the
corpus before dividing (micro-average), so a long sentence weighs more than a short one. Without possible
links (P = S), AER is 1 - F1.
"""

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from nmt.errors import DataError

LinkSet = AbstractSet[tuple[int, int]]
"""The links of one sentence pair: (source word, target word), each counted from 0."""


@dataclass(frozen=True)
class AlignmentScores:
    """Agreement of predicted with gold alignments over a corpus.

    A ratio with denominator zero counts as perfect: without predicted links precision is 1, without
    sure links recall is 1, and without either AER is 0.

    Attributes:
        aer: alignment error rate, 0 (best) to 1.
        precision: fraction of predicted links that are possible, 0 to 1.
        recall: fraction of sure links that were predicted, 0 to 1.
        predicted: number of predicted links, |A|.
        sure: number of sure links, |S|.
        possible: number of possible links, including the sure ones, |P|.
    """

    aer: float
    precision: float
    recall: float
    predicted: int
    sure: int
    possible: int

    def summary(self) -> str:
        """A one-line summary."""
        return (
            f"alignment error rate {self.aer:.3f}  precision {self.precision:.3f}  recall {self.recall:.3f}  "
            f"({self.predicted} links, {self.sure} sure gold links)"
        )


def alignment_scores(
    predicted: Sequence[LinkSet], sure: Sequence[LinkSet], possible: Sequence[LinkSet] | None = None
) -> AlignmentScores:
    """Score predicted links against gold ones.

    Args:
        predicted: N sets of links, one per sentence pair (A).
        sure: N sets of sure links (S).
        possible: N sets of possible links; the sure ones are included whether or not they are listed.
            None: no others (P = S).

    Raises:
        DataError: if there are no sentences, or their numbers differ.
    """
    possible = sure if possible is None else possible
    if not predicted:
        raise DataError("there are no alignments to score; give at least one sentence pair")
    if not len(predicted) == len(sure) == len(possible):
        raise DataError(
            f"predicted alignments for {len(predicted)} sentence pairs, but sure links for {len(sure)} "
            f"and possible links for {len(possible)}; there must be one line of each for every pair"
        )
    links = sure_links = possible_links = met_sure = met_possible = 0
    for a, s, extra in zip(predicted, sure, possible, strict=True):
        p = s | extra
        links += len(a)
        sure_links += len(s)
        possible_links += len(p)
        met_sure += len(a & s)
        met_possible += len(a & p)
    return AlignmentScores(
        aer=1 - _ratio(met_sure + met_possible, links + sure_links),
        precision=_ratio(met_possible, links),
        recall=_ratio(met_sure, sure_links),
        predicted=links,
        sure=sure_links,
        possible=possible_links,
    )


def _ratio(numerator: int, denominator: int) -> float:
    return numerator / denominator if denominator else 1.0
