"""The recurrent decoders: attention before the recurrence (Bahdanau) or after it (Luong).

Each has `step`, one step for search, and `forward`, a whole target with teacher forcing. Both compute the
same function; `forward` moves everything that does not depend on the recurrence out of the time loop: the
embeddings' part of the gates, the keys, and the readout, which is computed at real tokens only. If the
recurrence does not depend on attention, there is no loop at all.

A context enters the recurrence only through a linear map P, and the weighted average of the P h_j is P c.
So P h_j is computed once per sentence (`Memory.values`), and the loop averages those instead of
multiplying by P.

Shapes: B batch, S source length, T target length, E embedding size, M encoder state size, H decoder
state size, G gates per cell, K heads, N real target tokens in the batch, F feature size.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nmt.config.model import ModelConfig
from nmt.model.attention import Attention, Keys, average, average_mapped, mapped_values
from nmt.model.bridge import initial_layers, make_bridge
from nmt.model.encoder import Encoded
from nmt.model.positions import TargetPositions
from nmt.model.recurrent import GATES, Layers, RecurrentStack, select_layers


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
        self.value = nn.Linear(state_size, GATES[decoder.cell] * decoder.size, bias=False)
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
        self, embedded: Tensor, mask: TargetPositions, state: State, memory: Memory
    ) -> tuple[Tensor, Tensor]:
        """All steps with teacher forcing.

        Args:
            embedded: embeddings of the target shifted right, [B, T, E].
            mask: the real target tokens.
            state: the initial state.
            memory: from `prepare`.

        Returns:
            features at the real tokens [N, F] (in row-major order), and weights [B, K, T, S].
        """
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
        return self.readout(states[mask], embedded[mask], contexts[mask]), all_weights

    def _advance(self, gates: Tensor, state: State, memory: Memory) -> tuple[State, Tensor]:
        """Embedding's gate inputs [B, G·H] and state → next state and weights [B, K, 1, S]."""
        coverage = self.attention.no_coverage(memory.keys) if state.time == 0 else state.coverage
        query = state.layers[-1][0].unsqueeze(1)
        weights = self.attention.weights(query, memory.keys, state.time, coverage)
        context_gates = average_mapped(weights, memory.values).squeeze(1)  # [B, G·H]
        layers = self.recurrence(gates + context_gates, state.layers)
        covered = None if coverage is None else coverage + weights.squeeze(2)
        return State(layers, state.time + 1, coverage=covered), weights


class MaxoutReadout(nn.Module):
    """t̃ = U s + V E y + C c;   t = max of each pair of units (Bahdanau et al. 2015, appendix A.2.2)."""

    def __init__(self, input_size: int, units: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.units = units
        self.linear = nn.Linear(input_size, 2 * self.units)
        self.dropout = nn.Dropout(dropout)

    def forward(self, hidden: Tensor, embedded: Tensor, context: Tensor) -> Tensor:
        """States [N, H], embeddings [N, E] and contexts [N, M] → features [N, F]."""
        summed = self.linear(torch.cat((hidden, embedded, context), dim=-1))  # [N, 2F]
        features: Tensor = self.dropout(summed.unflatten(-1, (self.units, 2)).amax(dim=-1))
        return features


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
        self.value = nn.Linear(state_size, size, bias=False)  # W_c's part for c_t
        self.combine = nn.Linear(size, size, bias=decoder.bias)  # W_c's part for h_t
        self.feed: nn.Linear | None = None
        if decoder.input_feeding:
            self.feed = nn.Linear(size, GATES[decoder.cell] * size, bias=False)
        self.dropout = nn.Dropout(dropout)
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
        self, embedded: Tensor, mask: TargetPositions, state: State, memory: Memory
    ) -> tuple[Tensor, Tensor]:
        """All steps with teacher forcing; arguments and results as for `BahdanauDecoder.forward`."""
        if self.feed is None and self.attention.coverage is None:
            hidden_states = self.recurrence.sequence(embedded, state.layers)
            weights = self.attention.weights(hidden_states, memory.keys, state.time)
            return self.dropout(self._attentional(hidden_states, weights, memory)[mask]), weights
        gates = self.recurrence.project(embedded)  # [B, T, G·H]
        vectors, rows = [], []
        for step_gates in gates.unbind(dim=1):
            features, state, row = self._advance(step_gates, state, memory)
            vectors.append(features)
            rows.append(row)
        return torch.stack(vectors, dim=1)[mask], torch.cat(rows, dim=2)

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
