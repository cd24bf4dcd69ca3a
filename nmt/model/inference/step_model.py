"""What search needs from a model in PyTorch: whatever has these methods can be searched, sampled from and
aligned, through `nmt.decoding.torch_model`.

Shapes: B sentences, N rows (one per hypothesis), S source length, T target length, K heads, V vocabulary.
Masks are True at real tokens.
"""

from typing import Protocol, TypeVar

import torch
from torch import Tensor

from nmt.model.decoders.decoder import MemoryT, Selectable, StateT

MemoryT_contra = TypeVar("MemoryT_contra", bound=Selectable, contravariant=True)


class StepModel(Protocol[StateT, MemoryT_contra]):
    """One step of a decoder, in evaluation mode."""

    def step(self, tokens: Tensor, state: StateT, memory: MemoryT_contra) -> tuple[Tensor, StateT, Tensor]:
        """Process one token per row and predict the next.

        Args:
            tokens: int64 [N], the previous tokens.
            state: decoder state, N rows.
            memory: encoded source, N rows.

        Returns:
            log-probabilities [N, V], none above 0, a new tensor that the caller may change; the new state;
            attention weights [N, K, S].
        """
        ...


class InferenceModel(StepModel[StateT, MemoryT], Protocol[StateT, MemoryT]):
    """A model that a `Translator` can use. Its methods change nothing in it, so that several threads can call
    them at the same time.
    """

    @property
    def device(self) -> torch.device:
        """The device of all tensors given to its methods."""
        ...

    @property
    def heads(self) -> int:
        """K, the number of attention heads; 0: it has no attention."""
        ...

    def encode(self, source: Tensor, mask: Tensor) -> tuple[StateT, MemoryT]:
        """Encode sentences.

        Args:
            source: int64 [B, S]; each sentence ends with end-of-sentence.
            mask: bool [B, S].

        Returns:
            the decoder's initial state and the encoded source, B rows each.
        """
        ...

    def score(
        self, source: Tensor, source_mask: Tensor, previous: Tensor, target: Tensor, target_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Forced decoding: score given translations.

        Args:
            source, source_mask: as for `encode`.
            previous: int64 [B, T], the target shifted right, starting with begin-of-sentence.
            target: int64 [B, T]; each sentence ends with end-of-sentence.
            target_mask: bool [B, T].

        Returns:
            log-probability of each target token, float32 [B, T], of any value on padding; and attention
            weights [B, K, T, S].
        """
        ...
