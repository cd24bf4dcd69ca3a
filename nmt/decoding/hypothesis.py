"""What search asks of a model, what it finds, and the history from which hypotheses are read back.

Shapes: B sentences, b of them still searched, K hypotheses a sentence, N = b·K rows, V vocabulary.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol, Self, TypeVar

import torch
from torch import Tensor

from nmt.errors import NmtError


class Selectable(Protocol):
    """A decoder state or an encoder memory: a value with a batch axis."""

    def select(self, index: Tensor) -> Self:
        """The rows that `index` (int64 [M]) names, in its order; a row may be named more than once."""
        ...


StateT = TypeVar("StateT", bound=Selectable)
MemoryT = TypeVar("MemoryT", bound=Selectable)
MemoryT_contra = TypeVar("MemoryT_contra", bound=Selectable, contravariant=True)


class Steppable(Protocol[StateT, MemoryT_contra]):
    """One step of a decoder, in evaluation mode."""

    def step(self, tokens: Tensor, state: StateT, memory: MemoryT_contra) -> tuple[Tensor, StateT, Tensor]:
        """Read one token a row and foretell the next.

        Args:
            tokens: int64 [N], the previous tokens.
            state: of N rows.
            memory: of N rows.

        Returns:
            log-probabilities [N, V], none above 0; the new state; attention weights [N, …], one row of
            any shape for each row of the batch.
        """
        ...


@dataclass(frozen=True)
class Hypothesis:
    """One output for one sentence."""

    tokens: list[int]
    """Without BOS and EOS."""
    log_probability: float
    """Sum over its tokens, EOS included."""
    score: float
    """What it was ranked by."""
    attention: Tensor
    """Float32 [T, …] on the CPU, a row for each token; if finished [T + 1, …], the last row EOS's."""
    finished: bool
    """False: cut at the maximal length, without EOS."""


class Ending(NamedTuple):
    """Where a hypothesis ends in a `History`."""

    sentence: int
    step: int
    """The step, counted from 0, that gave its last token (EOS, if finished)."""
    slot: int
    """If finished, the slot that was read at that step; if not, the slot that was written."""
    finished: bool
    log_probability: float
    score: float


class History:
    """All steps of a search, as back-pointers: nothing is copied until hypotheses are read back.

    Args:
        width: K, the slots of a sentence.
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
            sentences: the b sentences searched at this step.
            tokens: int64 [b, K], the token written to each slot.
            origins: int64 [b, K], the slot it goes on from.
            attention: [b·K, …], the weights with which each slot was read (not written).
        """
        first = range(self._rows, self._rows + len(sentences) * self._width, self._width)
        self._places.append(dict(zip(sentences, first, strict=True)))
        self._rows += len(sentences) * self._width
        self._tokens.append(tokens.flatten())
        self._origins.append(origins.flatten())
        self._attention.append(attention)

    def hypotheses(self, endings: Sequence[Ending]) -> list[Hypothesis]:
        """Read back the hypotheses that end at `endings`, in their order."""
        if not endings:
            return []
        tokens, origins = torch.cat(self._tokens).tolist(), torch.cat(self._origins).tolist()
        traces = [self._trace(ending, tokens, origins) for ending in endings]
        attention = torch.cat(self._attention)
        rows = torch.tensor([row for _, trace in traces for row in trace], device=attention.device)
        read = attention.index_select(0, rows).float().cpu()
        parts = torch.split(read, [len(trace) for _, trace in traces])
        return [
            # A clone, so that keeping one hypothesis does not keep the attention of all.
            Hypothesis(output, ending.log_probability, ending.score, part.clone(), ending.finished)
            for ending, (output, _), part in zip(endings, traces, parts, strict=True)
        ]

    def _trace(self, ending: Ending, tokens: list[int], origins: list[int]) -> tuple[list[int], list[int]]:
        """The tokens of a hypothesis and the rows of its attention, by following its origins back."""
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
    """The tokens that no hypothesis may contain: `forbidden` and BOS (unless it serves as EOS too)."""
    return torch.tensor(sorted({*forbidden} | ({bos} - {eos})), dtype=torch.int64, device=device)


def no_number() -> NmtError:
    """The error of a model that gives NaN."""
    return NmtError(
        "the model gives NaN where log-probabilities should be, so nothing can be decoded: "
        "take another checkpoint, or train again with a lower learning rate or in fp32"
    )


def no_token() -> NmtError:
    """The error of a model that leaves no way on."""
    return NmtError(
        "the model gives every allowed token probability zero, so nothing can be decoded: "
        "take another checkpoint, or train again with a lower learning rate"
    )
