"""The decoder of Luong et al. (2015): attention after the recurrence.

Shapes: B batch, S source length, T target length, E embedding size, M encoder state size, H decoder state
size, K heads, N real target tokens in the batch, F feature size.
"""

import torch
from torch import Tensor, nn

from nmt.config.model import ModelConfig
from nmt.model.attention.layer import Attention, average_mapped, mapped_values
from nmt.model.cells import GATES, RecurrentStack
from nmt.model.decoders.bridge import initial_layers, make_bridge
from nmt.model.decoders.memory import Memory, State
from nmt.model.dropout import Dropout, noise
from nmt.model.encoders.encoded import Encoded
from nmt.model.linear import Linear
from nmt.model.loops.luong_loop import LuongWeights, luong_loop
from nmt.model.positions import TargetPositions


class LuongDecoder(nn.Module):
    """Recurrence, then attention with the new state (Luong et al. 2015, §3, eq. 5; input feeding: §3.3).

    h_t = GRU(h_{t−1}, [E y_{t−1} ; h̃_{t−1}]);   c_t = Σ_j α_tj h̄_j with α_t from h_t;
    features h̃_t = tanh(W_c [c_t ; h_t]). Without input feeding h̃_{t−1} is omitted, and there is no
    time loop unless coverage requires one.
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__()
        decoder, state_size, size = config.decoder, config.encoder.size, config.decoder.size
        self.bridge = make_bridge(config)
        self.recurrence = RecurrentStack(decoder.cell, decoder.embedding, size, decoder.layers, dropout)
        self.attention = Attention(size, state_size, config.attention)
        self.value = Linear(state_size, size, bias=False)  # W_c's columns for c_t
        self.combine = Linear(size, size, bias=decoder.bias)  # W_c's columns for h_t
        self.feed: nn.Linear | None = None
        if decoder.input_feeding:
            self.feed = Linear(size, GATES[decoder.cell] * size, bias=False)
        self.dropout = Dropout(dropout)
        self.feature_size, self.heads = size, config.attention.heads

    def prepare(self, encoded: Encoded) -> Memory:
        """Encoded source → memory."""
        keys = self.attention.prepare(encoded.states, encoded.mask)
        return Memory(keys, mapped_values(keys.states, self.value.weight, self.heads))

    def init_state(self, encoded: Encoded) -> State:
        """Encoded source → initial state."""
        layers = initial_layers(self.bridge, self.recurrence, encoded)
        return State(layers, feed=None if self.feed is None else torch.zeros_like(layers[-1][0]))

    def step(self, embedded: Tensor, state: State, memory: Memory) -> tuple[Tensor, State, Tensor]:
        """One step; arguments and results as for `BahdanauDecoder.step`."""
        features, state, weights = self._advance(self.recurrence.project(embedded), state, memory)
        return features, state, weights.squeeze(2)

    def forward(
        self, embedded: Tensor, positions: TargetPositions, state: State, encoded: Encoded
    ) -> tuple[Tensor, Tensor]:
        """All steps with teacher forcing; arguments and results as for `BahdanauDecoder.forward`."""
        memory, weights = self.prepare(encoded), self._loop_weights()
        if weights is not None:
            tokens, active = positions.packed(embedded)
            p = self.dropout.p if self.training else 0.0
            shape = (len(tokens), self.feature_size)
            keys, gates, start = memory.keys, self.recurrence.project(tokens), state.layers[0][0]
            packed, rows = luong_loop(
                gates, start, keys.keys.squeeze(1), memory.values, keys.mask,
                noise(tokens.new_empty(shape), p) if p else None, weights, active,
            )  # fmt: skip
            return positions.unpacked(packed, len(embedded)), rows.unsqueeze(1)
        if self.feed is None and self.attention.coverage is None:
            hidden_states = self.recurrence.sequence(embedded, state.layers)
            all_weights = self.attention.weights(hidden_states, memory.keys, state.time)
            vectors = self._attentional(hidden_states, all_weights, memory)
            return self.dropout(positions.select(vectors)), all_weights
        gates = self.recurrence.project(embedded)  # [B, T, G·H]
        outputs, row_weights = [], []
        for step_gates in gates.unbind(dim=1):
            features, state, row = self._advance(step_gates, state, memory)
            outputs.append(features)
            row_weights.append(row)
        return positions.select(torch.stack(outputs, dim=1)), torch.cat(row_weights, dim=2)

    def _loop_weights(self) -> LuongWeights | None:
        """For the hand-written loop; None: without input feeding, or it does not exist for these settings."""
        form, recurrent = self.attention.loop_form(), self.recurrence.loop_weights()
        if form is None or recurrent is None or self.feed is None:
            return None
        return LuongWeights(*recurrent, self.feed.weight, self.combine.weight, self.combine.bias, *form)

    def _advance(self, gates: Tensor, state: State, memory: Memory) -> tuple[Tensor, State, Tensor]:
        """Embedding's gate inputs [B, G·H], state → features [B, H], next state, weights [B, K, 1, S]."""
        if self.feed is not None:
            assert state.feed is not None
            gates = gates + self.feed(state.feed)
        layers = self.recurrence(gates, state.layers)
        coverage = self.attention.no_coverage(memory.keys) if state.time == 0 else state.coverage
        query = layers[-1][0].unsqueeze(1)  # [B, 1, H]
        weights = self.attention.weights(query, memory.keys, state.time, coverage)
        features = self.dropout(self._attentional(query, weights, memory)).squeeze(1)
        covered = None if coverage is None else coverage + weights.squeeze(2)
        feed = None if self.feed is None else features
        return features, State(layers, state.time + 1, feed, covered), weights

    def _attentional(self, hidden: Tensor, weights: Tensor, memory: Memory) -> Tensor:
        """h̃ = tanh(W_c [c ; h]): states [B, T, H] and weights [B, K, T, S] → [B, T, H]."""
        combined: Tensor = average_mapped(weights, memory.values) + self.combine(hidden)
        return combined.tanh()
