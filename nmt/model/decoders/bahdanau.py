"""The decoder of Bahdanau et al. (2015): attention before the recurrence.

Shapes: B batch, S source length, T target length, E embedding size, M encoder state size, H decoder state
size, K heads, N real target tokens in the batch, F feature size.
"""

import torch
from torch import Tensor, nn

from nmt.config.model import ModelConfig
from nmt.model.attention.layer import Attention, average, average_mapped, mapped_values
from nmt.model.cells import GATES, RecurrentStack
from nmt.model.decoders.bridge import initial_layers, make_bridge
from nmt.model.decoders.memory import Memory, State
from nmt.model.decoders.readout import MaxoutReadout
from nmt.model.encoders.encoded import Encoded
from nmt.model.linear import Linear
from nmt.model.loops.bahdanau_loop import BahdanauWeights, bahdanau_loop
from nmt.model.positions import TargetPositions


class BahdanauDecoder(nn.Module):
    """Attention with the previous state, then recurrence, then readout (Bahdanau et al. 2015, app. A.2.2).

    c_t = Σ_j α_tj h_j with α_t from s_{t−1};   s_t = GRU(s_{t−1}, [E y_{t−1} ; c_t]);
    t̃_t = U s_t + V E y_{t−1} + C c_t;   features t_t = max of each pair of units of t̃_t (maxout).

    The appendix has s_{t−1} in t̃_t, eq. 4 of the main text s_t. By default it is s_t, which has more
    information; `decoder.readout_state=previous` follows the appendix.
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__()
        decoder, state_size = config.decoder, config.encoder.size
        self.bridge = make_bridge(config)
        self.recurrence = RecurrentStack(
            decoder.cell, decoder.embedding, decoder.size, decoder.layers, dropout
        )
        self.attention = Attention(decoder.size, state_size, config.attention)
        self.value = Linear(state_size, GATES[decoder.cell] * decoder.size, bias=False)
        self.readout = MaxoutReadout(decoder.size + decoder.embedding + state_size, decoder.readout, dropout)
        self.readout_previous = decoder.readout_state == "previous"
        self.feature_size, self.heads = decoder.readout, config.attention.heads

    def prepare(self, encoded: Encoded) -> Memory:
        """Encoded source → memory."""
        keys = self.attention.prepare(encoded.states, encoded.mask)
        return Memory(keys, mapped_values(keys.states, self.value.weight, self.heads))

    def init_state(self, encoded: Encoded) -> State:
        """Encoded source → initial state."""
        return State(initial_layers(self.bridge, self.recurrence, encoded))

    def step(self, embedded: Tensor, state: State, memory: Memory) -> tuple[Tensor, State, Tensor]:
        """One step.

        Args:
            embedded: embeddings of the previous target tokens, [B, E].
            state: after the previous step.
            memory: from `prepare`.

        Returns:
            features [B, F], the next state, and weights [B, K, S].
        """
        after, weights = self._advance(self.recurrence.project(embedded), state, memory)
        context = average(weights, memory.keys.states).squeeze(1)  # [B, M]
        read = state if self.readout_previous else after
        return self.readout(read.layers[-1][0], embedded, context), after, weights.squeeze(2)

    def forward(
        self, embedded: Tensor, positions: TargetPositions, state: State, encoded: Encoded
    ) -> tuple[Tensor, Tensor]:
        """All steps with teacher forcing.

        Args:
            embedded: embeddings of the target shifted right, [B, T, E].
            positions: the real target tokens.
            state: the initial state.
            encoded: the encoded source.

        Returns:
            features at the real tokens [N, F], and weights [B, K, T, S].
        """
        weights = self._loop_weights()
        if weights is None:
            return self._plain_loop(embedded, positions, state, encoded)
        keys = self.attention.prepare(encoded.states, encoded.mask)
        tokens, active = positions.packed(embedded)
        start, gates = state.layers[0][0], self.recurrence.project(tokens)
        hidden_states, contexts, rows = bahdanau_loop(
            gates, start, keys.keys.squeeze(1), keys.states, keys.mask, weights, active
        )
        packed = self.readout(hidden_states, tokens, contexts)
        return positions.unpacked(packed, len(embedded)), rows.unsqueeze(1)

    def _loop_weights(self) -> BahdanauWeights | None:
        """For the hand-written loop; None: it does not exist for these settings."""
        form, recurrent = self.attention.loop_form(), self.recurrence.loop_weights()
        if form is None or recurrent is None or self.readout_previous:
            return None
        return BahdanauWeights(*recurrent, self.value.weight, *form)

    def _plain_loop(
        self, embedded: Tensor, positions: TargetPositions, state: State, encoded: Encoded
    ) -> tuple[Tensor, Tensor]:
        """`forward` for all settings, by `_advance`."""
        memory = self.prepare(encoded)
        gates = self.recurrence.project(embedded)  # [B, T, G·H]
        hidden_states, rows = [], []
        for step_gates in gates.unbind(dim=1):
            after, weights = self._advance(step_gates, state, memory)
            hidden_states.append((state if self.readout_previous else after).layers[-1][0])
            rows.append(weights)
            state = after
        all_weights = torch.cat(rows, dim=2)  # [B, K, T, S]
        contexts = average(all_weights, memory.keys.states)  # [B, T, M]
        states = torch.stack(hidden_states, dim=1)  # [B, T, H]
        return self.readout(*map(positions.select, (states, embedded, contexts))), all_weights

    def _advance(self, gates: Tensor, state: State, memory: Memory) -> tuple[State, Tensor]:
        """Embedding's gate inputs [B, G·H] and state → next state and weights [B, K, 1, S]."""
        coverage = self.attention.no_coverage(memory.keys) if state.time == 0 else state.coverage
        query = state.layers[-1][0].unsqueeze(1)
        weights = self.attention.weights(query, memory.keys, state.time, coverage)
        context_gates = average_mapped(weights, memory.values).squeeze(1)  # [B, G·H]
        layers = self.recurrence(gates + context_gates, state.layers)
        covered = None if coverage is None else coverage + weights.squeeze(2)
        return State(layers, state.time + 1, coverage=covered), weights
