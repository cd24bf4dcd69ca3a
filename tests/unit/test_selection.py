"""Selection of the best checkpoint: the total order of scores, ties and NaN."""

import functools
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.training.selection import LOWER_IS_BETTER, compare, rank

NAN, INF = math.nan, math.inf
VALUES = st.sampled_from([0.0, 1.0, 2.0, INF, NAN])  # few, so that ties are common
SCORES = st.builds(
    lambda bleu, chrf, loss: {"bleu": bleu, "chrf": chrf, "loss": loss}, VALUES, VALUES, VALUES
)
METRICS = st.sampled_from(["bleu", "chrf", "loss", "bleu+chrf"])


def value(one: dict[str, float], metric: str) -> float:
    return one["bleu"] + one["chrf"] if metric == "bleu+chrf" else one[metric]


def scores(bleu: float, chrf: float, loss: float) -> dict[str, float]:
    return {"step": 1, "perplexity": 1.0, "bleu": bleu, "chrf": chrf, "loss": loss}


@pytest.mark.parametrize(
    ("newest", "best", "metric", "order"),
    [
        (scores(2, 0, 9), scores(1, 9, 0), "bleu", 1),
        (scores(1, 9, 0), scores(2, 0, 9), "bleu", -1),
        (scores(0, 2, 9), scores(0, 1, 0), "bleu", 1),  # BLEU ties: chrF decides
        (scores(0, 1, 0), scores(0, 2, 9), "bleu", -1),
        (scores(0, 1, 2), scores(0, 1, 3), "bleu", 1),  # chrF ties too: the lower loss
        (scores(0, 1, 3), scores(0, 1, 2), "bleu", -1),
        (scores(5, 5, 5), scores(5, 5, 5), "bleu", 0),
        (scores(9, 1, 0), scores(0, 2, 9), "chrf", -1),
        (scores(0, 1, 2), scores(9, 1, 3), "chrf", 1),
        (scores(0, 0, 1), scores(9, 9, 2), "loss", 1),
        (scores(0, 3, 1), scores(9, 2, 1), "loss", 1),
        (scores(0, 0, 9), None, "bleu", 1),
        (scores(0, 0, INF), scores(0, 0, 9), "bleu", -1),
        (scores(0, 0, NAN), scores(0, 0, INF), "bleu", -1),
        (scores(0, 0, NAN), scores(0, 0, NAN), "bleu", -1),  # diverged again: not equal
        (scores(1, 0, NAN), scores(0, 0, 1), "bleu", 1),  # the metric is not NaN
        (scores(0, 0, NAN), None, "loss", -1),
        (scores(NAN, 9, 0), scores(NAN, 0, 9), "bleu", -1),
        (scores(0, 0, 9), scores(0, 0, NAN), "bleu", 1),
        (scores(3, 5, 9), scores(4, 3, 0), "bleu+chrf", 1),
        (scores(4, 3, 0), scores(3, 5, 9), "bleu+chrf", -1),
        (scores(3, 5, 9), scores(4, 4, 0), "bleu+chrf", 1),  # the sums tie: chrF decides
        (scores(3, 5, 2), scores(3, 5, 3), "bleu+chrf", 1),
        (scores(NAN, 5, 2), scores(3, 1, 3), "bleu+chrf", -1),
    ],
)
def test_metric_then_chrf_then_loss(newest, best, metric, order):
    assert compare(newest, best, metric) == order


@pytest.mark.parametrize(("value", "order"), [(9.0, 1), (NAN, -1)])
def test_a_score_that_an_older_run_does_not_have_is_worse_than_any(value, order):
    older = {name: one for name, one in scores(0, 9, 0).items() if name != "bleu"}
    assert compare(scores(value, 0, 9), older, "bleu") == order


def test_lower_is_better_for_the_loss_only():
    assert {"loss"} == LOWER_IS_BETTER


@given(SCORES, SCORES, METRICS)
def test_of_two_one_is_better_or_they_are_equal(one, other, metric):
    there, back = compare(one, other, metric), compare(other, one, metric)
    if not any(map(math.isnan, (*one.values(), *other.values()))):
        assert there == -back
    assert (there, back) != (1, 1)
    if there == 0:
        assert rank(one, metric) == rank(other, metric)


@given(st.lists(SCORES, min_size=1, max_size=8), METRICS)
def test_the_kept_one_is_none_worse_than_any_and_the_newest_of_equals(validations, metric):
    """Select the best in sequence, as the training loop does."""
    kept = None
    for index, newest in enumerate(validations):
        if compare(newest, None if kept is None else validations[kept], metric) >= 0:
            kept = index
    finite = [index for index, one in enumerate(validations) if not math.isnan(value(one, metric))]
    if not finite:
        assert kept is None
        return
    best = max(rank(validations[index], metric) for index in finite)
    assert rank(validations[kept], metric) == best
    equals = [index for index in finite if rank(validations[index], metric) == best]
    assert kept == (equals[-1] if all(known for known, _ in best) else equals[0])


@given(st.lists(SCORES, max_size=6), METRICS)
def test_ranks_sort_as_the_scores_by_hand(validations, metric):
    """An independent comparison, score by score."""

    def by_hand(one: dict[str, float], other: dict[str, float]) -> int:
        for name in (metric, "chrf", "loss"):
            a, b = value(one, name), value(other, name)
            if math.isnan(a) or math.isnan(b):
                if math.isnan(a) != math.isnan(b):
                    return -1 if math.isnan(a) else 1
            elif a != b:
                return 1 if (a < b if name == "loss" else a > b) else -1
        return 0

    by_rank = sorted(range(len(validations)), key=lambda index: rank(validations[index], metric))
    compared = sorted(
        range(len(validations)),
        key=functools.cmp_to_key(lambda a, b: by_hand(validations[a], validations[b])),
    )
    assert by_rank == compared
