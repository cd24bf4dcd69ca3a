"""One step of the recurrent decoders during search: the functions of `step` in `nmt.model.decoders`, with
what depends on the previous token alone in a table, and what depends on the source alone computed once per
sentence.

Shapes: b sentences, S source length, N rows (one per hypothesis), D distinct parents of them, V target
vocabulary, E embedding size, M encoder state size, G·H gate inputs of the lowest layer, F feature size, K
hypotheses per sentence.
"""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from nmt.model.attention.layer import Attention, mapped_values
from nmt.model.cells import Layers, LayerState, RecurrentStack, gru_cell, gru_reset_before_cell, lstm_cell
from nmt.model.decoders.bahdanau import BahdanauDecoder
from nmt.model.decoders.luong import LuongDecoder
from nmt.model.decoders.memory import Memory, State
from nmt.model.decoders.readout import MaxoutReadout
from nmt.model.decoders.vector import VectorDecoder, VectorMemory
from nmt.model.inference.attending import attention_weights, rows_of, weighted_average
from nmt.model.inference.layout import Layout
from nmt.model.inference.search_state import SearchState, Siblings
from nmt.model.inference.weights import column_major


class LuongSearch:
    """`LuongDecoder.step`. The gate inputs of a token, W E y + b, are rows of a table."""

    def __init__(self, decoder: LuongDecoder, embeddings: Tensor) -> None:
        self._decoder = decoder
        self._inputs = decoder.recurrence.project(embeddings)  # [V, G·H]

    def prepare(self, memory: Memory) -> Memory:
        """The memory of the decoder, as `step` wants it."""
        return memory

    def step(
        self, tokens: Tensor, rows: SearchState[State], memory: Memory, layout: Layout
    ) -> tuple[Tensor, State, Tensor]:
        """One step.

        Args:
            tokens: the previous target tokens, [N].
            rows: the state after the previous step, N rows.
            memory: from `prepare`, b rows.
            layout: of the N rows.

        Returns:
            features [N, F], the next state, and weights [b, heads, K, S].
        """
        decoder, (state, siblings) = self._decoder, rows.distinct()
        gates = self._inputs.index_select(0, tokens)
        if decoder.feed is not None:
            assert state.feed is not None
            gates = gates.add_(siblings.spread(decoder.feed(state.feed)))
        layers = recurrent_step(decoder.recurrence, gates, state.layers, siblings)
        hidden = layers[-1][0]
        coverage = _coverage(state, siblings, decoder.attention, memory, layout)
        weights = attention_weights(decoder.attention, hidden, memory.keys, state.time, coverage, layout)
        features = decoder.combine(hidden).add_(weighted_average(weights, memory.values, layout)).tanh_()
        feed = None if decoder.feed is None else features
        return features, State(layers, state.time + 1, feed, _covered(coverage, weights, layout)), weights


class BahdanauSearch:
    """`BahdanauDecoder.step`. A token's gate inputs and its part of the readout, V E y + b, are rows of a
    table; the context's gate inputs and its part of the readout, C c, are weighted averages of mapped states.
    """

    def __init__(self, decoder: BahdanauDecoder, embeddings: Tensor) -> None:
        self._decoder = decoder
        self._readout = Readout.of(decoder.readout, decoder.recurrence.rnn.hidden_size, embeddings.shape[1])
        gates = decoder.recurrence.project(embeddings)
        self._inputs = torch.cat((gates, self._readout.of_tokens(embeddings)), dim=1)  # [V, G·H + 2F]
        self._sizes = [gates.shape[1], len(self._readout.bias)]

    def prepare(self, memory: Memory) -> Memory:
        """The memory of the decoder, with values [b, heads·S, G·H + 2F]."""
        mapped = mapped_values(memory.keys.states, self._readout.context, self._decoder.heads)
        return Memory(memory.keys, torch.cat((memory.values, mapped), dim=-1))

    def step(
        self, tokens: Tensor, rows: SearchState[State], memory: Memory, layout: Layout
    ) -> tuple[Tensor, State, Tensor]:
        """One step; as `LuongSearch.step`."""
        decoder, (state, siblings) = self._decoder, rows.distinct()
        query = siblings.spread(state.layers[-1][0])
        coverage = _coverage(state, siblings, decoder.attention, memory, layout)
        weights = attention_weights(decoder.attention, query, memory.keys, state.time, coverage, layout)
        inputs = weighted_average(weights, memory.values, layout) + self._inputs.index_select(0, tokens)
        gates, rest = torch.split(inputs, self._sizes, dim=1)
        layers = recurrent_step(decoder.recurrence, gates, state.layers, siblings)
        hidden = query if decoder.readout_previous else layers[-1][0]
        features = self._readout(hidden, rest)
        return features, State(layers, state.time + 1, None, _covered(coverage, weights, layout)), weights


class VectorSearch:
    """`VectorDecoder.step`. What depends on the token is a row of a table; what depends on the vector c is
    computed once per sentence.
    """

    def __init__(self, decoder: VectorDecoder, embeddings: Tensor) -> None:
        self._decoder = decoder
        self._readout = Readout.of(decoder.readout, decoder.recurrence.rnn.hidden_size, embeddings.shape[1])
        zeros = embeddings.new_zeros((len(embeddings), self._readout.context.shape[1]))
        gates = decoder.recurrence.project(torch.cat((embeddings, zeros), dim=1))  # with the bias
        self._inputs = torch.cat((gates, self._readout.of_tokens(embeddings)), dim=1)  # [V, G·H + 2F]
        self._sizes = [gates.shape[1], len(self._readout.bias)]
        weight = decoder.recurrence.rnn.get_parameter("weight_ih_l0")[:, embeddings.shape[1] :]
        self._context = torch.cat((weight, self._readout.context))  # [G·H + 2F, M]

    def prepare(self, memory: VectorMemory) -> VectorMemory:
        """The memory of the decoder, with a vector [b, G·H + 2F]."""
        return VectorMemory(F.linear(memory.vector, self._context), memory.mask)

    def step(
        self, tokens: Tensor, rows: SearchState[State], memory: VectorMemory, layout: Layout
    ) -> tuple[Tensor, State, Tensor]:
        """One step; as `LuongSearch.step`, with no heads."""
        state, siblings = rows.distinct()
        vectors = memory.vector.index_select(0, layout.sentence_of_rows(tokens.device))
        inputs = vectors.add_(self._inputs.index_select(0, tokens))
        gates, rest = torch.split(inputs, self._sizes, dim=1)
        layers = recurrent_step(self._decoder.recurrence, gates, state.layers, siblings)
        features = self._readout(layers[-1][0], rest)
        b, S = memory.mask.shape
        return features, State(layers, state.time + 1), features.new_empty((b, 0, layout.width, S))


class Readout(NamedTuple):
    """The matrices of a maxout readout, with the units ordered so that each pair is a unit of the first half
    and one of the second.

    Attributes:
        hidden: U, [2F, H].
        token: V, [2F, E].
        context: C, [2F, M].
        bias: [2F].
    """

    hidden: Tensor
    token: Tensor
    context: Tensor
    bias: Tensor

    @staticmethod
    def of(readout: MaxoutReadout, hidden_size: int, embedding_size: int) -> "Readout":
        """The matrices of `readout`."""
        weight, bias = (
            torch.cat((part[::2], part[1::2])) for part in (readout.linear.weight, readout.linear.bias)
        )
        sizes = [hidden_size, embedding_size, weight.shape[1] - hidden_size - embedding_size]
        hidden, token, context = torch.split(weight, sizes, dim=1)
        return Readout(column_major(hidden), token, context, bias)

    def of_tokens(self, embeddings: Tensor) -> Tensor:
        """V E y + b of every token, [V, 2F]."""
        return F.linear(embeddings, self.token, self.bias)

    def __call__(self, hidden: Tensor, rest: Tensor) -> Tensor:
        """States [N, H], and the sum of the other terms [N, 2F] → features [N, F]."""
        one, other = torch.addmm(rest, hidden, self.hidden.t()).chunk(2, dim=1)
        return torch.maximum(one, other)


def recurrent_step(stack: RecurrentStack, gates: Tensor, parents: Layers, siblings: Siblings) -> Layers:
    """`RecurrentStack.forward`, with the recurrent product U h computed once per distinct parent.

    Args:
        stack: the layers.
        gates: gate inputs of the lowest layer, [N, G·H].
        parents: the states before, D rows.
        siblings: the parent of each of the N rows.
    """
    states: list[LayerState] = []
    for number, before in enumerate(parents):
        weight_ih, weight_hh = (
            stack.rnn.get_parameter(f"{name}_l{number}") for name in ("weight_ih", "weight_hh")
        )
        if number:
            gates = F.linear(states[-1][0], weight_ih, stack.rnn.get_parameter(f"bias_ih_l{number}"))
        state = tuple(siblings.spread(part) for part in before)
        if stack.cell == "gru_reset_before":
            states.append(gru_reset_before_cell(gates, state, weight_hh))
            continue
        recurrent = F.linear(before[0], weight_hh, stack.rnn.get_parameter(f"bias_hh_l{number}"))
        cell = lstm_cell if stack.cell == "lstm" else gru_cell
        states.append(cell(gates, siblings.spread(recurrent), state))
    return tuple(states)


def _coverage(
    state: State, siblings: Siblings, attention: Attention, memory: Memory, layout: Layout
) -> Tensor | None:
    """Attention received so far, [N, heads, S]; None if unused."""
    none = attention.no_coverage(memory.keys)
    if none is None:
        return None
    if state.coverage is not None:
        return siblings.spread(state.coverage)
    return none.index_select(0, layout.sentence_of_rows(none.device))


def _covered(coverage: Tensor | None, weights: Tensor, layout: Layout) -> Tensor | None:
    return None if coverage is None else coverage + rows_of(weights, layout)
