"""The decoders of the two papers: attention before the recurrence (Bahdanau) or after it (Luong).

Both offer one step (for search) and `forward` over a whole target (teacher forcing). They compute the
same; `forward` takes out of the time loop all that does not depend on the recurrence: the embeddings'
part of the gates, the keys, and the readout, the last over real tokens only.

A context enters a recurrence only through a linear map P, and P c_t = Σ_j α_tj (P h_j). So P h_j is
computed once per sentence (`Memory.values`), and the loop averages those instead of multiplying by P.

Shapes: B batch, S source length, T target length, E embedding size, M encoder state size, H decoder
state size, N real target tokens in the batch, F feature size.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from nmt.config import AttentionConfig, DecoderConfig
from nmt.model.attention import Attention, Keys
from nmt.model.recurrent import RecurrentStack


class Memory(NamedTuple):
    """A source sentence as the decoder sees it, prepared once.

    Attributes:
        keys: states, keys and mask of the attention.
        values: the states as they enter the recurrence, [B, S, 3H] (Bahdanau) or [B, S, H] (Luong).
    """

    keys: Keys
    values: Tensor

    def select(self, index: Tensor) -> "Memory":
        """The rows `index` of the batch, in that order; rows may repeat."""
        return Memory(self.keys.select(index), self.values.index_select(0, index))


class State(NamedTuple):
    """A decoder's state: a value, nothing is kept on the modules.

    Attributes:
        hidden: one state per layer, each [B, H].
        feed: the attentional vector of the step before, [B, H] (Luong with input feeding only).
    """

    hidden: tuple[Tensor, ...]
    feed: Tensor | None = None

    def select(self, index: Tensor) -> "State":
        """The rows `index` of the batch, in that order; rows may repeat."""
        feed = None if self.feed is None else self.feed.index_select(0, index)
        return State(tuple(layer.index_select(0, index) for layer in self.hidden), feed)


class BahdanauDecoder(nn.Module):
    """Attend with the previous state, then recur, then read out (Bahdanau et al. 2015, appendix A.2.2).

    c_t = Σ_j α_tj h_j with α_t from s_{t−1};   s_t = GRU(s_{t−1}, [E y_{t−1} ; c_t]);
    t̃_t = U s_t + V E y_{t−1} + C c_t;   features t_t = max of each pair of units of t̃_t (maxout).

    The appendix writes s_{t−1} in t̃_t, eq. 4 of the text s_t; we follow the latter, which knows more.
    """

    def __init__(
        self, state_size: int, config: DecoderConfig, attention: AttentionConfig, dropout: float
    ) -> None:
        super().__init__()
        self.recurrence = RecurrentStack(config.embedding, config.size, config.layers, dropout)
        self.attention = Attention(config.size, state_size, attention)
        self.value = nn.Linear(state_size, 3 * config.size, bias=False)
        self.readout = nn.Linear(config.size + config.embedding + state_size, 2 * config.readout)
        self.dropout = nn.Dropout(dropout)
        self.feature_size = config.readout

    def prepare(self, states: Tensor, mask: Tensor) -> Memory:
        """Encoder states [B, S, M] and their mask [B, S] → memory."""
        return Memory(self.attention.prepare(states, mask), self.value(states))

    def init_state(self, hidden: tuple[Tensor, ...]) -> State:
        """The bridge's states, one [B, H] per layer → the state before the first step."""
        return State(hidden)

    def step(self, embedded: Tensor, state: State, memory: Memory) -> tuple[Tensor, State, Tensor]:
        """One step.

        Args:
            embedded: the previous target tokens' embeddings, [B, E].
            state: after the step before.
            memory: what `prepare` gave.

        Returns:
            features [B, F], the next state, and weights [B, S].
        """
        hidden, weights = self._advance(self.recurrence.project(embedded), state.hidden, memory)
        context = torch.bmm(weights, memory.keys.states).squeeze(1)  # [B, M]
        return self._features(hidden[-1], embedded, context), State(hidden), weights.squeeze(1)

    def forward(self, embedded: Tensor, mask: Tensor, state: State, memory: Memory) -> tuple[Tensor, Tensor]:
        """All steps, with the true previous tokens.

        Args:
            embedded: embeddings of the target shifted right, [B, T, E].
            mask: True at real target tokens, [B, T].
            state: before the first step.
            memory: what `prepare` gave.

        Returns:
            features at the real tokens [N, F] (row by row of the batch), and weights [B, T, S].
        """
        gates = self.recurrence.project(embedded)  # [B, T, 3H]
        hidden = state.hidden
        tops, rows = [], []
        for step_gates in gates.unbind(dim=1):
            hidden, weights = self._advance(step_gates, hidden, memory)
            tops.append(hidden[-1])
            rows.append(weights)
        all_weights = torch.cat(rows, dim=1)  # [B, T, S]
        contexts = torch.bmm(all_weights, memory.keys.states)  # [B, T, M]
        states = torch.stack(tops, dim=1)  # [B, T, H]
        return self._features(states[mask], embedded[mask], contexts[mask]), all_weights

    def _advance(
        self, gates: Tensor, hidden: tuple[Tensor, ...], memory: Memory
    ) -> tuple[tuple[Tensor, ...], Tensor]:
        """Embedding's gates [B, 3H] and states → next states and weights [B, 1, S]."""
        weights = self.attention.weights(hidden[-1].unsqueeze(1), memory.keys)
        context_gates = torch.bmm(weights, memory.values).squeeze(1)  # [B, 3H]
        return self.recurrence(gates + context_gates, hidden), weights

    def _features(self, hidden: Tensor, embedded: Tensor, context: Tensor) -> Tensor:
        """Maxout readout of states [N, H], embeddings [N, E] and contexts [N, M] → [N, F]."""
        summed = self.readout(torch.cat((hidden, embedded, context), dim=-1))  # [N, 2F]
        features: Tensor = self.dropout(summed.unflatten(-1, (self.feature_size, 2)).amax(dim=-1))
        return features


class LuongDecoder(nn.Module):
    """Recur, then attend with the new state (Luong et al. 2015, §3, eq. 5; input feeding: §3.3).

    h_t = GRU(h_{t−1}, [E y_{t−1} ; h̃_{t−1}]);   c_t = Σ_j α_tj h̄_j with α_t from h_t;
    features h̃_t = tanh(W_c [c_t ; h_t]). Without input feeding h̃_{t−1} is left out, and attention
    needs no loop.
    """

    def __init__(
        self, state_size: int, config: DecoderConfig, attention: AttentionConfig, dropout: float
    ) -> None:
        super().__init__()
        self.recurrence = RecurrentStack(config.embedding, config.size, config.layers, dropout)
        self.attention = Attention(config.size, state_size, attention)
        self.value = nn.Linear(state_size, config.size, bias=False)  # W_c's part for c_t
        self.combine = nn.Linear(config.size, config.size)  # W_c's part for h_t
        self.feed = nn.Linear(config.size, 3 * config.size, bias=False) if config.input_feeding else None
        self.dropout = nn.Dropout(dropout)
        self.feature_size = config.size

    def prepare(self, states: Tensor, mask: Tensor) -> Memory:
        """Encoder states [B, S, M] and their mask [B, S] → memory."""
        return Memory(self.attention.prepare(states, mask), self.value(states))

    def init_state(self, hidden: tuple[Tensor, ...]) -> State:
        """The bridge's states, one [B, H] per layer → the state before the first step."""
        return State(hidden, None if self.feed is None else torch.zeros_like(hidden[-1]))

    def step(self, embedded: Tensor, state: State, memory: Memory) -> tuple[Tensor, State, Tensor]:
        """One step; arguments and results as `BahdanauDecoder.step`."""
        hidden = self._recur(self.recurrence.project(embedded), state)
        attentional, weights = self._attend(hidden[-1].unsqueeze(1), memory)
        features = attentional.squeeze(1)
        next_state = State(hidden, None if self.feed is None else features)
        return self.dropout(features), next_state, weights.squeeze(1)

    def forward(self, embedded: Tensor, mask: Tensor, state: State, memory: Memory) -> tuple[Tensor, Tensor]:
        """All steps, with the true previous tokens; arguments and results as `BahdanauDecoder.forward`."""
        gates = self.recurrence.project(embedded)  # [B, T, 3H]
        if self.feed is None:
            tops = []
            for step_gates in gates.unbind(dim=1):
                state = State(self._recur(step_gates, state))
                tops.append(state.hidden[-1])
            attentional, weights = self._attend(torch.stack(tops, dim=1), memory)
        else:
            vectors, rows = [], []
            for step_gates in gates.unbind(dim=1):
                hidden = self._recur(step_gates, state)
                vector, row = self._attend(hidden[-1].unsqueeze(1), memory)
                state = State(hidden, vector.squeeze(1))
                vectors.append(vector)
                rows.append(row)
            attentional, weights = torch.cat(vectors, dim=1), torch.cat(rows, dim=1)
        return self.dropout(attentional[mask]), weights

    def _recur(self, gates: Tensor, state: State) -> tuple[Tensor, ...]:
        """Embedding's gates [B, 3H] and state → next states, one [B, H] per layer."""
        if self.feed is not None:
            assert state.feed is not None
            gates = gates + self.feed(self.dropout(state.feed))
        hidden: tuple[Tensor, ...] = self.recurrence(gates, state.hidden)
        return hidden

    def _attend(self, hidden: Tensor, memory: Memory) -> tuple[Tensor, Tensor]:
        """States [B, T, H] → attentional vectors h̃ [B, T, H] and weights [B, T, S]."""
        weights = self.attention.weights(hidden, memory.keys)
        context_part = torch.bmm(weights, memory.values)  # W_c's part for c_t: [B, T, H]
        return (context_part + self.combine(hidden)).tanh(), weights


Decoder = BahdanauDecoder | LuongDecoder
DECODERS: dict[str, type[Decoder]] = {"bahdanau": BahdanauDecoder, "luong": LuongDecoder}
