"""Where a training stands, and what it has seen since the last report."""

import time
from dataclasses import dataclass, field

from torch import Tensor

from nmt.training.update import Update


@dataclass
class Progress:
    """Where training stands.

    Attributes:
        step: updates done.
        epoch: the epoch at work, from 0.
        batch: batches of it that are done, in all processes.
        budget: tokens in a batch of this epoch; a change of the setting waits for the next.
        block: batches in an update of this epoch; likewise, and when processes join or leave.
        best: the value of `training.metric` at the best validation so far, if there was any.
        best_step: when that was; of validations that are equal in all scores, the newest.
        stale: validations since the last that was better than all before it.
        metric: the one that decided; "" before the first validation, and in checkpoints without it.
        skipped: updates left out because a loss or gradient was not finite.
        seconds: of training so far, over all its processes.
        history: the scores of every validation, with the step.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    budget: int = 0
    block: int = 1
    best: float | None = None
    best_step: int = 0
    stale: int = 0
    metric: str = ""
    skipped: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)


@dataclass
class Window:
    """What was seen since the last report. Sums stay on the device until somebody reads them.

    Attributes:
        likelihood: sum of negative log-likelihoods, in nats.
        tokens: real target tokens.
        gradient_norm: of the newest update, before clipping.
        rate: learning rate of the newest update.
        since: when the window began, by the performance counter, in seconds.
        timed: real target tokens since then.
    """

    likelihood: Tensor | float = 0.0
    tokens: int = 0
    gradient_norm: Tensor | float = 0.0
    rate: float = 0.0
    since: float = field(default_factory=time.perf_counter)
    timed: int = 0

    def add(self, update: Update) -> None:
        """Count one update."""
        self.likelihood = self.likelihood + update.likelihood
        self.tokens += update.tokens
        self.timed += update.tokens
        self.gradient_norm = update.gradient_norm

    @property
    def loss(self) -> float:
        """Negative log-likelihood per token, in nats."""
        return float(self.likelihood) / max(self.tokens, 1)

    @property
    def speed(self) -> float:
        """Real target tokens a second, validations left out."""
        return self.timed / (time.perf_counter() - self.since)
