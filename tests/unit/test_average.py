"""The moving average of the weights against its recurrence, and that nothing of it stays behind."""

import pytest
import torch
from torch import nn

from nmt.training.average import WeightAverage


def wander(model: nn.Module, average: WeightAverage, steps: int) -> list[list[float]]:
    """Random updates; every weight's values over time."""
    generator = torch.Generator().manual_seed(0)
    seen = []
    for step in range(1, steps + 1):
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += torch.randn(parameter.shape, generator=generator, dtype=parameter.dtype)
        average.update(step)
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
            own = [value for weight in average.own_weights() for value in weight.flatten().tolist()]
            seen.extend([values(model), own])
            raise KeyError

    with pytest.raises(KeyError):
        fail_inside()
    assert seen[0] != last
    assert seen[1] == last
    assert values(model) == last
    assert average.own_weights() == []


def test_without_decay_there_is_none():
    model = nn.Linear(2, 3)
    average = WeightAverage(model, 0)
    last = wander(model, average, 3)[-1]
    with average.applied():
        assert values(model) == last
        assert average.own_weights() == []
