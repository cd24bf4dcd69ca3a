"""The training loop: teacher forcing, update by update, with validations in between."""

import math
import time
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

from nmt.config import TrainingConfig
from nmt.data.batches import Batch, TrainingBatches
from nmt.model.translation import TranslationModel
from nmt.training.average import WeightAverage
from nmt.training.loss import LossSum, alignment_loss, token_loss
from nmt.training.precision import Precision
from nmt.training.schedule import learning_rate, teacher_forcing

LOWER_IS_BETTER = frozenset({"loss"})


@dataclass
class Progress:
    """Where training stands.

    Attributes:
        step: updates done.
        epoch: the epoch at work, from 0.
        best: the best value so far of the metric that decides, if there was a validation.
        best_step: when that was.
        stale: validations since.
        history: the scores of every validation, with the step.
    """

    step: int = 0
    epoch: int = 0
    best: float | None = None
    best_step: int = 0
    stale: int = 0
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
    """

    likelihood: Tensor | float = 0.0
    tokens: int = 0
    gradient_norm: Tensor | float = 0.0
    rate: float = 0.0
    since: float = field(default_factory=time.perf_counter)

    def add(self, loss: LossSum, gradient_norm: Tensor) -> None:
        """Count one batch."""
        self.likelihood = self.likelihood + loss.likelihood
        self.tokens += loss.tokens
        self.gradient_norm = gradient_norm

    @property
    def loss(self) -> float:
        """Negative log-likelihood per token, in nats."""
        return float(self.likelihood) / self.tokens

    @property
    def seconds(self) -> float:
        """How long ago the window began."""
        return time.perf_counter() - self.since


class Observer(Protocol):
    """What the loop tells, and asks for. The command provides it."""

    def updated(self, progress: Progress) -> None:
        """Called after every update."""

    def reported(self, progress: Progress, window: Window) -> None:
        """Called every `log_every` updates; the window starts afresh after it."""

    def validate(self, progress: Progress) -> dict[str, float]:
        """Score the model on the development part: loss, perplexity, bleu, chrf."""
        ...

    def validated(self, progress: Progress, improved: bool) -> None:
        """Called with the newest scores at the end of `progress.history`: the place to save."""


class Trainer:
    """Trains a model.

    Args:
        model: what to train, on its device.
        batches: the training pairs.
        config: how.
        precision: type of the matrix products.
        observer: is told of everything, and validates.
    """

    def __init__(
        self,
        model: TranslationModel,
        batches: TrainingBatches,
        config: TrainingConfig,
        precision: Precision,
        observer: Observer,
    ) -> None:
        self.model, self.batches, self.config = model, batches, config
        self.precision, self.observer = precision, observer
        self.optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=config.learning_rate,
            betas=(0.9, config.beta2),
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.scaler = precision.scaler()
        self.average = WeightAverage(model, config.ema)
        self.progress = Progress()
        planned = batches.count(config.epochs)
        self.total = planned if config.max_steps is None else min(planned, config.max_steps)

    def run(self) -> Progress:
        """Train until the epochs or steps are done or patience is out; the last step is validated."""
        self.model.train()
        window = Window()
        for batch, ends_epoch in self._stream():
            window.rate = self._set_rate()
            window.add(*self.update(batch))
            self.progress.step += 1
            self.average.update(self.progress.step)
            self.observer.updated(self.progress)
            if self.progress.step % self.config.log_every == 0 or self.progress.step == self.total:
                self.observer.reported(self.progress, window)
                window = Window()
            if self._is_time_to_validate(ends_epoch):
                paused = time.perf_counter()
                with self.average.applied():
                    self._validate()
                window.since += time.perf_counter() - paused
                if self._out_of_patience():
                    break
        return self.progress

    def update(self, batch: Batch) -> tuple[LossSum, Tensor]:
        """One update; the gradient is of the loss per real token.

        Returns:
            the loss, and the length of the gradient before clipping.
        """
        batch = batch.to(self.precision.device)
        with self.precision.autocast():
            logits, weights = self._forward(batch)
        loss = token_loss(logits, batch.target[batch.target_mask], self.config.label_smoothing)
        total = loss.smoothed
        if batch.alignment is not None:
            total = total + self.config.guided_alignment * alignment_loss(weights, batch.alignment)
        self.optimizer.zero_grad()
        scaled: Tensor = self.scaler.scale(total / loss.tokens)
        scaled.backward()  # type: ignore[no-untyped-call]
        self.scaler.unscale_(self.optimizer)
        limit = self.config.clip_norm or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit, foreach=True)
        self.scaler.step(self.optimizer)
        self.scaler.update()
        return loss, norm

    def _forward(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Logits and attention, with the true previous tokens or, by chance, the model's own."""
        pairs = batch.source, batch.source_mask, batch.previous, batch.target_mask
        if self.config.teacher_forcing == 1:
            found = self.model(*pairs)
        else:
            truth = teacher_forcing(self.progress.step + 1, self.total, self.config)
            found = self.model.scheduled_sampling(*pairs, truth)
        logits, weights = found
        return logits, weights

    def state(self) -> dict[str, Any]:
        """What going on needs besides the model's weights, plain values and tensors. With a moving
        average the model has that when it is saved, and its own weights are here.
        """
        return {
            "optimizer": self.optimizer.state_dict(),
            "scaler": self.scaler.state_dict(),
            "progress": asdict(self.progress),
            "weights": self.average.own_weights(),
        }

    def _stream(self) -> Iterator[tuple[Batch, bool]]:
        """All batches up to the last step, each with whether its epoch ends with it."""
        for epoch in range(self.config.epochs):
            self.progress.epoch = epoch
            remaining = len(self.batches.indices(epoch))
            for batch in self.batches.epoch(epoch):
                if self.progress.step == self.total:
                    return
                remaining -= 1
                yield batch, remaining == 0

    def _set_rate(self) -> float:
        rate = learning_rate(self.progress.step + 1, self.total, self.config)
        for group in self.optimizer.param_groups:
            group["lr"] = rate
        return rate

    def _is_time_to_validate(self, ends_epoch: bool) -> bool:
        every, step = self.config.validate_every, self.progress.step
        return step == self.total or (ends_epoch if every is None else step % every == 0)

    def _validate(self) -> None:
        progress, metric = self.progress, self.config.metric
        scores = self.observer.validate(progress)
        progress.history.append({"step": progress.step, **scores})
        value = scores[metric]
        improved = not math.isnan(value) and (
            progress.best is None
            or (value < progress.best if metric in LOWER_IS_BETTER else value > progress.best)
        )
        if improved:
            progress.best, progress.best_step, progress.stale = value, progress.step, 0
        else:
            progress.stale += 1
        self.observer.validated(progress, improved)

    def _out_of_patience(self) -> bool:
        return self.config.patience is not None and self.progress.stale >= self.config.patience
