"""A model that ONNX Runtime computes, with the interface of search; PyTorch is not needed.

Between the steps, the decoder's state and the encoded source stay where ONNX Runtime has them.

Shapes: B sentences, b of them still being decoded, M sentences in memory, N rows, P rows of the step before,
K slots per sentence, H attention heads, S source length, T target length, V vocabulary.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import numpy as np
import onnxruntime
from numpy.typing import NDArray
from onnxruntime import OrtValue

from nmt.decoding.arrays import ArrayAttention, ArrayStep, Candidates
from nmt.decoding.hypothesis import nan_error
from nmt.decoding.interface import Answer, Booleans, Floats, Integers, Query, Rows
from nmt.onnx.names import (
    ATTENTION,
    BEST,
    BEST_TOKENS,
    COUNT,
    LENGTHS,
    LOG_PROBABILITIES,
    MEMORY,
    NEXT,
    PARENTS,
    ROWS,
    SIBLINGS,
    SLOTS,
    SOURCE,
    STATE,
    TIME,
    TOKENS,
)  # fmt: skip

Values = Mapping[str, OrtValue]
_FEWEST = 2  # slots: ONNX Runtime adds up the sums of a product with one row in another order
_LEAVING = 0.7  # the memory is selected when less than this part of its sentences is being decoded


class Sessions(NamedTuple):
    """The graphs of an exported model."""

    encoder: onnxruntime.InferenceSession
    step: onnxruntime.InferenceSession


@dataclass(frozen=True)
class OnnxState:
    """The decoder's state and the encoded source.

    Attributes:
        decoder: P rows each, by the name that the next step reads them under.
        memory: M rows each.
        sentences: [b], the row of each sentence in the memory; none is named twice.
        width: S, padding included.
        time: the number of steps so far.
    """

    decoder: Values
    memory: Values
    sentences: Integers
    width: int
    time: int = 0

    def going(self, sentences: Integers | None) -> "OnnxState":
        """Only these sentences, by index. The memory of others is kept until there are many of them."""
        if sentences is None:
            return self
        own = self.sentences[sentences]
        size = next(iter(self.memory.values())).shape()[0]
        if len(own) > _LEAVING * size and len(np.unique(own)) == len(own):
            return replace(self, sentences=own)
        memory = {name: _value(value.numpy()[own]) for name, value in self.memory.items()}
        return replace(self, memory=memory, sentences=np.arange(len(own)))


@dataclass(frozen=True)
class OnnxStep(ArrayStep[OnnxState]):
    """The result of one step; `Step` says what the methods do.

    Attributes:
        best: the best tokens of each row, [N, C], whichever are banned.
    """

    best: Candidates

    def read(self, query: Query) -> Answer:
        """As `Step.read`. Banned tokens are rarely among the best."""
        found = Candidates(self.best.values[:, : query.count], self.best.tokens[:, : query.count])
        enough = found.tokens.shape[1] == query.count and not len(query.bans[0]) and query.rows is None
        if not enough or (found.tokens[..., None] == query.banned).any():
            return super().read(query)
        if np.isnan(found.values).any():
            raise nan_error()
        attention = self.attention.mean() if query.attention else None
        return Answer(*found, self.predicted[query.named], attention)


class OnnxModel:
    """An exported model as a `SearchModel`, which says what the methods do.

    Args:
        sessions: its graphs.
        heads: H.
        groups: the number of best tokens that a step may be asked for.
    """

    def __init__(self, sessions: Sessions, heads: int, groups: int) -> None:
        self._sessions, self.heads, self._groups = sessions, heads, groups
        encoded = [value.name for value in sessions.encoder.get_outputs()]
        self._state = [name for name in encoded if name.startswith(STATE)]
        self._memory = [name for name in encoded if name.startswith(MEMORY)]
        self._indices = {value.name for value in sessions.step.get_inputs()} - set(encoded)
        self._outputs = [value.name for value in sessions.step.get_outputs()]

    def encode(self, source: Integers, mask: Booleans) -> OnnxState:
        """As `SearchModel.encode`."""
        inputs = {SOURCE: _value(source), LENGTHS: _value(mask.sum(axis=1))}
        names = [*self._state, *self._memory]
        found = dict(zip(names, self._sessions.encoder.run_with_ort_values(names, inputs), strict=True))
        state, memory = ({name: found[name] for name in part} for part in (self._state, self._memory))
        return OnnxState(state, memory, np.arange(len(source)), source.shape[1])

    def step(self, state: OnnxState, rows: Rows) -> OnnxStep:
        """As `SearchModel.step`."""
        state = state.going(rows.going)
        indices = self._layout(state, rows)
        inputs = {name: _value(index) for name, index in indices.items() if name in self._indices}
        results = self._sessions.step.run_with_ort_values(
            self._outputs, {**inputs, **state.decoder, **state.memory}
        )
        found = dict(zip(self._outputs, results, strict=True))
        after = {name: found[NEXT + name.removeprefix(STATE)] for name in self._state}
        shape = (len(rows.tokens), 0, state.width)
        weights = found[ATTENTION].numpy() if self.heads else np.zeros(shape, np.float32)
        return OnnxStep(
            found[LOG_PROBABILITIES].numpy(),
            replace(state, decoder=after, time=state.time + 1),
            ArrayAttention(weights),
            Candidates(found[BEST].numpy(), found[BEST_TOKENS].numpy()),
        )

    def _layout(self, state: OnnxState, rows: Rows) -> dict[str, Integers]:
        """The indices that a step reads, by name."""
        K = max(_FEWEST, int(rows.counts.max()))
        first = np.cumsum(rows.counts) - rows.counts
        within = np.arange(len(rows.tokens)) - np.repeat(first, rows.counts)
        slots = np.repeat(state.sentences * K, rows.counts) + within
        sentences = next(iter(state.memory.values())).shape()[0]
        table = np.zeros(sentences * K, np.int64)
        table[slots] = np.arange(len(slots))
        parents, siblings = np.unique(rows.parents, return_inverse=True)
        return {
            TOKENS: rows.tokens,
            PARENTS: parents,
            SIBLINGS: siblings,
            ROWS: table.reshape(sentences, K),
            SLOTS: slots,
            TIME: np.array(state.time),
            COUNT: np.array([min(rows.width + 1, self._groups)]),  # what beam search asks for
        }

    def score(
        self,
        source: Integers,
        source_mask: Booleans,
        previous: Integers,
        target: Integers,
        target_mask: Booleans,
        attention: bool,
    ) -> tuple[Floats, Floats | None]:
        """As `SearchModel.score`, by the steps of search."""
        (B, T), S = target.shape, source.shape[1]
        scores = np.zeros((B, T), np.float32)
        weights = np.zeros((B, self.heads, T, S), np.float32) if attention else None
        lengths, state = target_mask.sum(axis=1), self.encode(source, source_mask)
        active, parents = np.arange(B), np.arange(B)
        for t in range(T):
            going = np.flatnonzero(lengths[active] > t)
            leave = len(going) < len(active)
            active = active[going]
            rows = Rows(previous[active, t], parents[going], np.ones(len(going), np.int64), None, 1)
            step = self.step(state, rows._replace(going=going if leave else None))
            scores[active, t] = step.log_probabilities()[np.arange(len(active)), target[active, t]]
            if weights is not None and self.heads:
                weights[active, :, t] = step.attention.numpy()
            state, parents = step.state, np.arange(len(active))
        return scores, weights


def _value(array: NDArray[Any]) -> OrtValue:
    return OrtValue.ortvalue_from_numpy(np.ascontiguousarray(array))
