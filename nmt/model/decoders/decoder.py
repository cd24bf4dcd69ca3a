"""What the model needs from a decoder: the interface that every decoder has, with types of its own for its
state and its memory of the source.

Shapes: B batch, S source length, T target length, E embedding size, K heads, N real target tokens in the
batch, F feature size.
"""

from typing import Protocol, Self, TypeVar

from torch import Tensor

from nmt.model.encoders.encoded import Encoded
from nmt.model.positions import TargetPositions


class Selectable(Protocol):
    """A decoder state or an encoder memory: an immutable value with a batch dimension."""

    def select(self, index: Tensor) -> Self:
        """Select batch rows by `index` (int64 [M]); rows may repeat."""
        ...


StateT = TypeVar("StateT", bound=Selectable)
MemoryT = TypeVar("MemoryT", bound=Selectable)


class Decoder(Protocol[StateT, MemoryT]):
    """A decoder: one step for search, and an entire target with teacher forcing, of the same function.

    Attributes:
        feature_size: F.
        heads: K; 0 without attention.
    """

    feature_size: int
    heads: int

    def prepare(self, encoded: Encoded) -> MemoryT:
        """Encoded source → memory, computed once per sentence."""
        ...

    def init_state(self, encoded: Encoded) -> StateT:
        """Encoded source → initial state."""
        ...

    def step(self, embedded: Tensor, state: StateT, memory: MemoryT) -> tuple[Tensor, StateT, Tensor]:
        """One step: embeddings of the previous tokens [B, E] → features [B, F], the next state, and attention
        weights [B, K, S].
        """
        ...

    def forward(
        self, embedded: Tensor, positions: TargetPositions, state: StateT, encoded: Encoded
    ) -> tuple[Tensor, Tensor]:
        """All steps: embeddings of the target shifted right [B, T, E], the positions of real target
        tokens, the initial state and the encoded source → features at the real tokens [N, F], and attention
        weights [B, K, T, S].
        """
        ...

    def __call__(
        self, embedded: Tensor, positions: TargetPositions, state: StateT, encoded: Encoded
    ) -> tuple[Tensor, Tensor]:
        """`forward`, as with every PyTorch module."""
        ...
