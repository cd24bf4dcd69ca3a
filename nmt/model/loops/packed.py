"""Packed sequences: stored step by step, as in `torch.nn.utils.rnn.PackedSequence`; the rows of a step are
adjacent.

`active` is the number of rows at each step, never increasing: the sequences are sorted by length, longest
first.

Shapes: N tokens, B sequences, n of them at a step, T steps, X any size, … any leading dimensions.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class PackedStates:
    """The states of a loop, packed, with the initial states before them: so those before a step are the first
    rows of those after the step before.

    Args:
        start: initial states, […, B, X].
        active: n of each step.

    Attributes:
        before, after: the states before and after each step, […, n, X] each: views, to be filled in order.
    """

    def __init__(self, start: Tensor, active: list[int]) -> None:
        *leading, B, X = start.shape
        self._all = start.new_empty((*leading, B + sum(active), X))
        first, *after = torch.split(self._all, [B, *active], dim=-2)
        first.copy_(start)
        rows = zip((first, *after), active, strict=False)
        self.before = [part if part.shape[-2] == n else part[..., :n, :] for part, n in rows]
        self.after = after

    @property
    def packed(self) -> Tensor:
        """The states after all steps, […, N, X]."""
        return self._all[..., self.before[0].shape[-2] :, :]

    @property
    def packed_before(self) -> Tensor:
        """The states before all steps, […, N, X]."""
        first, last = (part.shape[-2] for part in (self.before[0], self.after[-1]))
        return self._all[..., :-first, :] if first == last else torch.cat(self.before, dim=-2)


def padded(packed: Tensor, active: list[int]) -> Tensor:
    """[N, X] → [B, T, X], zero on padding."""
    B, T = active[0], len(active)
    if active[-1] == B:
        return packed.view(T, B, -1).transpose(0, 1)
    result = packed.new_zeros((T, B, packed.shape[1]))
    for t, part in enumerate(torch.split(packed, active)):
        result[t, : active[t]] = part
    return result.transpose(0, 1)


class TokenIndices(NamedTuple):
    """Where tokens are in a packed batch.

    Attributes:
        last: the last token of each sequence, int64 [B].
        mirrored: for each token the one at the same distance from the other end of its sequence, int64 [N].
    """

    last: Tensor
    mirrored: Tensor

    @staticmethod
    def of(active: list[int]) -> "TokenIndices":
        """Those of a batch, on the CPU."""
        counts, rows = torch.tensor(active), torch.arange(active[0])
        starts = counts.cumsum(0) - counts  # the first token of each step
        last = (counts.unsqueeze(1) > rows).count_nonzero(dim=0) - 1  # the last step of each row, [B]
        step = torch.arange(len(active)).repeat_interleave(counts)
        row = torch.arange(len(step)) - starts[step]
        return TokenIndices(starts[last] + rows, starts[last[row] - step] + row)
