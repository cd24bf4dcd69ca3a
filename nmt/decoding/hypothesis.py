"""The model interface for search, hypotheses, and the search history with back-pointers.

Shapes: B sentences, b of them active, K hypotheses per sentence, N = b·K rows, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self, TypeVar

import torch
from torch import Tensor

from nmt.errors import NmtError


class Selectable(Protocol):
    """A decoder state or an encoder memory: an immutable value with a batch dimension."""

    def select(self, index: Tensor) -> Self:
        """Select batch rows by `index` (int64 [M]); rows may repeat."""
        ...


StateT = TypeVar("StateT", bound=Selectable)
MemoryT = TypeVar("MemoryT", bound=Selectable)
MemoryT_contra = TypeVar("MemoryT_contra", bound=Selectable, contravariant=True)


class Steppable(Protocol[StateT, MemoryT_contra]):
    """One step of a decoder, in evaluation mode."""

    def step(self, tokens: Tensor, state: StateT, memory: MemoryT_contra) -> tuple[Tensor, StateT, Tensor]:
        """Process one token per row and predict the next.

        Args:
            tokens: int64 [N], the previous tokens.
            state: decoder state, N rows.
            memory: encoded source, N rows.

        Returns:
            log-probabilities [N, V], none above 0; the new state; attention weights [N, …], of any
            shape per row.
        """
        ...


@dataclass(frozen=True)
class Hypothesis:
    """One hypothesis for one sentence."""

    tokens: list[int]
    """Without BOS and EOS."""
    log_probability: float
    """Sum over its tokens, EOS included."""
    score: float
    """Score used for ranking."""
    attention: Tensor
    """Float32 [T, …] on the CPU, a row per token; if finished [T + 1, …], the last row is for EOS."""
    finished: bool
    """False: truncated at the maximum length, without EOS."""


class Ending(NamedTuple):
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
    """

    def __init__(self, width: int) -> None:
        self._width = width
        self._rows = 0
        self._places: list[dict[int, int]] = []  # for each step: sentence → its first row
        self._tokens: list[Tensor] = []
        self._origins: list[Tensor] = []
        self._attention: list[Tensor] = []

    def append(self, sentences: Sequence[int], tokens: Tensor, origins: Tensor, attention: Tensor) -> None:
        """Add a step.

        Args:
            sentences: the b sentences active at this step.
            tokens: int64 [b, K], the token of each output slot.
            origins: int64 [b, K], the input slot each output slot extends (back-pointer).
            attention: [b·K, …], the attention weights of each input slot (not output slot).
        """
        first = range(self._rows, self._rows + len(sentences) * self._width, self._width)
        self._places.append(dict(zip(sentences, first, strict=True)))
        self._rows += len(sentences) * self._width
        self._tokens.append(tokens.flatten())
        self._origins.append(origins.flatten())
        self._attention.append(attention)

    def hypotheses(self, endings: Sequence[Ending]) -> list[Hypothesis]:
        """Trace back the hypotheses from their `endings`, in the same order."""
        if not endings:
            return []
        tokens, origins = torch.cat(self._tokens).tolist(), torch.cat(self._origins).tolist()
        traces = [self._trace(ending, tokens, origins) for ending in endings]
        attention = torch.cat(self._attention)
        rows = torch.tensor([row for _, trace in traces for row in trace], device=attention.device)
        read = attention.index_select(0, rows).float().cpu()
        parts = torch.split(read, [len(trace) for _, trace in traces])
        return [
            # Cloned, so that one hypothesis does not keep the attention of all alive.
            Hypothesis(output, ending.log_probability, ending.score, part.clone(), ending.finished)
            for ending, (output, _), part in zip(endings, traces, parts, strict=True)
        ]

    def _trace(self, ending: Ending, tokens: list[int], origins: list[int]) -> tuple[list[int], list[int]]:
        """The tokens of a hypothesis and the rows of its attention, by following the back-pointers."""
        output, rows = [], []
        last, slot = ending.step, ending.slot
        if ending.finished:
            rows.append(self._places[last][ending.sentence] + slot)
            last -= 1
        for step in range(last, -1, -1):
            place = self._places[step][ending.sentence]
            output.append(tokens[place + slot])
            slot = origins[place + slot]
            rows.append(place + slot)
        return output[::-1], rows[::-1]


def banned_tokens(bos: int, eos: int, forbidden: Sequence[int], device: torch.device) -> Tensor:
    """The tokens that must not be generated: `forbidden` and BOS (unless it is also EOS)."""
    return torch.tensor(sorted({*forbidden} | ({bos} - {eos})), dtype=torch.int64, device=device)


def no_number() -> NmtError:
    """The error for a model that returns NaN."""
    return NmtError(
        "the model returned NaN as log-probabilities, so decoding is not possible: "
        "use another checkpoint, or train again with a lower learning rate or in fp32"
    )


def no_token() -> NmtError:
    """The error for a model that allows no next token."""
    return NmtError(
        "the model assigned probability zero to every allowed token, so decoding is not possible: "
        "use another checkpoint, or train again with a lower learning rate"
    )
