"""Entropy and coverage of attention, for matrices small enough to check by hand."""

import math

import numpy as np
import pytest

from nmt.alignment.coverage import coverage, coverage_scores


def test_by_hand():
    weights = np.array([[1.0, 0.0, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0], [0.8, 0.0, 0.1, 0.1]])
    found = coverage(weights)
    last = -(0.8 * math.log(0.8) + 2 * 0.1 * math.log(0.1))
    assert found.entropy == pytest.approx((0 + math.log(2) + last) / 3)
    assert found.received == pytest.approx((2.3, 0.5, 0.1))
    assert found.over_translated == [0]
    assert found.under_translated == [2]


def test_looking_everywhere_has_the_highest_entropy():
    """Over source words and end-of-sentence."""
    assert coverage(np.full((2, 5), 0.2)).entropy == pytest.approx(math.log(5))
    others = np.random.default_rng(0).dirichlet(np.ones(5), size=50)
    assert all(0 < coverage(row[None]).entropy < math.log(5) for row in others)


def test_attention_to_the_end_alone_is_as_sharp_as_to_a_word():
    found = coverage(np.array([[0.0, 0.0, 1.0], [0.02, 0.02, 0.96]]))
    last = -(2 * 0.02 * math.log(0.02) + 0.96 * math.log(0.96))
    assert found.entropy == pytest.approx((0 + last) / 2)
    assert found.under_translated == [0, 1]


def test_of_nothing():
    assert coverage(np.zeros((0, 4))).entropy == 0
    assert coverage(np.zeros((0, 4))).under_translated == [0, 1, 2]
    empty = coverage_scores([])
    assert (empty.entropy, empty.under_translated, empty.over_translated) == (0, 0, 0)


def test_a_corpus_counts_words_not_sentences():
    one = coverage(np.array([[1.0, 0.0, 0.0]]))
    other = coverage(np.array([[0.5, 0.5, 0.0], [0.5, 0.5, 0.0]]))
    scores = coverage_scores([one, other])
    assert scores.entropy == pytest.approx((0 + math.log(2)) / 2)
    assert scores.under_translated == pytest.approx(1 / 4)
    assert scores.over_translated == 0
