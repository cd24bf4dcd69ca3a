"""A moving average of the weights, which translates better than the newest weights themselves."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of a model's parameters (Polyak and Juditsky 1992, with decay).

    a ← d a + (1 − d) w after every update, with d = min(decay, n / (n + 10)) at update n, so that the
    first weights are soon forgotten.

    Args:
        model: whose parameters are followed.
        decay: 0 follows nothing: the average is the weights themselves.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._weights = [parameter.detach() for parameter in model.parameters()]
        self._average = [weight.clone() for weight in self._weights] if decay else []
        self._decay = decay
        self._aside: list[Tensor] = []

    def update(self, step: int) -> None:
        """Follow update `step`, counted from 1."""
        if self._average:
            decay = min(self._decay, step / (step + 10))
            torch._foreach_lerp_(self._average, self._weights, 1 - decay)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model has the averaged weights inside, its own again afterwards."""
        if not self._average:
            yield
            return
        self._aside = [weight.clone() for weight in self._weights]
        torch._foreach_copy_(self._weights, self._average)
        try:
            yield
        finally:
            torch._foreach_copy_(self._weights, self._aside)
            self._aside = []

    def own_weights(self) -> list[Tensor]:
        """The newest weights while the average is applied, in the order of `model.parameters()`."""
        return self._aside
