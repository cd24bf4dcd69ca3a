"""What every encoder returns: one state per source token.

Shapes: B batch, S source length, M state size.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from nmt.model.cells import Layers


class Encoded(NamedTuple):
    """Encoder output for a batch.

    Attributes:
        states: one state per source token, [B, S, M]; zero on padding.
        mask: True at real tokens, [B, S].
        last: the final state, [B, M]. Recurrent: the state after the last token (bidirectional: the
            forward state at the last token concatenated with the backward state at the first).
            Non-recurrent: the state at the last token, end-of-sentence.
        layers: the final state of each recurrent layer, bottom to top, with the directions concatenated;
            empty if non-recurrent.
    """

    states: Tensor
    mask: Tensor
    last: Tensor
    layers: Layers = ()


def state_at_end(states: Tensor, mask: Tensor) -> Tensor:
    """The state at the last real token: [B, S, M] and [B, S] → [B, M]."""
    end = mask.sum(dim=1) - 1
    return states[torch.arange(end.shape[0], device=end.device), end]
