"""Exponential moving average (EMA) of the weights, which translates better than the non-EMA weights."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class WeightAverage:
    """Exponential moving average of a model's parameters (Polyak and Juditsky 1992, with decay).

    a ← d a + (1 − d) w after every update, with d = min(decay, n / (n + 10)) at update n, so that the
    initial weights soon lose their influence.

    Args:
        model: whose parameters are averaged.
        decay: 0 disables the average: the model's weights are used as they are.
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self._weights = [parameter.detach() for parameter in model.parameters()]
        self._average = [weight.clone() for weight in self._weights] if decay else []
        self._decay = decay
        self._non_ema_weights: list[Tensor] = []

    def share(self, step: int) -> float:
        """1 − d of update `step`, counted from 1: the weights' share in the average."""
        return 1 - min(self._decay, step / (step + 10))

    def update(self, share: Tensor) -> None:
        """Update the average after an update, on the device.

        Args:
            share: its `share`, a scalar on the device; 0 leaves the average as it is.
        """
        if self._average:
            share = share.to(self._average[0].dtype)
            torch._foreach_lerp_(self._average, self._weights, [share] * len(self._average))

    @contextmanager
    def applied(self) -> Iterator[None]:
        """The model uses the EMA weights inside; its own weights are restored on exit."""
        if not self._average:
            yield
            return
        self._non_ema_weights = [weight.clone() for weight in self._weights]
        torch._foreach_copy_(self._weights, self._average)
        try:
            yield
        finally:
            torch._foreach_copy_(self._weights, self._non_ema_weights)
            self._non_ema_weights = []

    def state_dict(self) -> dict[str, list[Tensor]]:
        """State for resuming: the non-EMA weights, as a list in the order of `model.parameters()`; empty if
        there is no average. Called while the average is applied: the average is then the model's weights,
        which the checkpoint contains already.
        """
        assert self._non_ema_weights or not self._average, "the average must be applied"
        return {"weights": self._non_ema_weights}

    def load_state_dict(self, state: dict[str, list[Tensor]]) -> None:
        """Restore from `state`; the model has the weights saved with it, which are the average if there was
        one. Older states repeat the average.
        """

        def here(weights: list[Tensor]) -> list[Tensor]:
            return [weight.to(own.device) for weight, own in zip(weights, self._weights, strict=True)]

        if self._average:
            torch._foreach_copy_(self._average, self._weights)
        if state["weights"]:
            torch._foreach_copy_(self._weights, here(state["weights"]))
