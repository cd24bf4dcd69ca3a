"""The features of the target tokens of given pairs, by teacher forcing, and their principal components.

Shapes: P pairs, M target tokens of all of them, end-of-sentence included, B pairs of a batch, N target tokens
of a batch, F feature size, D dimensions of a key.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.data.grouping import padded, split_by_tokens
from nmt.data.ragged import Ragged
from nmt.data.tokenizer import BOS, EOS
from nmt.model.inference.prepared import PreparedModel

_BATCH_TOKENS = 4096
_SAMPLE = 65_536  # tokens, of which the principal components are computed


class Pairs(NamedTuple):
    """Tokenised pairs, without special tokens; P each."""

    sources: Ragged
    targets: Ragged

    @property
    def starts(self) -> NDArray[np.int64]:
        """[P + 1], the first target token of each pair among the M."""
        starts: NDArray[np.int64] = self.targets.offsets + np.arange(len(self.targets) + 1)
        return starts

    def every(self, step: int) -> NDArray[np.int64]:
        """The numbers of every `step`-th pair."""
        return np.arange(0, len(self.targets), step)


class Reduction(NamedTuple):
    """Features → keys: (features − mean) · componentsᵀ.

    Attributes:
        mean: [F].
        components: [D, F]; the first D principal components, divided by the standard deviation of the
            features (the root of the sum of all variances), so that the mean squared length of a key is at
            most 1 in every model.
        kept: the part of the variance that the keys keep, 0 to 1.
    """

    mean: Tensor
    components: Tensor
    kept: float


class Features(NamedTuple):
    """Features of a batch.

    Attributes:
        rows: the place of each token among the M of all pairs, [N].
        values: [N, F].
    """

    rows: NDArray[np.int64]
    values: Tensor


@torch.inference_mode()
def features(model: PreparedModel, pairs: Pairs, chosen: NDArray[np.int64]) -> Iterator[Features]:
    """The features of the target tokens of some pairs, in batches of similar lengths: what the output layers
    get at the step that predicts the token.

    Args:
        model: the model.
        pairs: tokenised.
        chosen: their numbers.
    """
    lengths = np.maximum(pairs.sources.lengths[chosen], pairs.targets.lengths[chosen]) + 1
    starts = pairs.starts
    order = np.argsort(-lengths, kind="stable")
    for batch in split_by_tokens(order, lengths, _BATCH_TOKENS):
        numbers = chosen[batch]
        source, source_mask = padded(*pairs.sources.take(numbers), last=EOS)
        previous, target_mask = padded(*pairs.targets.take(numbers), first=BOS)
        given = (
            torch.from_numpy(part).to(model.device) for part in (source, source_mask, previous, target_mask)
        )
        values, _ = model.forced_inputs(*given)
        counts = target_mask.sum(axis=1)
        rows = np.repeat(starts[numbers] - (np.cumsum(counts) - counts), counts) + np.arange(counts.sum())
        yield Features(rows, values.float())


@torch.inference_mode()
def principal_components(model: PreparedModel, pairs: Pairs, dimension: int) -> Reduction:
    """The principal components of the features (Pearson 1901), of a sample of the pairs.

    Args:
        model: the model.
        pairs: tokenised.
        dimension: D, if the features have as many.
    """
    step, F, count = max(1, int(pairs.starts[-1]) // _SAMPLE), model.input_size, 0
    total, moment = torch.zeros(F, dtype=torch.float64), torch.zeros(F, F, dtype=torch.float64)
    for batch in features(model, pairs, pairs.every(step)):
        values = batch.values.cpu().double()
        total, moment, count = total + values.sum(dim=0), moment + values.t() @ values, count + len(values)
    mean, device = total / count, model.device
    variances, vectors = torch.linalg.eigh(moment / count - torch.outer(mean, mean))
    dimension = min(dimension, len(mean))
    components = vectors.flip(1)[:, :dimension].t()  # the largest first
    largest = components.gather(1, components.abs().argmax(dim=1, keepdim=True))
    components = components * largest.sign()  # the sign of an eigenvector is arbitrary
    every = variances.clamp(min=0).sum()
    kept = float(variances.flip(0)[:dimension].clamp(min=0).sum() / every) if every else 1.0
    scale = every.sqrt() if every else torch.ones_like(every)
    return Reduction(mean.float().to(device), (components / scale).float().to(device), kept)
