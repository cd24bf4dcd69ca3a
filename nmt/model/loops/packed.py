"""Packed sequences: stored step by step, as in `torch.nn.utils.rnn.PackedSequence`; the rows of a step are
adjacent.

`active` is the number of rows at each step, never increasing: the sequences are sorted by length, longest
first.

Shapes: N tokens, B sequences, T steps, X any size.
"""

from collections.abc import Iterator, Sequence

from torch import Tensor


def steps(active: Sequence[int], reverse: bool = False) -> Iterator[slice]:
    """The tokens of each step, in order or in reverse order."""
    end = sum(active) if reverse else 0
    for n in reversed(active) if reverse else active:
        start = end - n if reverse else end
        yield slice(start, start + n)
        end = start if reverse else start + n


def padded(packed: Tensor, active: Sequence[int]) -> Tensor:
    """[N, X] → [B, T, X], zero on padding."""
    B, T = active[0], len(active)
    if active[-1] == B:
        return packed.view(T, B, -1).transpose(0, 1)
    result = packed.new_zeros((T, B, packed.shape[1]))
    for t, rows in enumerate(steps(active)):
        result[t, : active[t]] = packed[rows]
    return result.transpose(0, 1)
