"""Which target tokens of a padded batch are real.

Shapes: B batch, T target length, N real target tokens in the batch, X any size.
"""

from collections.abc import Sequence
from typing import NamedTuple

from torch import Tensor


class TargetPositions(NamedTuple):
    """The positions of the real target tokens, as indices: with a mask on a GPU, the host would wait for the
    GPU to count them.

    Attributes:
        rows, steps: of each token, [N] each.
        active: the number of rows at each step, T numbers, if the tokens are packed: step by step, and the
            rows sorted by length, longest first (see `nmt.model.loops.packed`). None: in any order.
    """

    rows: Tensor
    steps: Tensor
    active: Sequence[int] | None = None

    @staticmethod
    def of(mask: Tensor) -> "TargetPositions":
        """Those of a mask [B, T], in row-major order."""
        rows, steps = mask.nonzero(as_tuple=True)
        return TargetPositions(rows, steps)

    def packed(self, vectors: Tensor) -> tuple[Tensor, list[int]]:
        """The tokens in the order of the loops, and the number of rows at each step: only the real tokens, if
        they are packed, else all: [B, T, X] → [N, X] or [T·B, X].
        """
        if self.active is not None:
            return self.select(vectors), list(self.active)
        B, T, _ = vectors.shape
        return vectors.transpose(0, 1).flatten(0, 1), [B] * T

    def unpacked(self, vectors: Tensor, rows: int) -> Tensor:
        """From the order of `packed`, of a batch of B rows, to that of these positions: [N, X]."""
        if self.active is not None:
            return vectors
        return vectors.index_select(0, self.steps * rows + self.rows)

    def select(self, vectors: Tensor) -> Tensor:
        """[B, T, …] → [N, …]."""
        index = self.rows * vectors.shape[1] + self.steps
        return vectors.flatten(0, 1).index_select(0, index)
