"""The training loop: updates with teacher forcing, and periodic validation."""

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any, Protocol

from nmt.config.training import TrainingConfig
from nmt.data.batches import Share, TrainingBatches
from nmt.model.translation import TranslationModel
from nmt.processes import Processes
from nmt.training.average import WeightAverage
from nmt.training.precision import Precision
from nmt.training.progress import Progress, Window
from nmt.training.randomness import random_state, restore_random_state
from nmt.training.schedule import learning_rate
from nmt.training.selection import compare
from nmt.training.update import Updater

logger = logging.getLogger("nmt")


class Observer(Protocol):
    """Callbacks of the training loop. The command implements them, one instance per process."""

    def updated(self, progress: Progress) -> None:
        """Called after every update."""

    def reported(self, progress: Progress, window: Window) -> None:
        """Called every `log_every` updates; a new window starts afterwards."""

    def validate(self, progress: Progress) -> dict[str, float]:
        """Score the model on the development set: loss, perplexity, bleu, chrf. Called in the first process
        only; the scores are sent to the others.
        """
        ...

    def validated(self, progress: Progress, improved: bool) -> None:
        """Called after a validation, with its scores last in `progress.history`; save the checkpoint here.
        `improved`: no earlier scores are better, so this is the best checkpoint.
        """

    def save(self, progress: Progress) -> None:
        """Save a checkpoint between validations."""

    def stopping(self) -> int:
        """The signal that requests to save and stop after this update, or 0."""
        ...


class Trainer:
    """Trains a model.

    Args:
        model: the model, on its device.
        batches: the training batches.
        config: the training settings.
        precision: dtype of the matrix products.
        observer: gets the callbacks, and validates.
        processes: the processes that train together, each with the same arguments except the observer.

    Attributes:
        progress: the training progress.
        total: planned number of updates.
        stopped: the signal that stopped training, or 0.
    """

    def __init__(
        self,
        model: TranslationModel,
        batches: TrainingBatches,
        config: TrainingConfig,
        precision: Precision,
        observer: Observer,
        processes: Processes = Processes(),  # noqa: B008 (it never changes)
    ) -> None:
        self.model, self.batches, self.config = model, batches, config
        self.observer, self.processes = observer, processes
        self.updater = Updater(model, config, precision, processes)
        self.average = WeightAverage(model, config.ema)
        self.progress, self.window = Progress(budget=batches.budget, block=batches.block), Window()
        self.stopped = 0
        self.total = self._planned()

    def run(self) -> Progress:
        """Train until all epochs or steps are done, patience runs out, or the observer requests a stop;
        except in the last case, training ends with a validation.

        Raises:
            NmtError: if losses or gradients stay non-finite, or memory runs out.
        """
        self.model.train()
        self.window.since, self.window.timed = time.perf_counter(), 0
        progress = self.progress
        if self._finished():  # resumed after training was complete
            self._log_patience()
            return progress
        for share, batches, ends_epoch in self._stream():
            started = time.perf_counter()
            self.window.rate = rate = learning_rate(progress.step + 1, self.total, self.config)
            update = self.updater.update(share, rate, progress.step, self.total)
            self.window.add(update)
            progress.step += 1
            progress.batch += batches
            progress.skipped += update.skipped
            self.average.update(progress.step)
            progress.seconds += time.perf_counter() - started
            self.observer.updated(progress)
            if progress.step % self.config.log_every == 0 or progress.step == self.total:
                self.observer.reported(progress, self.window)
                self.window = Window()
            if self._is_time_to_validate(ends_epoch):
                self._pause(self._validate)
                if self._finished():
                    self._log_patience()
                    break
            elif self.config.save_every and progress.step % self.config.save_every == 0:
                self._pause(lambda: self.observer.save(progress))
            self.stopped = self.processes.largest(self.observer.stopping())
            if self.stopped:
                with self.average.applied():
                    self.observer.save(progress)
                break
        return progress

    def state(self) -> dict[str, Any]:
        """State for resuming, besides the model's weights: plain values and tensors. With EMA, the model is
        saved with the EMA weights, and the non-EMA weights are in this state. Must be called in all
        processes together, as it gathers their random states.
        """
        return {
            **self.updater.state(),
            "progress": asdict(self.progress),
            "average": self.average.state(),
            "window": {"likelihood": self.window.likelihood, "tokens": self.window.tokens},
            "random": self.processes.gathered(random_state()),
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Restore from `state`; the model must already have the weights saved with it."""
        self.progress = Progress(**state["progress"])
        self._compare_by_metric()
        self.updater.restore(state)
        self.average.restore(state["average"])
        self.window = Window(state["window"]["likelihood"], state["window"]["tokens"])
        every = state["random"]
        if not isinstance(every, list):  # checkpoints from before multi-process training
            every = [every]
        if self.processes.rank < len(every):  # an additional process keeps its own state
            restore_random_state(every[self.processes.rank])
        self.total = self._planned()

    def _compare_by_metric(self) -> None:
        """Compare the best checkpoint by `training.metric`, which may have changed on resuming."""
        progress, metric, best = self.progress, self.config.metric, self._best_scores()
        if best is None:
            return
        progress.best = best.get(metric, math.nan)  # of a run older than the metric
        if progress.metric not in ("", metric):
            progress.stale = 0
            if self.processes.first:
                logger.info(
                    f"training.metric={metric} instead of {progress.metric}: the checkpoint of step "
                    f"{progress.best_step} remains the best until a validation improves {metric}"
                )
        progress.metric = metric

    def _planned(self) -> int:
        """Total number of updates: done, left in this epoch, and in the remaining epochs."""
        progress, epochs, block = self.progress, self.config.epochs, self.batches.block
        current = self.batches.plan(progress.epoch, progress.budget, progress.block)
        left = len(current.batches) - progress.batch
        planned, most = progress.step + math.ceil(left / progress.block), self.config.max_steps
        for epoch in range(progress.epoch + 1, epochs):
            if most is not None and planned >= most:
                break
            planned += math.ceil(self.batches.count(epoch) / block)
        return planned if most is None else min(planned, most)

    def _stream(self) -> Iterator[tuple[Share, int, bool]]:
        """For every remaining update: the micro-batches of this process, the number of batches in the update
        over all processes, and whether it is the last of its epoch.
        """
        progress, place = self.progress, (self.processes.rank, self.processes.size)
        for epoch in range(progress.epoch, self.config.epochs):
            if epoch > progress.epoch:
                progress.epoch, progress.batch = epoch, 0
                progress.budget, progress.block = self.batches.budget, self.batches.block
            shape = progress.budget, progress.block
            left = len(self.batches.plan(epoch, *shape).batches) - progress.batch
            for share, batches in self.batches.epoch(epoch, progress.batch, *shape, *place):
                if progress.step >= self.total:
                    return
                left -= batches
                yield share, batches, left == 0

    def _pause(self, work: Any) -> None:
        """Run `work` with the EMA weights, without counting its time as training time."""
        paused = time.perf_counter()
        with self.average.applied():
            work()
        self.window.since += time.perf_counter() - paused

    def _is_time_to_validate(self, ends_epoch: bool) -> bool:
        every, step = self.config.validate_every, self.progress.step
        return step == self.total or (ends_epoch if every is None else step % every == 0)

    def _validate(self) -> None:
        progress, metric = self.progress, self.config.metric
        scores = self.processes.from_first(lambda: self.observer.validate(progress))
        order = compare(scores, self._best_scores(), metric)
        progress.metric = metric
        progress.history.append({"step": progress.step, **scores})
        if order >= 0:
            progress.best, progress.best_step = scores[metric], progress.step
        progress.stale = 0 if order > 0 else progress.stale + 1
        self.observer.validated(progress, order >= 0)

    def _best_scores(self) -> dict[str, float] | None:
        """The scores of the best validation so far, if any."""
        progress = self.progress
        found = (scores for scores in progress.history if scores["step"] == progress.best_step)
        return None if progress.best is None else next(found, None)

    def _log_patience(self) -> None:
        if self.progress.step < self.total and self.processes.first:
            logger.info(
                f"stopped early after step {self.progress.step}: no improvement in the last "
                f"{self.progress.stale} validations (training.patience={self.config.patience})"
            )

    def _finished(self) -> bool:
        patience = self.config.patience
        out_of_patience = patience is not None and self.progress.stale >= patience
        return self.progress.step >= self.total or out_of_patience
