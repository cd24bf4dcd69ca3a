"""EMA of the weights: against its recurrence, and the model's own weights are restored afterwards."""

import copy
from typing import Any

import pytest
import torch
from torch import nn

from nmt.training.ema import WeightAverage


def wander(model: nn.Module, average: WeightAverage, steps: int) -> list[list[float]]:
    """Random updates; every weight's values over time."""
    generator = torch.Generator().manual_seed(0)
    seen = []
    for step in range(1, steps + 1):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        average.update(torch.tensor(average.share(step), dtype=torch.float64))
        seen.append(values(model))
    return seen


def values(model: nn.Module) -> list[float]:
    return [value for parameter in model.parameters() for value in parameter.flatten().tolist()]


@pytest.mark.parametrize("decay", [0.5, 0.99])
def test_it_is_the_recurrence(decay):
    model = nn.Linear(2, 3).double()
    first, average = values(model), WeightAverage(model, decay)
    expected = first
    for n, weights in enumerate(wander(model, average, 40), 1):
        d = min(decay, n / (n + 10))
        expected = [d * a + (1 - d) * w for a, w in zip(expected, weights, strict=True)]
    with average.applied():
        assert values(model) == pytest.approx(expected, abs=1e-12)


def test_the_weights_come_back_exactly_even_after_an_error():
    model = nn.Linear(2, 3)
    average = WeightAverage(model, 0.9)
    last = wander(model, average, 5)[-1]
    seen = []

    def fail_inside() -> None:
        with average.applied():
            own = [value for weight in average.state_dict()["weights"] for value in weight.flatten().tolist()]
            seen.extend([values(model), own])
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    assert seen[0] != last
    assert seen[1] == last
    assert values(model) == last
    with pytest.raises(AssertionError, match="applied"):  # the average would not be saved
        average.state_dict()


def test_a_share_of_zero_changes_nothing():
    model = nn.Linear(2, 3)
    average = WeightAverage(model, 0.9)
    wander(model, average, 3)
    before = applied(model, average)
    average.update(torch.zeros(()))
    assert applied(model, average) == before != values(model)


def test_without_decay_there_is_none():
    model = nn.Linear(2, 3)
    average = WeightAverage(model, 0)
    last = wander(model, average, 3)[-1]
    with average.applied():
        assert values(model) == last
        assert average.state_dict() == {"weights": []}
    assert average.state_dict() == {"weights": []}


# ---------------------------------------------------------------- resuming


def saved(average: WeightAverage, model: nn.Module) -> dict[str, Any]:
    """The model and the EMA state as saved in a checkpoint: while the average is applied."""
    with average.applied():
        return copy.deepcopy({"model": model.state_dict(), "state": average.state_dict()})


def reopened(state: dict[str, Any], decay: float) -> tuple[nn.Module, WeightAverage]:
    model = nn.Linear(2, 3)
    model.load_state_dict(state["model"])
    average = WeightAverage(model, decay)
    average.load_state_dict(state["state"])
    return model, average


def applied(model: nn.Module, average: WeightAverage) -> list[float]:
    with average.applied():
        return values(model)


def test_resuming_is_exact():
    model = nn.Linear(2, 3)
    average = WeightAverage(model, 0.9)
    wander(model, average, 5)
    other, again = reopened(saved(average, model), 0.9)
    assert values(other) == values(model)
    for one, its in ((model, average), (other, again)):
        wander(one, its, 3)
    assert values(other) == values(model)
    assert applied(other, again) == applied(model, average)


def test_an_average_may_end_or_begin_when_resuming():
    """The weights are unchanged; a new average starts from them."""
    model = nn.Linear(2, 3)
    average = WeightAverage(model, 0.9)
    last = wander(model, average, 5)[-1]
    other, none = reopened(saved(average, model), 0.0)
    assert values(other) == applied(other, none) == last
    other, begun = reopened(saved(none, other), 0.9)
    assert values(other) == applied(other, begun) == last
    wander(other, begun, 1)
    assert applied(other, begun) != values(other)
