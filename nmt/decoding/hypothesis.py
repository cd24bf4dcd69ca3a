"""Hypotheses, and the search history with back-pointers.

Shapes: b active sentences, K hypotheses per sentence.
"""

import itertools
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import torch
from torch import Tensor

from nmt.errors import NmtError


@dataclass(frozen=True)
class Hypothesis:
    """One hypothesis for one sentence."""

    tokens: list[int]
    """Without BOS and EOS."""
    log_probability: float
    """Sum over its tokens, EOS included."""
    score: float
    """Score used for ranking."""
    attention: Tensor | None
    """Float32 [T, …] on the CPU, a row per token; if finished [T + 1, …], the last row is for EOS. None if it
    was not asked for."""
    finished: bool
    """False: truncated at the maximum length, without EOS."""

    def normalised(self, length_penalty: float) -> "Hypothesis":
        """The same, ranked by log-probability / length**length_penalty, with EOS counted."""
        length = len(self.tokens) + self.finished
        return replace(self, score=self.log_probability / length**length_penalty)


class BackPointer(NamedTuple):
    """Back-pointer to the last step of a hypothesis in a `History`."""

    sentence: int
    step: int
    """The step, counted from 0, at which its last token (EOS, if finished) was generated."""
    slot: int
    """If finished, the input slot of that step; otherwise its output slot."""
    finished: bool
    log_probability: float
    score: float


class History:
    """All steps of a search, as back-pointers: nothing is copied until hypotheses are traced back.

    Args:
        width: K, the number of slots per sentence.
        attention: the sentences whose attention is kept.
    """

    def __init__(self, width: int, attention: Collection[int] = ()) -> None:
        self._width = width
        self._tokens: list[Tensor] = []
        self._origins: list[Tensor] = []
        self._rows = _Rows()
        self._wanted = frozenset(attention)
        self._attention: list[Tensor] = []
        self._attention_rows = _Rows()

    def append(
        self,
        sentences: Sequence[int],
        tokens: Tensor,
        origins: Tensor,
        attention: Tensor,
        counts: Sequence[int],
    ) -> None:
        """Add a step.

        Args:
            sentences: the b sentences active at this step.
            tokens: int64 [b, K], the token of each output slot.
            origins: int64 [b, K], the input slot each output slot extends (back-pointer).
            attention: [N, …], the attention weights of each input row (not output slot).
            counts: the number of input rows of each sentence, those of its first slots.
        """
        self._rows.append(sentences, [self._width] * len(sentences))
        self._tokens.append(tokens.flatten())
        self._origins.append(origins.flatten())
        wanted = [index for index, sentence in enumerate(sentences) if sentence in self._wanted]
        if wanted:
            self._attention_rows.append([sentences[i] for i in wanted], [counts[i] for i in wanted])
            if len(wanted) < len(sentences):
                first = [0, *itertools.accumulate(counts)]
                rows = [row for i in wanted for row in range(first[i], first[i + 1])]
                attention = attention.index_select(0, torch.tensor(rows, device=attention.device))
            self._attention.append(attention)

    def hypotheses(self, back_pointers: Sequence[BackPointer]) -> list[Hypothesis]:
        """Trace back the hypotheses from their `back_pointers`, in the same order."""
        if not back_pointers:
            return []
        tokens, origins = torch.cat(self._tokens).tolist(), torch.cat(self._origins).tolist()
        traces = [self._trace(back_pointer, tokens, origins) for back_pointer in back_pointers]
        attention = iter(self._read_attention(back_pointers, [slots for _, slots in traces]))
        return [
            Hypothesis(
                output,
                back_pointer.log_probability,
                back_pointer.score,
                next(attention) if back_pointer.sentence in self._wanted else None,
                back_pointer.finished,
            )
            for back_pointer, (output, _) in zip(back_pointers, traces, strict=True)
        ]

    def _read_attention(
        self, back_pointers: Sequence[BackPointer], slots: Sequence[Sequence[int]]
    ) -> list[Tensor]:
        """The attention of the hypotheses of the wanted sentences, on the CPU.

        Args:
            back_pointers: all hypotheses.
            slots: the input slot of each of their steps.
        """
        found = [
            [self._attention_rows.of(step, back_pointer.sentence) + slot for step, slot in enumerate(path)]
            for back_pointer, path in zip(back_pointers, slots, strict=True)
            if back_pointer.sentence in self._wanted
        ]
        if not found:
            return []
        attention = torch.cat(self._attention)
        rows = torch.tensor([row for path in found for row in path], device=attention.device)
        read = attention.index_select(0, rows).float().cpu()
        parts = torch.split(read, [len(path) for path in found])
        return [part.clone() for part in parts]  # so that one does not keep the memory of all alive

    def _trace(
        self, back_pointer: BackPointer, tokens: list[int], origins: list[int]
    ) -> tuple[list[int], list[int]]:
        """The tokens of a hypothesis and the input slot of each of its steps, by the back-pointers."""
        output, slots = [], []
        last, slot = back_pointer.step, back_pointer.slot
        if back_pointer.finished:
            slots.append(slot)
            last -= 1
        for step in range(last, -1, -1):
            row = self._rows.of(step, back_pointer.sentence) + slot
            output.append(tokens[row])
            slot = origins[row]
            slots.append(slot)
        return output[::-1], slots[::-1]


class _Rows:
    """Where the rows of a sentence begin, if those of all steps are concatenated."""

    def __init__(self) -> None:
        self._count = 0
        self._first: list[dict[int, int]] = []  # for each step: sentence → its first row

    def append(self, sentences: Sequence[int], counts: Sequence[int]) -> None:
        """Add a step with `counts[i]` rows for sentence i of `sentences`."""
        first = list(itertools.accumulate(counts, initial=self._count))
        self._first.append(dict(zip(sentences, first, strict=False)))
        self._count = first[-1]

    def of(self, step: int, sentence: int) -> int:
        """The first row of a sentence at a step."""
        return self._first[step][sentence]


def banned_tokens(bos: int, eos: int, forbidden: Sequence[int], device: torch.device) -> Tensor:
    """The tokens that must not be generated: `forbidden` and BOS (unless it is also EOS)."""
    return torch.tensor(sorted({*forbidden} | ({bos} - {eos})), dtype=torch.int64, device=device)


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
