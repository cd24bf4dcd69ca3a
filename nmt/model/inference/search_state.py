"""A decoder state during search: rows are selected only when the next step needs them.

Shapes: P hypotheses of the previous step, D distinct parents of the N rows of the next step.
"""

from dataclasses import dataclass
from typing import Generic

import torch
from torch import Tensor

from nmt.model.decoders.decoder import StateT


@dataclass(frozen=True)
class SearchState(Generic[StateT]):
    """The state of the previous step, and which of its rows the hypotheses extend."""

    state: StateT
    """P rows."""
    parents: Tensor | None = None
    """int64 [N]; None: all rows, in order."""

    def select(self, index: Tensor) -> "SearchState[StateT]":
        """Select rows by index; rows may repeat."""
        return SearchState(self.state, index if self.parents is None else self.parents[index])

    def selected(self) -> StateT:
        """The state of each row, N rows."""
        return self.state if self.parents is None else self.state.select(self.parents)

    def distinct(self) -> "tuple[StateT, Siblings]":
        """The state of each distinct parent, D rows, and the rows that have it.

        About 40 % of the hypotheses of a beam have a parent in common with a better one, and what depends on
        the parent alone need not be computed again. On a GPU, where counting them would be a synchronisation,
        all count as distinct.
        """
        if self.parents is None or self.parents.device.type != "cpu":
            return self.selected(), Siblings(None)
        distinct, inverse = torch.unique(self.parents, return_inverse=True)
        return self.state.select(distinct), Siblings(inverse)


@dataclass(frozen=True)
class Siblings:
    """Which distinct parent each row has, int64 [N]; None: row n has parent n."""

    parents: Tensor | None

    def spread(self, values: Tensor) -> Tensor:
        """What each parent has, [D, …] → [N, …]."""
        return values if self.parents is None else values.index_select(0, self.parents)
