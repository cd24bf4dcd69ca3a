"""Callbacks that record how the training loop calls them."""

import signal
from dataclasses import dataclass, field
from typing import NamedTuple

from nmt.training.train_state import RunningMetrics, TrainState


class Report(NamedTuple):
    """Running metrics at a report, without the time they took."""

    step: int
    loss: float
    tokens: int
    gradient_norm: float
    lr: float


@dataclass
class Recorder:
    """Gives scripted scores and records the calls.

    Attributes:
        scores: by name, one for each validation; where there is none, loss and chrF are 0, BLEU the step.
        stop_after: the update after which to stop, if any.
    """

    scores: dict[str, list[float]] = field(default_factory=dict)
    stop_after: int | None = None
    steps: list[int] = field(default_factory=list)
    reports: list[Report] = field(default_factory=list)
    validations: list[tuple[int, bool]] = field(default_factory=list)
    saves: list[int] = field(default_factory=list)

    def updated(self, state: TrainState) -> None:
        self.steps.append(state.step)

    def reported(self, state: TrainState, metrics: RunningMetrics) -> None:
        assert metrics.speed > 0
        norm = float(metrics.gradient_norm)
        self.reports.append(Report(state.step, metrics.loss, metrics.tokens, norm, metrics.lr))

    def validate(self, state: TrainState) -> dict[str, float]:
        done = len(state.history)
        scripted = {name: values[done] for name, values in self.scores.items()}
        return {"loss": 0.0, "bleu": float(state.step), "chrf": 0.0} | scripted

    def validated(self, state: TrainState, selected: str) -> None:
        assert state.history[-1]["step"] == state.step
        self.validations.append((state.step, bool(selected)))

    def save(self, state: TrainState) -> None:
        self.saves.append(state.step)

    def stopping(self) -> int:
        return signal.SIGTERM if self.stop_after is not None and self.steps[-1] >= self.stop_after else 0
