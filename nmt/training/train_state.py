"""The state of training, and statistics since the last report."""

import time
from dataclasses import dataclass, field


@dataclass
class TrainState:
    """How far training is, and its scores so far.

    Attributes:
        step: updates done.
        epoch: the current epoch, from 0.
        batch: batches of it that are done, over all processes.
        max_tokens: maximum number of tokens per batch in this epoch; a changed setting applies from the next.
        batches_per_update: in this epoch; likewise, also if the number of processes changes.
        best: the value of `training.metric` at the validation whose checkpoint is selected, if any: the best
            so far, or at the end the last (`training.prefer_last`).
        best_step: its step; if several validations are equal in all scores, the latest.
        validations_without_improvement: validations since the last improvement.
        metric: the metric `best` was chosen by; "" before the first validation and in older checkpoints.
        skipped: updates skipped because of a non-finite loss or gradient, as of the last reading.
        seconds: training time so far, without validations, including the time before resuming.
        history: the scores of every validation, with the step.
    """

    step: int = 0
    epoch: int = 0
    batch: int = 0
    max_tokens: int = 0
    batches_per_update: int = 1
    best: float | None = None
    best_step: int = 0
    validations_without_improvement: int = 0
    metric: str = ""
    skipped: int = 0
    seconds: float = 0.0
    history: list[dict[str, float]] = field(default_factory=list)


@dataclass
class RunningMetrics:
    """Statistics since the last report.

    Attributes:
        nll: sum of negative log-likelihoods, in nats.
        tokens: real target tokens.
        gradient_norm: of the latest update, before clipping.
        lr: learning rate of the latest update.
        since: start of the timed interval, `time.perf_counter()` in seconds.
        untimed: of the tokens, those before.
    """

    nll: float = 0.0
    tokens: int = 0
    gradient_norm: float = 0.0
    lr: float = 0.0
    since: float = field(default_factory=time.perf_counter)
    untimed: int = 0

    @property
    def loss(self) -> float:
        """Negative log-likelihood per token, in nats."""
        return self.nll / max(self.tokens, 1)

    @property
    def speed(self) -> float:
        """Real target tokens per second, excluding validations."""
        return (self.tokens - self.untimed) / (time.perf_counter() - self.since)
