"""Minimum Bayes risk decoding against its definition, term by term, with sacreBLEU's chrF."""

import math
import random

import numpy as np
import pytest
from sacrebleu.metrics.chrf import CHRF

from nmt.decoding.mbr import chrf_matrix, normalised_probabilities, rank_by_utility

TEXTS = ["तो घरी गेला.", "तो घरी गेली.", "मांजर झोपले.", "तो घरी गेला.", "", "गेला", "a b c 👍🏽", "मांजर\u200d"]
CHRF2 = CHRF()


def expected(candidates, references, weights):
    """Σᵣ w(r) chrF(h, r) / Σᵣ w(r) for each candidate h."""
    return [
        sum(w * CHRF2.sentence_score(h, [r]).score for r, w in zip(references, weights, strict=True))
        / sum(weights)
        for h in candidates
    ]


def test_chrf_is_that_of_sacrebleu():
    generator = random.Random(0)
    alphabet = "abc कि ा।,. 👍🏽\u200d\u00a0"
    texts = TEXTS + ["".join(generator.choices(alphabet, k=generator.randrange(9))) for _ in range(40)]
    found = chrf_matrix(texts, texts[::-1])
    for row, text in zip(found, texts, strict=True):
        assert row.tolist() == [CHRF2.sentence_score(text, [other]).score for other in texts[::-1]]
    assert chrf_matrix([], texts).shape == (0, len(texts))
    assert chrf_matrix(texts, []).shape == (len(texts), 0)


@pytest.mark.parametrize("seed", range(8))
def test_the_ranking_is_by_expected_utility(seed):
    generator = random.Random(seed)
    candidates = generator.choices(TEXTS, k=generator.randint(1, 9))
    references = candidates if seed % 2 else generator.choices(TEXTS, k=generator.randint(1, 9))
    weights = [1.0] * len(references) if seed < 4 else [generator.random() for _ in references]
    found = rank_by_utility(candidates, references, weights if seed >= 4 else None)
    assert len(found) == len(set(candidates))
    utilities = expected(candidates, references, weights)
    for one in found:
        assert one.utility == pytest.approx(utilities[one.number])
        assert candidates.index(candidates[one.number]) == one.number  # of equal texts, the first
    assert found[0].utility == pytest.approx(max(utilities))
    assert [one.utility for one in found] == sorted((one.utility for one in found), reverse=True)


def test_of_equally_good_candidates_the_earlier_is_first():
    assert [one.number for one in rank_by_utility(["ab", "cd", "ab"], ["ab", "cd"])] == [0, 1]
    assert [one.number for one in rank_by_utility(["cd", "ab"], ["ab", "cd"])] == [0, 1]
    assert rank_by_utility([""], [""]) == [(0, 0.0)]


def test_a_rare_translation_wins_only_with_a_large_weight():
    samples = ["x y z", "a b c", "a b d"]
    assert rank_by_utility(samples, samples)[0].number == 1
    assert rank_by_utility(samples, samples, [8.0, 1.0, 1.0])[0].number == 0
    assert rank_by_utility(samples, samples, [8.0, 1.0, 0.0])[0].number == 0


def test_probabilities_of_a_list_are_normalised():
    values = [-1.0, -2.0, -1000.0]
    first, second = math.exp(-1), math.exp(-2)
    total = first + second
    assert normalised_probabilities(values) == pytest.approx([first / total, second / total, 0.0])
    assert normalised_probabilities([-3000.0, -3000.0]) == [0.5, 0.5]
    assert np.isfinite(normalised_probabilities([-1e5, -2e5])).all()
