"""One optimizer update: forward, backward, clip, step; and the check for NaN, infinity and out-of-memory."""

from contextlib import nullcontext
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nmt.config.training import TrainingConfig
from nmt.data.batches import Batch, MicroBatches
from nmt.errors import NmtError
from nmt.model.translation import TranslationModel
from nmt.training.distributed import Processes
from nmt.training.objective import Objective
from nmt.training.optimizer import EagerAdamW
from nmt.training.precision import Precision
from nmt.training.schedule import teacher_forcing_ratio


class Update(NamedTuple):
    """Statistics of one update.

    Attributes:
        nll: negative log-likelihood of its batches over all processes, summed over tokens, in nats.
        tokens: real target tokens of its batches over all processes.
        gradient_norm: norm of the gradient of the loss per token, before clipping.
        skipped: whether it was skipped because of a non-finite loss or gradient.
    """

    nll: Tensor
    tokens: int
    gradient_norm: Tensor
    skipped: bool


class TrainStep:
    """Optimizer, loss scaling and the check for NaN and infinity.

    Args:
        model: the model to train.
        config: the training settings.
        precision: dtype of the matrix products.
        processes: the processes that train together.
    """

    def __init__(
        self,
        model: TranslationModel,
        config: TrainingConfig,
        precision: Precision,
        processes: Processes = Processes(),  # noqa: B008 (it never changes)
    ) -> None:
        self._objective = processes.wrap(Objective(model, config))
        self._parameters, self._config, self._precision = list(model.parameters()), config, precision
        self._processes = processes
        self._optimizer = EagerAdamW(
            self._parameters,
            lr=config.learning_rate,
            betas=(0.9, config.beta2),
            weight_decay=config.weight_decay,
            fused=True,
        )
        self._scaler = precision.scaler()
        self._skipped_in_a_row = 0

    def update(self, micro_batches: MicroBatches, lr: float, step: int, total: int) -> Update:
        """One update with the gradient of the loss per real token over all its batches.

        Args:
            micro_batches: the micro-batches of this process, whose gradients are accumulated.
            lr: the learning rate.
            step: updates done before this one.
            total: planned number of updates.

        Raises:
            NmtError: if memory runs out, or loss or gradient are non-finite `training.max_skipped` times in
                a row.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = lr
        self._optimizer.zero_grad()
        nlls = []
        for number, batch in enumerate(micro_batches.batches, 1):
            more = number < len(micro_batches.batches)
            with self._processes.no_sync(self._objective) if more else nullcontext():
                nlls.append(self._backward(batch, micro_batches, step, total))
        nll = self._processes.all_reduce_sum(torch.stack(nlls).sum())
        self._scaler.unscale_(self._optimizer)
        limit = self._config.clip_norm or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(self._parameters, limit, foreach=True)
        finite = bool((norm + nll).isfinite())
        if finite or self._precision.scales:  # the scaler skips steps with infinite gradients itself
            self._scaler.step(self._optimizer)
            self._scaler.update()
        if not finite:
            self._guard(step)
            return Update(torch.zeros_like(nll), 0, norm, True)
        self._skipped_in_a_row = 0
        return Update(nll, micro_batches.tokens, norm, False)

    def state_dict(self) -> dict[str, Any]:
        """State for resuming."""
        return {
            "optimizer": self._optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "skipped_in_a_row": self._skipped_in_a_row,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore from `state`; the optimizer keeps its current settings."""
        now = [
            {key: value for key, value in g.items() if key != "params"} for g in self._optimizer.param_groups
        ]
        self._optimizer.load_state_dict(state["optimizer"])
        for group, settings in zip(self._optimizer.param_groups, now, strict=True):
            group.update(settings)
        if state["scaler"]:  # empty if saved without loss scaling
            self._scaler.load_state_dict(state["scaler"])
        self._skipped_in_a_row = state.get("skipped_in_a_row", 0)  # missing in early format-1 checkpoints

    def _backward(self, batch: Batch, micro_batches: MicroBatches, step: int, total: int) -> Tensor:
        """Accumulate a batch's gradient, normalised by the tokens of the update; returns its nll."""
        try:
            return self._gradient(batch.to(self._precision.device), micro_batches, step, total)
        except (RuntimeError, MemoryError) as error:
            if not _is_out_of_memory(error):
                raise
            raise NmtError(_too_large(batch, step)) from error

    def _gradient(self, batch: Batch, micro_batches: MicroBatches, step: int, total: int) -> Tensor:
        ratio = teacher_forcing_ratio(step + 1, total, self._config)
        with self._precision.autocast():
            objective, nll = self._objective(batch, ratio)
        weight = self._processes.size / micro_batches.tokens  # the gradients of the processes are averaged
        scaled: Tensor = self._scaler.scale(objective * (weight if micro_batches.counts else 0.0))
        scaled.backward()  # type: ignore[no-untyped-call]
        found: Tensor = nll if micro_batches.counts else torch.zeros_like(nll)
        return found

    def _guard(self, step: int) -> None:
        """Count a skipped update.

        Raises:
            NmtError: if too many were skipped in a row.
        """
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row >= self._config.max_skipped:
            raise NmtError(
                f"step {step + 1}: {self._skipped_in_a_row} updates in a row had a loss or gradient that is "
                "not finite (NaN or infinity); the last checkpoint is not affected: resume from it with a "
                "lower training.learning_rate or training.precision=fp32"
            )


def _is_out_of_memory(error: Exception) -> bool:
    """Whether it is an out-of-memory error; on a CPU, torch has no exception class for it."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def _too_large(batch: Batch, step: int) -> str:
    B, T = batch.target.shape
    longest = max(T, batch.source.shape[1])
    if B == 1:  # a smaller batch is not possible
        advice = f"start a new run with shorter pairs only: data.max_tokens={longest // 2}"
    else:
        advice = (
            "lower training.batch_tokens (and raise training.accumulate to keep the effective batch size)"
        )
    pairs = "1 pair" if B == 1 else f"{B} pairs"
    return (
        f"step {step + 1}: out of memory with a batch of {pairs}, {batch.tokens} target tokens, longest "
        f"sentence {longest} tokens; {advice}"
    )
