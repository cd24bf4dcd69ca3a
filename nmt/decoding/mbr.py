"""Minimum Bayes risk (MBR) decoding: of several translations of a sentence, the one most like all of them.

    h* = argmax_h Σᵣ w(r) u(h, r),     Σᵣ w(r) = 1

over the candidates h, where the pseudo-references r stand for what the model holds to be right (Kumar and
Byrne 2004). Samples of the model are drawn in proportion to their probability, so each has the same weight:
an unbiased estimate of the expected utility (Eikema and Aziz 2020; Freitag et al. 2022). The members of an
n-best list have their probabilities, normalised over the list, as weights.

The utility u is chrF2 (Popović 2015), from fastchrf: the values of sacreBLEU to the last digit, 30 times as
fast.

Shapes: C candidates, R pseudo-references.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from fastchrf import pairwise_chrf
from numpy.typing import NDArray

from nmt.decoding.hypothesis import Hypothesis


class Ranked(NamedTuple):
    """A candidate of a sentence.

    Attributes:
        number: its index among the candidates; of equal texts, the first.
        utility: its expected chrF2, 0 to 100.
    """

    number: int
    utility: float


def chrf_matrix(hypotheses: Sequence[str], references: Sequence[str]) -> NDArray[np.float64]:
    """chrF2 of each hypothesis against each reference, [C, R], 0 to 100; 0 where one is blank."""
    if not hypotheses or not references:
        return np.zeros((len(hypotheses), len(references)))
    return np.asarray(pairwise_chrf([list(hypotheses)], [list(references)])[0])


def rank_by_utility(
    candidates: Sequence[str], references: Sequence[str], weights: Sequence[float] | None = None
) -> list[Ranked]:
    """The distinct candidates, best first; of equally good ones, the earlier first.

    Nothing depends on the other sentences of a batch, and equal texts are compared once.

    Args:
        candidates: C texts, at least one.
        references: R texts, at least one; usually the candidates themselves.
        weights: of the references, none negative and not all 0 (default: equal ones); scale has no effect.
    """
    assert candidates, "nothing to choose from"
    assert references, "nothing to compare with"
    masses: dict[str, float] = {}
    for text, weight in zip(references, [1.0] * len(references) if weights is None else weights, strict=True):
        masses[text] = masses.get(text, 0.0) + weight
    numbers: dict[str, int] = {}
    for number, text in enumerate(candidates):
        numbers.setdefault(text, number)
    mass = np.fromiter(masses.values(), dtype=np.float64)
    utilities = chrf_matrix(list(numbers), list(masses)) @ mass / mass.sum()
    order = np.argsort(-utilities, kind="stable")
    firsts = list(numbers.values())
    return [Ranked(firsts[i], float(utilities[i])) for i in order]


def normalised_probabilities(log_probabilities: Sequence[float]) -> list[float]:
    """Probabilities that sum to 1 over an n-best list (Kumar and Byrne 2004).

    Args:
        log_probabilities: of complete translations, natural logarithms, not divided by their length.
    """
    values = np.asarray(log_probabilities, dtype=np.float64)
    probabilities = np.exp(values - values.max())
    found: list[float] = (probabilities / probabilities.sum()).tolist()
    return found


def rank_hypotheses(
    hypotheses: Sequence[Hypothesis], texts: Sequence[str], weighted: bool
) -> list[Hypothesis]:
    """The hypotheses of a sentence with different texts, by expected utility, best first, which becomes their
    score; of several with the same text, the first.

    Args:
        hypotheses: an n-best list, or samples; perhaps none.
        texts: of each.
        weighted: whether the pseudo-references, which are the hypotheses themselves, are weighted by their
            probability; samples are not.
    """
    if not hypotheses:
        return []
    weights = normalised_probabilities([one.log_probability for one in hypotheses]) if weighted else None
    ranked = rank_by_utility(texts, texts, weights)
    return [replace(hypotheses[one.number], score=one.utility) for one in ranked]
