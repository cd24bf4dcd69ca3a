"""The learning-rate schedule: shape and end values, and that it depends only on the step."""

import math
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.config.training import TrainingConfig
from nmt.training.schedule import learning_rate, teacher_forcing_ratio

DECAYS = ("cosine", "linear", "inverse_sqrt", "constant")


def rates(total: int = 100, **changes: object) -> list[float]:
    """The learning rates of steps 1 to `total`, relative to the peak."""
    config = TrainingConfig(**({"learning_rate": 2.0, "warmup_steps": 10, "final_lr_ratio": 0.1} | changes))
    return [learning_rate(step, total, config) / config.learning_rate for step in range(1, total + 1)]


@pytest.mark.parametrize("decay", DECAYS)
def test_warm_up_is_a_straight_line_to_the_highest_rate(decay):
    assert rates(decay=decay)[:10] == pytest.approx([k / 10 for k in range(1, 11)])


@pytest.mark.parametrize(
    ("decay", "halfway", "end"),
    [
        ("cosine", (1 + 0.1) / 2, 0.1),
        ("linear", (1 + 0.1) / 2, 0.1),
        ("inverse_sqrt", math.sqrt(10 / 55), math.sqrt(10 / 100)),
        ("constant", 1.0, 1.0),
    ],
)
def test_where_it_falls_to(decay, halfway, end):
    found = rates(decay=decay)
    assert found[54] == pytest.approx(halfway)  # step 55 of 10 … 100
    assert found[99] == pytest.approx(end)


def test_cosine_and_linear_differ_at_a_quarter():
    quarter = [rates(total=90, warmup_steps=10, final_lr_ratio=0.0, decay=decay)[29] for decay in DECAYS[:2]]
    assert quarter == pytest.approx([(1 + math.cos(math.pi / 4)) / 2, 0.75])


@pytest.mark.parametrize("decay", DECAYS)
def test_it_never_rises_after_warm_up(decay):
    found = rates(decay=decay)[9:]
    assert found == sorted(found, reverse=True)
    assert all(0 < rate <= 1 for rate in found)


@pytest.mark.parametrize("decay", DECAYS)
def test_without_warm_up_it_starts_near_the_top(decay):
    found = rates(decay=decay, warmup_steps=0)
    assert found[0] == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("decay", DECAYS)
def test_warm_up_longer_than_training_is_shortened_to_it(decay):
    assert rates(total=4, warmup_steps=200, decay=decay) == pytest.approx([0.25, 0.5, 0.75, 1.0])


@given(
    step=st.integers(1, 10**6),
    total=st.integers(1, 10**6),
    warmup=st.integers(0, 10**5),
    decay=st.sampled_from(DECAYS),
    final=st.floats(0, 1),
)
def test_it_is_always_a_rate(step, total, warmup, decay, final):
    """Also beyond the last step, and with a total of one step."""
    config = TrainingConfig(learning_rate=0.5, warmup_steps=warmup, decay=decay, final_lr_ratio=final)
    rate = learning_rate(step, total, config)
    assert 0 <= rate <= 0.5 * (1 + 1e-12)
    assert rate == learning_rate(step, total, config)
    if decay in ("cosine", "linear") and step >= total > warmup:
        assert rate == pytest.approx(0.5 * final)


# ---------------------------------------------------------------- teacher forcing


def chances(decay: str, end: float, total: int = 101) -> list[float]:
    config = TrainingConfig(teacher_forcing=end, teacher_forcing_decay=decay)
    return [teacher_forcing_ratio(step, total, config) for step in range(1, total + 1)]


@pytest.mark.parametrize(
    ("decay", "halfway"),
    [("linear", 0.6), ("exponential", math.sqrt(0.2)), ("inverse_sigmoid", 0.6)],
)
def test_teacher_forcing_falls_from_one_to_its_end(decay, halfway):
    found = chances(decay, 0.2)
    assert found[0] == pytest.approx(1)
    assert found[50] == pytest.approx(halfway)
    assert found[100] == pytest.approx(0.2)
    assert all(one > other for one, other in pairwise(found))


def test_inverse_sigmoid_is_flat_at_both_ends():
    found = chances("inverse_sigmoid", 0.0)
    assert found[0] - found[10] < 0.02 < found[45] - found[55]
    assert found[90] - found[100] < 0.02


def test_a_single_step_is_the_teachers():
    assert teacher_forcing_ratio(1, 1, TrainingConfig(teacher_forcing=0.5)) == 1
