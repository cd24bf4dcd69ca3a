"""An observer of the training loop that records what it is told."""

import signal
from dataclasses import dataclass, field
from typing import NamedTuple

from nmt.training.train_state import RunningMetrics, TrainState


class Report(NamedTuple):
    """What a window showed: all of it but the time it took."""

    step: int
    loss: float
    tokens: int
    gradient_norm: float
    rate: float


@dataclass
class Recorder:
    """Gives scripted scores and keeps what the loop tells it.

    Attributes:
        scores: by name, one for each validation; where there is none, loss and chrF are 0, BLEU the step.
        stop_after: the update after which to stop, if any.
    """

    scores: dict[str, list[float]] = field(default_factory=dict)
    stop_after: int | None = None
    steps: list[int] = field(default_factory=list)
    windows: list[Report] = field(default_factory=list)
    validations: list[tuple[int, bool]] = field(default_factory=list)
    saves: list[int] = field(default_factory=list)

    def updated(self, progress: TrainState) -> None:
        self.steps.append(progress.step)

    def reported(self, progress: TrainState, window: RunningMetrics) -> None:
        assert window.speed > 0
        norm = float(window.gradient_norm)
        self.windows.append(Report(progress.step, window.loss, window.tokens, norm, window.lr))

    def validate(self, progress: TrainState) -> dict[str, float]:
        done = len(progress.history)
        scripted = {name: values[done] for name, values in self.scores.items()}
        return {"loss": 0.0, "bleu": float(progress.step), "chrf": 0.0} | scripted

    def validated(self, progress: TrainState, improved: bool) -> None:
        assert progress.history[-1]["step"] == progress.step
        self.validations.append((progress.step, improved))

    def save(self, progress: TrainState) -> None:
        self.saves.append(progress.step)

    def stopping(self) -> int:
        return signal.SIGTERM if self.stop_after is not None and self.steps[-1] >= self.stop_after else 0
