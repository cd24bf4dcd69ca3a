"""Scores of groups of sentences, against the scores of each group by itself."""

import pytest
from test_metrics import HYPOTHESES, RAGGED

from nmt.errors import DataError
from nmt.evaluation.buckets import (
    LENGTHS,
    RAREST,
    Bucket,
    format_buckets,
    members_by_range,
    range_labels,
    scores_by_range,
)
from nmt.evaluation.metrics import corpus_scores


def test_each_range_is_scored_by_itself():
    lengths = [5, 6, 20, 11, 2, 10]
    buckets = scores_by_range(lengths, HYPOTHESES, RAGGED, (5, 10, 15))
    members = {"≤5": [0, 4], "6-10": [1, 5], "11-15": [3], ">15": [2]}
    assert [bucket[:2] for bucket in buckets] == [(label, len(some)) for label, some in members.items()]
    for label, _, bleu, chrf in buckets:
        some = members[label]
        scores = corpus_scores([HYPOTHESES[i] for i in some], [RAGGED[i] for i in some])
        values = {score.name: score.value for score in scores}
        assert (bleu, chrf) == (values["BLEU"], values["chrF2"])


def test_empty_ranges_are_left_out_and_errors_name_the_sentence_of_the_corpus():
    buckets = scores_by_range([40, 1], ["a", "b"], [["a"], ["b"]], LENGTHS)
    assert [bucket.label for bucket in buckets] == ["≤3", ">30"]
    with pytest.raises(DataError, match="2 translations but 1 values"):
        scores_by_range([1], ["a", "b"], [["a"], ["b"]], LENGTHS)
    with pytest.raises(DataError, match="sentence 2 has no reference"):
        scores_by_range([1, 30], ["a", "b"], [["a"], []], LENGTHS)


def test_labels_say_which_values_are_in_a_range():
    assert range_labels(RAREST) == ["0", "1-2", "3-9", "10-49", ">49"]
    values = [0, 1, 2, 3, 9, 10, 49, 50, 10**6, None]
    assert members_by_range(values, RAREST) == {
        "0": [0], "1-2": [1, 2], "3-9": [3, 4], "10-49": [5, 6], ">49": [7, 8, 9]
    }  # fmt: skip


def test_tables_have_common_columns():
    short, long = [Bucket("≤3", 2, 0.04, 100.0)], [Bucket("0", 1234, 17.84, 37.66)]
    assert format_buckets({"words": short, "longer title": long}).splitlines() == [
        "words         sentences   BLEU  chrF2",
        "  ≤3                  2    0.0  100.0",
        "longer title  sentences   BLEU  chrF2",
        "  0               1,234   17.8   37.7",
    ]
    assert format_buckets({"a": [Bucket("wide label", 1, 2.0, 3.0)]}).splitlines() == [
        "a             sentences   BLEU  chrF2",
        "  wide label          1    2.0    3.0",
    ]
