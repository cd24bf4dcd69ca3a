"""One optimizer update: forward, backward, clip, step. The host launches it and does not wait for it."""

from contextlib import nullcontext
from typing import Any

import torch

from nmt.config.training import TrainingConfig
from nmt.data.batches import Batch, MicroBatches
from nmt.errors import NmtError
from nmt.model.translation import TranslationModel
from nmt.training.distributed import Processes
from nmt.training.ema import WeightAverage
from nmt.training.graphs import make_graphs
from nmt.training.objective import Objective
from nmt.training.optimizer import EagerAdamW
from nmt.training.precision import Precision
from nmt.training.schedule import teacher_forcing_ratio
from nmt.training.totals import UpdateTotals


class TrainStep:
    """Optimizer, loss scaling and weight average.

    An update with a non-finite loss or gradient is skipped: it changes neither weights nor optimizer nor
    average. The device decides that; `totals` counts it.

    Args:
        model: the model to train.
        config: the training settings.
        precision: dtype of the matrix products.
        processes: the processes that train together.

    Attributes:
        parameters: the model's.
        average: the weight average.
        totals: sums over the updates.
        graphs: the CUDA graphs of the updates; None if they are not used.
    """

    def __init__(
        self,
        model: TranslationModel,
        config: TrainingConfig,
        precision: Precision,
        processes: Processes = Processes(),  # noqa: B008 (it never changes)
    ) -> None:
        self._objective = processes.wrap(Objective(model, config))
        self.parameters, self._config, self._precision = list(model.parameters()), config, precision
        self._processes, self._device = processes, precision.device
        self._numbers = torch.zeros(4, device=self._device)  # of the current update, set by the host:
        self._lr, self._weight, self._tokens, self._share = self._numbers.unbind()
        self._nll = torch.zeros((), device=self._device)
        self._optimizer = EagerAdamW(
            self.parameters,
            self._lr,
            betas=(0.9, config.beta2),
            weight_decay=config.weight_decay,
        )
        self._loss_scale = precision.loss_scale()
        self.average = WeightAverage(model, config.ema)
        self.totals = UpdateTotals(self._device)
        self.graphs = make_graphs(config, self._device, processes, self.parameters)

    def update(self, micro_batches: MicroBatches, lr: float, step: int, total: int) -> None:
        """One update with the gradient of the loss per real token over all its batches.

        Args:
            micro_batches: the micro-batches of this process, whose gradients are accumulated.
            lr: the learning rate.
            step: updates done before this one.
            total: planned number of updates.

        Raises:
            NmtError: if memory runs out.
        """
        self._set_numbers(micro_batches, lr, step)
        ratio = teacher_forcing_ratio(step + 1, total, self._config)
        self._optimizer.zero_grad(set_to_none=self.graphs is None)
        self._nll.zero_()
        for number, batch in enumerate(micro_batches.batches, 1):
            more = number < len(micro_batches.batches)
            with self._processes.no_sync(self._objective) if more else nullcontext():
                self._backward(batch, ratio, micro_batches.counts, step)
        if self._processes.joined:
            self._nll.copy_(self._processes.all_reduce_sum(self._nll))
        if self.graphs is None:
            self._apply()
        else:
            self.graphs.step(self._apply)

    def state_dict(self) -> dict[str, Any]:
        """State for resuming."""
        optimizer = self._optimizer.state_dict()
        for group in optimizer["param_groups"]:
            group["lr"] = float(group["lr"])
        return {
            "optimizer": optimizer,
            "scaler": self._loss_scale.state_dict(),
            "skipped_in_a_row": self.totals.read().skipped_in_a_row,
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore from `state`; the optimizer keeps its current settings."""
        now = [
            {key: value for key, value in g.items() if key != "params"} for g in self._optimizer.param_groups
        ]
        self._optimizer.load_state_dict(state["optimizer"])
        for group, settings in zip(self._optimizer.param_groups, now, strict=True):
            group.update(settings)
        self._loss_scale.load_state_dict(state["scaler"])
        self.totals.restore_row(state.get("skipped_in_a_row", 0))  # missing in early format-1 checkpoints

    def _set_numbers(self, micro_batches: MicroBatches, lr: float, step: int) -> None:
        """Send the numbers of this update to the device."""
        tokens = micro_batches.tokens
        weight = self._processes.size / tokens if micro_batches.counts else 0.0  # processes are averaged
        numbers = torch.tensor([lr, weight, float(tokens), self.average.share(step + 1)])
        if self._numbers.is_cuda:
            self._numbers.copy_(numbers.pin_memory(), non_blocking=True)
        else:
            self._numbers.copy_(numbers)
        self.totals.announce(tokens)

    def _backward(self, batch: Batch, ratio: float, counts: bool, step: int) -> None:
        """Accumulate a batch's gradient, normalised by the tokens of the update, and its nll."""
        try:
            if self.graphs is None:
                batch = batch.pinned() if self._device.type == "cuda" else batch
                self._gradient(batch.to(self._device), ratio, counts)
            else:
                self.graphs.gradient(batch, lambda padded: self._gradient(padded, ratio, counts))
        except (RuntimeError, MemoryError) as error:
            if not is_out_of_memory(error):
                raise
            raise NmtError(_too_large(batch, step)) from error

    def _gradient(self, batch: Batch, ratio: float, counts: bool) -> None:
        with self._precision.autocast():
            objective, nll = self._objective(batch, ratio)
        (objective * (self._weight * self._loss_scale.value)).backward()
        if counts:
            self._nll.add_(nll)

    @torch.no_grad()
    def _apply(self) -> None:
        """Clip and step, or skip the update, and count it."""
        gradients = [one.grad for one in self.parameters if one.grad is not None]
        scale = self._loss_scale.value
        norm = torch.nn.utils.get_total_norm(gradients, foreach=True) / scale
        found_inf = 1 - (norm + self._nll).isfinite().to(scale.dtype)
        clip_norm = self._config.clip_norm
        clip = (norm / clip_norm).clamp(min=1).to(scale.dtype) if clip_norm else torch.ones_like(scale)
        self._optimizer.scaled_step(scale * clip, found_inf)
        self._loss_scale.update(found_inf)
        self.average.update(self._share * (1 - found_inf))
        self.totals.add(self._nll, self._tokens, norm, found_inf)


def is_out_of_memory(error: BaseException | None) -> bool:
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
