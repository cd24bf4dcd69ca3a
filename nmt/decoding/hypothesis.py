"""Hypotheses, and the search history with back-pointers.

Shapes: B sentences, b of them active, K slots per sentence, R hypotheses, H attention heads, S source length.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.decoding.interface import Attention, Floats, Integers
from nmt.errors import NmtError

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Hypothesis:
    """One hypothesis for one sentence."""

    tokens: list[int]
    """Without BOS and EOS."""
    log_probabilities: list[float]
    """Of each token; if finished, the last one is that of EOS."""
    log_probability: float
    """Sum over its tokens, EOS included."""
    score: float
    """Score used for ranking."""
    attention: Floats | None
    """[T, H, S], a row per token; if finished [T + 1, H, S], the last row is for EOS. None if it was not
    asked for."""
    finished: bool
    """False: truncated at the maximum length, without EOS."""


class BackPointer(NamedTuple):
    """Back-pointer to the last step of a hypothesis in a `History`."""

    sentence: int
    """Or the number of a search of it."""
    step: int
    """The step, counted from 0, at which its last token (EOS, if finished) was generated."""
    slot: int
    """If finished, the input slot of that step; otherwise its output slot."""
    finished: bool
    log_probability: float
    score: float


class Trace(NamedTuple):
    """Hypotheses traced back, a column each; steps that a hypothesis does not have, are of any value.

    Attributes:
        tokens: int64 [T, R], EOS not included.
        slots: int64 [T, R], the input slot of each step.
        totals: float64 [T + 1, R], log-probabilities before each step and after the last one.
        lengths: the number of steps of each, [R].
    """

    tokens: Integers
    slots: Integers
    totals: Doubles
    lengths: list[int]


class History:
    """All steps of a search, as back-pointers: nothing is copied until hypotheses are traced back.

    Args:
        sentence_of: the sentence of each search [R]; the first B are those with its number, and the others
            branch off from these.
        attention: the sentences whose attention is kept.
    """

    def __init__(self, sentence_of: Integers, attention: Collection[int] = ()) -> None:
        self._sentence_of = sentence_of
        self._sentences = np.zeros(0, np.int64)
        self._steps: list[_Step] = []
        self._wanted = frozenset(attention)
        self._attention: list[Attention] = []
        self._attention_rows = 0
        self._first_rows: list[dict[int, int]] = []  # for each step: search → its first row in the attention

    def append(self, sentences: Integers, tokens: Integers, origins: Integers, totals: Doubles) -> None:
        """Add a step.

        Args:
            sentences: [b], the searches active at this step.
            tokens: [b, K], the token of each output slot.
            origins: [b, K], the input slot each output slot extends (back-pointer).
            totals: [b, K], the log-probability of each output slot.
        """
        if self._steps and np.array_equal(self._sentences, sentences):
            places = self._steps[-1].places
        else:
            places = np.full(len(self._sentence_of), -1)
            places[sentences] = np.arange(len(sentences))
            places = np.where(places < 0, places[self._sentence_of], places)  # of those that branch off later
        self._sentences = sentences
        self._steps.append(_Step(places, tokens, origins, totals))

    def keep_attention(self, sentences: Integers, attention: Attention, counts: Integers) -> None:
        """Keep the attention of the next step to be added, of the sentences for which it is wanted.

        Args:
            sentences: [b], the searches active before it.
            attention: of each input row (not output slot).
            counts: [b], the number of input rows of each sentence, those of its first slots.
        """
        if not self._wanted:
            return
        of = self._sentence_of[sentences].tolist()
        wanted = [index for index, sentence in enumerate(of) if sentence in self._wanted]
        ends = np.cumsum(counts)
        starts = ends - counts
        if len(wanted) < len(sentences):
            parts = [np.arange(starts[i], ends[i]) for i in wanted]
            attention = attention.select(np.concatenate(parts) if parts else np.zeros(0, np.int64))
            starts = np.cumsum(counts[wanted]) - counts[wanted]
        first = (starts + self._attention_rows).tolist()
        self._first_rows.append(dict(zip(sentences[wanted].tolist(), first, strict=True)))
        if wanted:
            self._attention.append(attention)
            self._attention_rows += int(counts[wanted].sum())

    def hypotheses(self, back_pointers: Sequence[BackPointer]) -> list[Hypothesis]:
        """Trace back the hypotheses from their `back_pointers`, in the same order."""
        if not back_pointers:
            return []
        trace = self.trace(back_pointers)
        differences = np.diff(trace.totals, axis=0).T.tolist()
        tokens = trace.tokens.T.tolist()
        attention = self._read_attention(back_pointers, trace)
        return [
            Hypothesis(
                tokens[i][: length - back_pointer.finished],
                differences[i][:length],
                back_pointer.log_probability,
                back_pointer.score,
                attention.get(i),
                back_pointer.finished,
            )
            for i, (back_pointer, length) in enumerate(zip(back_pointers, trace.lengths, strict=True))
        ]

    def tokens(self, back_pointer: BackPointer) -> list[int]:
        """The tokens of one hypothesis, without EOS."""
        trace = self.trace([back_pointer])
        tokens: list[int] = trace.tokens[: trace.lengths[0] - back_pointer.finished, 0].tolist()
        return tokens

    def common(self, back_pointers: Sequence[BackPointer]) -> list[int]:
        """The tokens with which all of some hypotheses begin."""
        trace = self.trace(back_pointers)
        shortest = min(
            length - pointer.finished for length, pointer in zip(trace.lengths, back_pointers, strict=True)
        )
        tokens = trace.tokens[:shortest]
        same = (tokens == tokens[:, :1]).all(axis=1)
        common: list[int] = tokens[: shortest if same.all() else same.argmin(), 0].tolist()
        return common

    def trace(self, back_pointers: Sequence[BackPointer]) -> Trace:
        """Trace back hypotheses by the back-pointers, all of them step by step; at least one."""
        sentences = np.array([one.sentence for one in back_pointers])
        last = np.array([one.step for one in back_pointers])
        slots = np.array([one.slot for one in back_pointers])
        ends = np.array([one.finished for one in back_pointers])
        T, R = int(last.max()) + 1, len(back_pointers)
        trace = Trace(
            np.zeros((T, R), np.int64),
            np.zeros((T, R), np.int64),
            np.zeros((T + 1, R)),
            (last + 1).tolist(),
        )
        trace.totals[last + 1, np.arange(R)] = [one.log_probability for one in back_pointers]
        for step in range(T - 1, -1, -1):
            ending = ends & (last == step)
            going = (last >= step) & ~ending
            trace.slots[step, ending] = slots[ending]
            if going.any():
                at = self._steps[step]
                where = at.places[sentences[going]], slots[going]
                trace.tokens[step, going] = at.tokens[where]
                trace.totals[step + 1, going] = at.totals[where]
                slots[going] = trace.slots[step, going] = at.origins[where]
        return trace

    def _read_attention(self, back_pointers: Sequence[BackPointer], trace: Trace) -> dict[int, Floats]:
        """The attention of the hypotheses of the wanted sentences, by the number of the hypothesis."""
        sentences = [int(self._sentence_of[one.sentence]) for one in back_pointers]
        chosen = [i for i, sentence in enumerate(sentences) if sentence in self._wanted]
        if not chosen:
            return {}
        slots = trace.slots.T.tolist()
        rows = [
            self._first_row(step, back_pointers[i].sentence) + slots[i][step]
            for i in chosen
            for step in range(trace.lengths[i])
        ]
        kept = self._attention[0].concatenate(self._attention[1:])
        read = kept.select(np.array(rows)).numpy()
        parts = np.split(read, np.cumsum([trace.lengths[i] for i in chosen])[:-1])
        return {i: part.copy() for i, part in zip(chosen, parts, strict=True)}  # none keeps all in memory

    def _first_row(self, step: int, search: int) -> int:
        """Where the attention of a search begins; at first it is that of the one from which it branches."""
        rows = self._first_rows[step]
        return rows[search] if search in rows else rows[int(self._sentence_of[search])]


class _Step(NamedTuple):
    """One step of a search."""

    places: Integers
    """[R], the row of each active search in the other arrays."""
    tokens: Integers
    origins: Integers
    totals: Doubles


def nan_error() -> NmtError:
    """The error for a model that returns NaN."""
    return NmtError(
        "the model returned NaN as log-probabilities, so decoding is not possible: "
        "use another checkpoint, or train again with a lower learning rate or in fp32"
    )


def dead_end_error() -> NmtError:
    """The error for a model that allows no next token."""
    return NmtError(
        "the model assigned probability zero to every allowed token, so decoding is not possible: "
        "use another checkpoint, or train again with a lower learning rate"
    )
