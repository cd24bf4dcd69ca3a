"""The decoder without attention: the source is encoded as a single vector.

Shapes: B batch, S source length, T target length, E embedding size, M encoder state size, H decoder
state size, N real target tokens in the batch, F feature size.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nmt.config.model import ModelConfig
from nmt.model.cells import RecurrentStack
from nmt.model.decoders.bridge import initial_layers, make_bridge
from nmt.model.decoders.memory import State
from nmt.model.decoders.readout import MaxoutReadout
from nmt.model.encoders.encoded import Encoded
from nmt.model.positions import TargetPositions


class VectorMemory(NamedTuple):
    """The encoded source as a single vector.

    Attributes:
        vector: c, [B, M].
        mask: True at real tokens, [B, S].
    """

    vector: Tensor
    mask: Tensor

    def select(self, index: Tensor) -> "VectorMemory":
        """Select batch rows by index; rows may repeat."""
        return VectorMemory(*(part.index_select(0, index) for part in self))


class VectorDecoder(nn.Module):
    """No attention: the source as a single vector c (Cho et al. 2014, §2.2; Sutskever et al. 2014).

    c is the encoder's last state; s_t = GRU(s_{t−1}, [E y_{t−1} ; c]); the readout is Bahdanau's, so the
    only difference is the missing attention. The weights returned have zero heads: [B, 0, T, S].
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__()
        decoder, state_size = config.decoder, config.encoder.size
        self.bridge = make_bridge(config)
        self.recurrence = RecurrentStack(
            decoder.cell, decoder.embedding + state_size, decoder.size, decoder.layers, dropout
        )
        self.readout = MaxoutReadout(decoder.size + decoder.embedding + state_size, decoder.readout, dropout)
        self.feature_size, self.heads = decoder.readout, 0

    def prepare(self, encoded: Encoded) -> VectorMemory:
        """Encoded source → memory."""
        return VectorMemory(encoded.last, encoded.mask)

    def init_state(self, encoded: Encoded) -> State:
        """Encoded source → initial state."""
        return State(initial_layers(self.bridge, self.recurrence, encoded))

    def step(self, embedded: Tensor, state: State, memory: VectorMemory) -> tuple[Tensor, State, Tensor]:
        """One step; arguments and results as for `BahdanauDecoder.step`, with 0 heads."""
        gates = self.recurrence.project(torch.cat((embedded, memory.vector), dim=-1))
        layers = self.recurrence(gates, state.layers)
        features = self.readout(layers[-1][0], embedded, memory.vector)
        return features, State(layers, state.time + 1), _no_weights(memory, 1).squeeze(2)

    def forward(
        self, embedded: Tensor, positions: TargetPositions, state: State, encoded: Encoded
    ) -> tuple[Tensor, Tensor]:
        """All steps with teacher forcing; as `BahdanauDecoder.forward`, with 0 heads."""
        memory = self.prepare(encoded)
        vectors = memory.vector.unsqueeze(1).expand(-1, embedded.shape[1], -1)  # [B, T, M]
        hidden_states = self.recurrence.sequence(torch.cat((embedded, vectors), dim=-1), state.layers)
        features = self.readout(*map(positions.select, (hidden_states, embedded, vectors)))
        return features, _no_weights(memory, embedded.shape[1])


def _no_weights(memory: VectorMemory, steps: int) -> Tensor:
    """[B, 0, T, S]"""
    B, S = memory.mask.shape
    return memory.vector.new_empty((B, 0, steps, S))
