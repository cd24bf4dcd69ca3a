"""Alignment scores against fractions worked out by hand, and their general properties."""

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.alignment.aer import AlignmentScores, alignment_scores
from nmt.errors import DataError

LINKS = st.sets(st.tuples(st.integers(0, 4), st.integers(0, 4)), max_size=8)
CORPORA = st.lists(st.tuples(LINKS, LINKS, LINKS), min_size=1, max_size=5)

# Four words each; the two function words in the middle may link either way (possible only).
SURE = {(0, 0), (1, 1), (3, 3)}
POSSIBLE = SURE | {(2, 2), (2, 3), (3, 2)}
PREDICTED = {(0, 0), (1, 1), (1, 3), (2, 2), (3, 2)}


def check(scores, aer, precision, recall):
    assert scores.aer == pytest.approx(float(aer), abs=1e-12)
    assert scores.precision == pytest.approx(float(precision), abs=1e-12)
    assert scores.recall == pytest.approx(float(recall), abs=1e-12)


def test_sure_and_possible_links_as_och_and_ney_have_them():
    # |A| = 5, |S| = 3; A meets S in (0,0) (1,1), and P in (2,2) (3,2) as well.
    scores = alignment_scores([PREDICTED], [SURE], [POSSIBLE])
    check(scores, 1 - Fraction(2 + 4, 5 + 3), Fraction(4, 5), Fraction(2, 3))
    assert (scores.predicted, scores.sure, scores.possible) == (5, 3, 6)


def test_without_possible_links_only_sure_ones_count():
    # A meets S in 2 of 5; F1 = 2 * 2 / (5 + 3), and AER is 1 - F1.
    scores = alignment_scores([PREDICTED], [SURE])
    check(scores, 1 - Fraction(4, 8), Fraction(2, 5), Fraction(2, 3))
    assert scores.possible == 3


def test_possible_links_are_neither_required_nor_punished():
    check(alignment_scores([SURE], [SURE], [POSSIBLE]), 0, 1, 1)
    check(alignment_scores([POSSIBLE], [SURE], [POSSIBLE]), 0, 1, 1)


def test_nothing_predicted():
    check(alignment_scores([set()], [SURE], [POSSIBLE]), 1, 1, 0)


def test_one_sentence_without_sure_links():
    # Sentence 2: A = {(0,0), (5,5)}, S empty, P = {(0,0)}.
    # Sums: |A| = 5 + 2, |S| = 3, |A n S| = 2, |A n P| = 4 + 1.
    scores = alignment_scores([PREDICTED, {(0, 0), (5, 5)}], [SURE, set()], [POSSIBLE, {(0, 0)}])
    check(scores, 1 - Fraction(2 + 5, 7 + 3), Fraction(5, 7), Fraction(2, 3))


def test_sizes_are_summed_before_dividing():
    # Sentence 2 is one faultless link: 1 - (3 + 5) / (6 + 4) = 1/5; the mean of 1/4 and 0 would be 1/8.
    scores = alignment_scores([PREDICTED, {(0, 0)}], [SURE, {(0, 0)}], [POSSIBLE, set()])
    check(scores, Fraction(1, 5), Fraction(5, 6), Fraction(3, 4))


def test_direction_and_sentence_of_a_link_matter():
    check(alignment_scores([{(0, 1)}], [{(1, 0)}]), 1, 0, 0)
    check(alignment_scores([{(0, 1)}, {(1, 0)}], [{(1, 0)}, {(0, 1)}]), 1, 0, 0)


def test_nothing_to_align_is_faultless():
    assert alignment_scores([set()], [set()]) == AlignmentScores(0.0, 1.0, 1.0, 0, 0, 0)


@given(CORPORA)
def test_all_scores_lie_between_0_and_1(corpus):
    scores = alignment_scores(*zip(*corpus, strict=True))
    assert all(0 <= score <= 1 for score in (scores.aer, scores.precision, scores.recall))


@given(st.lists(LINKS, min_size=1, max_size=5))
def test_the_gold_alignment_scores_0(gold):
    check(alignment_scores(gold, gold, gold), 0, 1, 1)


@given(CORPORA, st.randoms())
def test_the_order_of_sentences_changes_nothing(corpus, random):
    shuffled = random.sample(corpus, len(corpus))
    assert alignment_scores(*zip(*shuffled, strict=True)) == alignment_scores(*zip(*corpus, strict=True))


@given(CORPORA)
def test_sure_links_are_possible_whether_listed_or_not(corpus):
    predicted, sure, possible = zip(*corpus, strict=True)
    merged = [s | p for s, p in zip(sure, possible, strict=True)]
    assert alignment_scores(predicted, sure, possible) == alignment_scores(predicted, sure, merged)


@pytest.mark.parametrize(
    ("counts", "message"),
    [((2, 1, 2), "for 2 .* sure links for 1"), ((2, 2, 3), "possible links for 3"), ((1, 2, 2), "for 1 ")],
)
def test_different_numbers_of_sentences_are_refused(counts, message):
    predicted, sure, possible = ([SURE] * count for count in counts)
    with pytest.raises(DataError, match=message):
        alignment_scores(predicted, sure, possible)


def test_an_empty_corpus_is_refused():
    with pytest.raises(DataError, match="no alignments to score"):
        alignment_scores([], [])
