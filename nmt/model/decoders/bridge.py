"""The bridge: the decoder's initial state from the encoder output.

Shapes: B batch, S source length, M encoder state size, H decoder state size, L decoder layers.
"""

from torch import Tensor, nn

from nmt.config.model import ModelConfig
from nmt.model.cells import Layers, RecurrentStack
from nmt.model.encoders.encoded import Encoded
from nmt.model.linear import Linear
from nmt.model.pooling import POOLINGS, Pooling


class Bridge(nn.Module):
    """s_0 = tanh(W x + b), with x the pooled encoder states (Bahdanau et al. 2015, appendix A.2.2)."""

    def __init__(self, kind: str, state_size: int, size: int, layers: int) -> None:
        super().__init__()
        self.layers = layers
        self.pooling: Pooling = POOLINGS[kind](state_size)
        pooled_size = state_size // 2 if kind == "backward" else state_size
        self.project = Linear(pooled_size, size * layers)

    def forward(self, encoded: Encoded) -> tuple[Tensor, ...]:
        """The initial state of each decoder layer, L tensors [B, H]."""
        first: Tensor = self.project(self.pooling(encoded)).tanh()
        return first.chunk(self.layers, dim=-1)


class CopyBridge(nn.Module):
    """The decoder starts in the final states of the encoder, layer by layer; of an LSTM both h and c
    (Sutskever et al. 2014, §2; Luong et al. 2015, §2).
    """

    def forward(self, encoded: Encoded) -> Layers:
        """The initial state of each decoder layer."""
        return encoded.layers


def make_bridge(config: ModelConfig) -> Bridge | CopyBridge:
    """The bridge of a recurrent decoder."""
    if config.bridge == "copy":
        return CopyBridge()
    return Bridge(config.bridge, config.encoder.size, config.decoder.size, config.decoder.layers)


def initial_layers(bridge: Bridge | CopyBridge, recurrence: RecurrentStack, encoded: Encoded) -> Layers:
    """The initial states of a decoder's recurrent layers."""
    return bridge(encoded) if isinstance(bridge, CopyBridge) else recurrence.start(bridge(encoded))
