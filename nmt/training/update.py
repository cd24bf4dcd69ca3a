"""One update of the weights: forward, backward, clip, step; and what may go wrong in it."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from nmt.config import TrainingConfig
from nmt.data.batches import Batch
from nmt.errors import NmtError
from nmt.model.translation import TranslationModel
from nmt.training.loss import alignment_loss, token_loss
from nmt.training.precision import Precision
from nmt.training.schedule import teacher_forcing


class Update(NamedTuple):
    """What an update shows.

    Attributes:
        likelihood: negative log-likelihood of its batches, summed over tokens, in nats.
        tokens: real target tokens of its batches.
        gradient_norm: length of the gradient of the loss per token, before clipping.
        skipped: it was left out, as loss or gradient was not finite.
    """

    likelihood: Tensor
    tokens: int
    gradient_norm: Tensor
    skipped: bool


class Updater:
    """Optimizer, loss scaling and the guard against numbers that are none.

    Args:
        model: whose weights to update.
        config: how.
        precision: type of the matrix products.
    """

    def __init__(self, model: TranslationModel, config: TrainingConfig, precision: Precision) -> None:
        self._model, self._config, self._precision = model, config, precision
        self._optimizer = torch.optim.AdamW(
            model.parameters(),
            lr=config.learning_rate,
            betas=(0.9, config.beta2),
            weight_decay=config.weight_decay,
            fused=True,
        )
        self._scaler = precision.scaler()
        self._skipped_in_a_row = 0

    def update(self, batches: Sequence[Batch], rate: float, step: int, total: int) -> Update:
        """One update with the gradient of the loss per real token of all batches together.

        Args:
            batches: one, or several whose gradients add up.
            rate: the learning rate.
            step: updates done before.
            total: updates planned.

        Raises:
            NmtError: when memory is too small, or loss or gradient are not finite time after time.
        """
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        tokens = sum(batch.tokens for batch in batches)
        self._optimizer.zero_grad()
        likelihood: Tensor | float = 0.0
        for batch in batches:
            try:
                likelihood = likelihood + self._backward(batch, tokens, step, total)
            except (RuntimeError, MemoryError) as error:
                if not _is_out_of_memory(error):
                    raise
                raise NmtError(_too_large(batch, step)) from error
        self._scaler.unscale_(self._optimizer)
        limit = self._config.clip_norm or float("inf")
        norm = torch.nn.utils.clip_grad_norm_(self._model.parameters(), limit, foreach=True)
        assert isinstance(likelihood, Tensor)
        skipped = not self._precision.scales and not bool((norm + likelihood).isfinite())
        if skipped:
            self._guard(step)
            return Update(torch.zeros_like(likelihood), 0, norm, True)
        self._skipped_in_a_row = 0
        self._scaler.step(self._optimizer)  # with scaling, it leaves out infinite gradients itself
        self._scaler.update()
        return Update(likelihood, tokens, norm, False)

    def state(self) -> dict[str, Any]:
        """What going on needs."""
        return {"optimizer": self._optimizer.state_dict(), "scaler": self._scaler.state_dict()}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from what `state` gave; the settings of the optimizer are those of now."""
        now = [
            {key: value for key, value in g.items() if key != "params"} for g in self._optimizer.param_groups
        ]
        self._optimizer.load_state_dict(state["optimizer"])
        for group, settings in zip(self._optimizer.param_groups, now, strict=True):
            group.update(settings)
        if state["scaler"]:  # empty if the precision was one without scaling
            self._scaler.load_state_dict(state["scaler"])

    def _backward(self, batch: Batch, tokens: int, step: int, total: int) -> Tensor:
        """Add a batch's gradient, of its loss over `tokens`; gives its likelihood, summed."""
        batch = batch.to(self._precision.device)
        with self._precision.autocast():
            logits, weights = self._forward(batch, step, total)
        loss = token_loss(logits, batch.target[batch.target_mask], self._config.label_smoothing)
        whole = loss.smoothed
        if batch.alignment is not None:
            whole = whole + self._config.guided_alignment * alignment_loss(weights, batch.alignment)
        scaled: Tensor = self._scaler.scale(whole / tokens)
        scaled.backward()  # type: ignore[no-untyped-call]
        return loss.likelihood

    def _forward(self, batch: Batch, step: int, total: int) -> tuple[Tensor, Tensor]:
        """Logits and attention, with the true previous tokens or, by chance, the model's own."""
        pairs = batch.source, batch.source_mask, batch.previous, batch.target_mask
        if self._config.teacher_forcing == 1:
            found = self._model(*pairs)
        else:
            found = self._model.scheduled_sampling(*pairs, teacher_forcing(step + 1, total, self._config))
        logits, weights = found
        return logits, weights

    def _guard(self, step: int) -> None:
        """Count an update that was left out.

        Raises:
            NmtError: when there were too many in a row.
        """
        self._skipped_in_a_row += 1
        if self._skipped_in_a_row >= self._config.max_skipped:
            raise NmtError(
                f"step {step + 1}: {self._skipped_in_a_row} updates in a row had a loss or gradient that is "
                "not finite; the last checkpoint is good: resume from it with a lower "
                "training.learning_rate or training.precision=fp32"
            )


def _is_out_of_memory(error: Exception) -> bool:
    """On a CPU torch has no error of its own for it."""
    return isinstance(error, torch.OutOfMemoryError | MemoryError) or "can't allocate memory" in str(error)


def _too_large(batch: Batch, step: int) -> str:
    B, T = batch.target.shape
    longest = max(T, batch.source.shape[1])
    return (
        f"step {step + 1}: out of memory with a batch of {B} pairs, {batch.tokens} target tokens, the "
        f"longest sentence {longest} pieces; lower training.batch_tokens (and raise training.accumulate, "
        "which keeps the size of an update), or lower data.max_words"
    )
