"""An ensemble: several models that search one translation together.

The probability of the next token is the mean of the models' probabilities,

    log p(y) = log (1/M) Σₘ pₘ(y),

so the ensemble is a distribution as well, with log-probabilities that are none above 0, and search needs
nothing else of it. Each model keeps its own encoder, state and memory of the source; the models may be of any
kinds.

Shapes: M models, B sentences, b of them active, N rows (one per hypothesis), S source length, T target
length, K heads, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, cast

import torch
from torch import Tensor

from nmt.model.decoders.decoder import Selectable, StateT
from nmt.model.inference.layout import Layout
from nmt.model.inference.search_memory import SearchMemory
from nmt.model.inference.search_state import SearchState
from nmt.model.inference.step_model import InferenceModel

Member = InferenceModel[SearchState[Selectable], SearchMemory]
"""A model of an ensemble, such as a `PreparedModel`."""


@dataclass(frozen=True)
class OfMembers(Generic[StateT]):
    """The states, or the memories, of all models."""

    members: tuple[StateT, ...]

    def select(self, index: Tensor) -> "OfMembers[StateT]":
        """Select rows of each by index; rows may repeat."""
        return OfMembers(tuple(member.select(index) for member in self.members))


class Ensemble:
    """Several models as one, with the interface of each.

    Attention is the mean over the models that have any, of the mean over the heads of each, as the heads of
    one model do not correspond to those of another: K is 1, or 0 if no model has attention.

    Args:
        models: at least one, on one device and with the same tokenizers.
    """

    def __init__(self, models: Sequence[Member]) -> None:
        self._models = tuple(models)
        self.device = models[0].device
        self.heads = int(any(model.heads for model in models))

    def encode(self, source: Tensor, mask: Tensor) -> tuple[OfMembers[SearchState[Selectable]], SearchMemory]:
        """Encode sentences [B, S] with every model; as `InferenceModel.encode`."""
        found = [model.encode(source, mask) for model in self._models]
        memories = OfMembers(tuple(memory for _, memory in found))
        states = OfMembers(tuple(state for state, _ in found))
        return states, SearchMemory(memories, None, Layout(len(source)))

    def step(
        self, tokens: Tensor, state: OfMembers[SearchState[Selectable]], memory: SearchMemory
    ) -> tuple[Tensor, OfMembers[SearchState[Selectable]], Tensor]:
        """One step of every model, with the rows of `memory.layout`; as `InferenceModel.step`."""
        memories = cast(OfMembers[SearchMemory], memory.source).members
        found = [
            model.step(tokens, own, of_source.arrange(None, memory.layout))
            for model, own, of_source in zip(self._models, state.members, memories, strict=True)
        ]
        predicted = _log_mean([one for one, _, _ in found])
        after = OfMembers(tuple(after for _, after, _ in found))
        return predicted, after, self._mean_attention([weights for _, _, weights in found])

    def score(
        self, source: Tensor, source_mask: Tensor, previous: Tensor, target: Tensor, target_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Forced decoding with every model; as `InferenceModel.score`."""
        found = [model.score(source, source_mask, previous, target, target_mask) for model in self._models]
        scores, weights = zip(*found, strict=True)
        return _log_mean(scores), self._mean_attention(weights)

    def _mean_attention(self, weights: Sequence[Tensor]) -> Tensor:
        """Weights [N, K, …] of each model, where K may differ → [N, 1, …], or [N, 0, …]."""
        attending = [
            own.mean(dim=1, keepdim=True)
            for model, own in zip(self._models, weights, strict=True)
            if model.heads
        ]
        return torch.stack(attending).mean(dim=0) if attending else weights[0]


def _log_mean(log_probabilities: Sequence[Tensor]) -> Tensor:
    """The logarithm of the mean of probabilities, given as logarithms, of any but the same shape. Rounding
    does not lift it above 0, on which the bound of beam search relies.

    With the largest of them, h: h + log (1/M) Σₘ exp(log pₘ − h). `torch.logsumexp` takes twice as long.
    """
    highest = log_probabilities[0]
    for one in log_probabilities[1:]:
        highest = torch.maximum(highest, one)
    highest = highest.clamp(min=torch.finfo(highest.dtype).min)  # finite, also where all are −∞
    total = torch.zeros_like(highest)
    for one in log_probabilities:
        total += (one - highest).exp_()
    return total.div_(len(log_probabilities)).log_().add_(highest).clamp_(max=0.0)
