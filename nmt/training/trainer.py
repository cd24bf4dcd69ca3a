"""The training loop: updates with teacher forcing, and periodic validation."""

import logging
import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from nmt.config.selection_metrics import metric_value
from nmt.config.training import TrainingConfig
from nmt.data.batches import MicroBatches
from nmt.data.batching import TrainingBatches
from nmt.errors import NmtError
from nmt.model.translation import TranslationModel
from nmt.training.callbacks import Callbacks
from nmt.training.distributed import DelayedMaximum, Processes
from nmt.training.precision import Precision
from nmt.training.random_state import random_state, restore_random_state
from nmt.training.schedule import learning_rate
from nmt.training.selection import compare, is_close
from nmt.training.step import TrainStep
from nmt.training.train_state import RunningMetrics, TrainState

logger = logging.getLogger("nmt")


class Trainer:
    """Trains a model.

    Args:
        model: the model, on its device.
        batches: the training batches.
        config: the training settings.
        precision: dtype of the matrix products.
        callbacks: called during training; they also validate and save.
        processes: the processes that train together, each with the same arguments except the callbacks.

    Attributes:
        state: how far training is.
        metrics: statistics since the last report. They and the state's `seconds` and `skipped` are read from
            the device for a report, a validation and a checkpoint only: the host does not wait for updates.
        total: planned number of updates. With sub-word sampling the lengths of later epochs are not known: it
            is planned anew in each epoch, as if the later ones had as many batches; exact in the last.
        stopped: the signal that stopped training, or 0.
    """

    def __init__(
        self,
        model: TranslationModel,
        batches: TrainingBatches,
        config: TrainingConfig,
        precision: Precision,
        callbacks: Callbacks,
        processes: Processes = Processes(),  # noqa: B008 (it never changes)
    ) -> None:
        self.model, self.batches, self.config = model, batches, config
        self.callbacks, self.processes = callbacks, processes
        self.train_step = TrainStep(model, config, precision, processes)
        self.average = self.train_step.average
        self.state = TrainState(max_tokens=batches.max_tokens, batches_per_update=batches.batches_per_update)
        self.metrics = RunningMetrics()
        self.stopped = 0
        self._stop, self._since = DelayedMaximum(processes), 0.0
        self.total = self._planned()

    def run(self) -> TrainState:
        """Train until all epochs or steps are done, patience runs out, or the callbacks request a stop;
        except in the last case, training ends with a validation.

        Raises:
            NmtError: if losses or gradients stay non-finite, or memory runs out.
        """
        self.model.train()
        state, self._since = self.state, time.perf_counter()
        self.metrics.since, self.metrics.untimed = self._since, self.metrics.tokens
        if self._finished():  # resumed after training was complete
            self._log_patience()
            return state
        for micro_batches, batches, ends_epoch in self._stream():
            self.metrics.lr = lr = learning_rate(state.step + 1, self.total, self.config)
            self.train_step.update(micro_batches, lr, state.step, self.total)
            state.step += 1
            state.batch += batches
            self.callbacks.updated(state)
            if state.step % self.config.log_every == 0 or state.step == self.total:
                self._report()
            if self._is_time_to_validate(ends_epoch):
                self._pause(self._validate)
                if self._finished():
                    self._log_patience()
                    break
            elif self.config.save_every and state.step % self.config.save_every == 0:
                self._pause(lambda: self.callbacks.save(state))
            self.stopped = self._stop(self.callbacks.stopping())
            if self.stopped:
                self._pause(lambda: self.callbacks.save(state))
                break
        self._stop.finish()
        return state

    def state_dict(self) -> dict[str, Any]:
        """State for resuming, besides the model's weights: plain values and tensors. With EMA, the model is
        saved with the EMA weights, and the non-EMA weights are in this state. Must be called in all
        processes together, as it gathers their random states.
        """
        return {
            **self.train_step.state_dict(),
            "train_state": asdict(self.state),
            "average": self.average.state_dict(),
            "running_metrics": {"nll": self.metrics.nll, "tokens": self.metrics.tokens},
            "random": self.processes.all_gather(random_state()),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore from `state`; the model must already have the weights saved with it."""
        self.state = TrainState(**state["train_state"])
        self._compare_by_metric()
        self.train_step.load_state_dict(state)
        self.average.load_state_dict(state["average"])
        nll, tokens = (state["running_metrics"][name] for name in ("nll", "tokens"))
        self.metrics = RunningMetrics(float(nll), tokens)
        self.train_step.totals.restore(float(nll), tokens, self.state.skipped)
        every = state["random"]
        if not isinstance(every, list):  # checkpoints from before multi-process training
            every = [every]
        if self.processes.rank < len(every):  # an additional process keeps its own state
            restore_random_state(every[self.processes.rank])
        self.total = self._planned()

    def _compare_by_metric(self) -> None:
        """Compare the best checkpoint by `training.metric`, which may have changed on resuming."""
        state, metric, best = self.state, self.config.metric, self._best_scores()
        if best is None:
            return
        state.best = metric_value(best, metric)
        if state.metric not in ("", metric):
            state.validations_without_improvement = 0
            if self.processes.is_main:
                logger.info(
                    f"training.metric={metric} instead of {state.metric}: the checkpoint of step "
                    f"{state.best_step} remains the best until a validation improves {metric}"
                )
        state.metric = metric

    def _planned(self) -> int:
        """Total number of updates: done, left in this epoch, and in the remaining epochs."""
        state, epochs = self.state, self.config.epochs
        current = self.batches.plan(state.epoch, state.max_tokens, state.batches_per_update)
        left = len(current.batches) - state.batch
        planned, most = state.step + math.ceil(left / state.batches_per_update), self.config.max_steps
        for epoch in range(state.epoch + 1, epochs):
            if most is not None and planned >= most:
                break
            planned += math.ceil(self.batches.count(epoch) / self.batches.batches_per_update)
        return planned if most is None else min(planned, most)

    def _stream(self) -> Iterator[tuple[MicroBatches, int, bool]]:
        """For every remaining update: the micro-batches of this process, the number of batches in the update
        over all processes, and whether it is the last of its epoch.
        """
        state, rank_and_size = self.state, (self.processes.rank, self.processes.size)
        for epoch in range(state.epoch, self.config.epochs):
            if epoch > state.epoch:
                state.epoch, state.batch = epoch, 0
                state.max_tokens = self.batches.max_tokens
                state.batches_per_update = self.batches.batches_per_update
                self.total = self._planned()
            size = state.max_tokens, state.batches_per_update
            left = len(self.batches.plan(epoch, *size).batches) - state.batch
            for micro_batches, batches in self.batches.epoch(epoch, state.batch, *size, *rank_and_size):
                if state.step >= self.total:
                    return
                left -= batches
                yield micro_batches, batches, left == 0

    def _read(self) -> None:
        """Bring the metrics and the state up to date; waits for the device.

        Raises:
            NmtError: if too many updates in a row were skipped.
        """
        found, now = self.train_step.totals.read(), time.perf_counter()
        self.state.seconds += now - self._since
        self._since = now
        self.state.skipped = found.skipped
        self.metrics.nll, self.metrics.tokens, self.metrics.gradient_norm = found[:3]
        if found.longest >= self.config.max_skipped:
            raise NmtError(
                f"step {self.state.step}: {found.longest} updates in a row had a loss or gradient that is "
                "not finite (NaN or infinity); the last checkpoint is not affected: resume from it with a "
                "lower training.learning_rate or training.precision=fp32"
            )

    def _report(self) -> None:
        self._read()
        self.callbacks.reported(self.state, self.metrics)
        self.metrics = RunningMetrics()
        self.train_step.totals.restart()

    def _pause(self, work: Any) -> None:
        """Run `work` with the EMA weights, without counting its time as training time."""
        self._read()
        with self.average.applied():
            work()
        paused = time.perf_counter() - self._since
        self.metrics.since += paused
        self._since += paused

    def _is_time_to_validate(self, ends_epoch: bool) -> bool:
        every, step = self.config.validate_every, self.state.step
        return step == self.total or (ends_epoch if every is None else step % every == 0)

    def _validate(self) -> None:
        state, metric = self.state, self.config.metric
        scores = self.processes.broadcast(lambda: self.callbacks.validate(state))
        best = self._best_scores()
        order, selected = compare(scores, best, metric), ""
        if order >= 0:
            selected = "best so far"
        elif state.step == self.total and is_close(scores, best, metric, self.config.prefer_last):
            selected = f"the last, close to the best: training.prefer_last={self.config.prefer_last:g}"
        state.metric = metric
        state.history.append({"step": state.step, **scores})
        if selected:
            state.best, state.best_step = metric_value(scores, metric), state.step
        state.validations_without_improvement = 0 if order > 0 else state.validations_without_improvement + 1
        self.callbacks.validated(state, selected)

    def _best_scores(self) -> dict[str, float] | None:
        """The scores of the best validation so far, if any."""
        state = self.state
        found = (scores for scores in state.history if scores["step"] == state.best_step)
        return None if state.best is None else next(found, None)

    def _log_patience(self) -> None:
        if self.state.step < self.total and self.processes.is_main:
            logger.info(
                f"stopped early after step {self.state.step}: no improvement in the last "
                f"{self.state.validations_without_improvement} validations "
                f"(training.patience={self.config.patience})"
            )

    def _finished(self) -> bool:
        patience = self.config.patience
        out_of_patience = patience is not None and self.state.validations_without_improvement >= patience
        return self.state.step >= self.total or out_of_patience
