"""State and memory of the recurrent decoders: values with a batch dimension.

Shapes: B batch, S source length, H decoder state size, K heads, X size of the mapped context.
"""

from typing import NamedTuple

from torch import Tensor

from nmt.model.attention.layer import Keys
from nmt.model.cells import Layers, select_layers


class Memory(NamedTuple):
    """The encoded source, prepared once per sentence for the decoder.

    Attributes:
        keys: states, keys and mask of the attention.
        values: the states projected by P, [B, K·S, G·H] (Bahdanau) or [B, K·S, H] (Luong).
    """

    keys: Keys
    values: Tensor

    def select(self, index: Tensor) -> "Memory":
        """Select batch rows by index; rows may repeat."""
        return Memory(self.keys.select(index), self.values.index_select(0, index))


class State(NamedTuple):
    """A decoder's state: an immutable value, the modules hold no state.

    Attributes:
        layers: the states of the recurrent layers.
        time: number of steps taken, the same for all rows.
        feed: the attentional vector of the previous step, [B, H] (Luong with input feeding only).
        coverage: attention each source token has received so far, [B, K, S] (with coverage only).
    """

    layers: Layers
    time: int = 0
    feed: Tensor | None = None
    coverage: Tensor | None = None

    def select(self, index: Tensor) -> "State":
        """Select batch rows by index; rows may repeat."""
        feed, coverage = (
            None if part is None else part.index_select(0, index) for part in (self.feed, self.coverage)
        )
        return State(select_layers(self.layers, index), self.time, feed, coverage)
