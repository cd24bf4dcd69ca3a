"""The training objective of a batch: what an update differentiates, one module from tokens to loss."""

from typing import NamedTuple

from torch import Tensor, nn

from nmt.config.training import TrainingConfig
from nmt.data.batches import Batch
from nmt.model.positions import TargetPositions
from nmt.model.translation import TranslationModel
from nmt.training.chunked_loss import chunked_loss
from nmt.training.loss import alignment_loss, token_loss
from nmt.training.rdrop import PASSES, doubled


class ObjectiveSum(NamedTuple):
    """Sums over the real target tokens of a batch, in nats.

    Attributes:
        objective: cross-entropy with smoothed and soft labels plus, weighted, the divergence of R-Drop and
            guided alignment, to be differentiated.
        nll: negative log-likelihood, detached.
    """

    objective: Tensor
    nll: Tensor


class Objective(nn.Module):
    """A model and its losses, so that DistributedDataParallel and CUDA graphs see a single call.

    Args:
        model: the model to train; its parameters are all there are.
        config: label smoothing and the weights of R-Drop and guided alignment.
    """

    def __init__(self, model: TranslationModel, config: TrainingConfig) -> None:
        super().__init__()
        self.model = model
        self._label_smoothing, self._guided_alignment = config.label_smoothing, config.guided_alignment
        self._rdrop = config.rdrop

    def forward(self, batch: Batch, teacher_forcing_ratio: float) -> ObjectiveSum:
        """The sums of a batch; a target token PAD counts for nothing.

        Args:
            batch: the batch, on the model's device.
            teacher_forcing_ratio: below 1: scheduled sampling.
        """
        targets, passes = TargetPositions(*batch.positions).select(batch.target), 1
        soft = batch.soft
        if self._rdrop:
            batch, passes = doubled(batch), PASSES
        positions = TargetPositions(*batch.positions, batch.active)
        tokens = batch.source, batch.source_mask, batch.previous, positions
        if teacher_forcing_ratio < 1:
            dense, weights = self.model(*tokens, teacher_forcing_ratio, batch.source_lengths)
            loss = token_loss(dense, targets, self._label_smoothing, soft)
        else:
            logits, weights = self.model.teacher_forcing(*tokens, batch.source_lengths)
            loss = chunked_loss(logits, targets, self._label_smoothing, self._rdrop, soft)
        objective = loss.smoothed
        if batch.alignment is not None:
            guided = alignment_loss(weights, batch.alignment) / passes
            objective = objective + self._guided_alignment * guided
        return ObjectiveSum(objective, loss.nll)
