"""From the hypotheses of one step to those of the next: which rows the model computes, and of what parents.

Shapes: b sentences, K hypotheses per sentence (the beam size), N rows (hypotheses that are computed).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, cast

import numpy as np
import torch
from torch import Tensor

from nmt.model.decoders.decoder import MemoryT, StateT
from nmt.model.inference.layout import Layout
from nmt.model.inference.search_memory import SearchMemory


@dataclass(frozen=True)
class Rows(Generic[StateT, MemoryT]):
    """The rows of one step, with their decoder state and memory of the source.

    A `SearchMemory` has one row per sentence, and rows are the live hypotheses only. Other memories are
    repeated for each of the K slots of a sentence, until the sentence leaves.
    """

    state: StateT
    """N rows."""
    memory: MemoryT
    layout: Layout
    counts: Sequence[int]
    """The number of rows of each sentence."""

    @staticmethod
    def start(
        state: StateT, memory: MemoryT, sentences: int, K: int, device: torch.device
    ) -> "Rows[StateT, MemoryT]":
        """The rows of the first step, where only the first slot of each sentence is live."""
        if isinstance(memory, SearchMemory):
            layout, counts = _live_layout([1] * sentences, K, device), [1] * sentences
            return Rows(state, cast(MemoryT, memory.arrange(None, layout)), layout, counts)
        repeated = torch.arange(sentences, device=device).repeat_interleave(K)
        return Rows(state.select(repeated), memory.select(repeated), Layout(sentences, K), [K] * sentences)

    def follow(
        self, state: StateT, origins: Tensor, going: Sequence[int], live: Sequence[int]
    ) -> "Rows[StateT, MemoryT]":
        """The rows of the next step.

        Args:
            state: after this step.
            origins: int64 [b, K], the slot of each new hypothesis's parent.
            going: the sentences that go on, counted from 0 among the b.
            live: the number of live hypotheses of each of them.
        """
        K, device = self.layout.width, origins.device
        leaving = len(going) < len(origins)
        stay = torch.tensor(going, device=device) if leaving else None
        parents = self.layout.row_of(torch.arange(len(origins), device=device).unsqueeze(1) * K + origins)
        parents = parents if stay is None else parents[stay]
        memory: MemoryT = self.memory
        if isinstance(memory, SearchMemory):
            layout, counts = _live_layout(live, K, device), live
            memory = cast(MemoryT, memory.arrange(stay, layout))
        else:
            layout, counts = Layout(len(going), K), [K] * len(going)
            if stay is not None:
                memory = memory.select((stay.unsqueeze(1) * K + torch.arange(K, device=device)).flatten())
        return Rows(state.select(layout.unpad(parents)), memory, layout, counts)


def _live_layout(counts: Sequence[int], K: int, device: torch.device) -> Layout:
    """Rows for the first `counts[i]` slots of each sentence."""
    if min(counts) == K:
        return Layout(len(counts), K)
    slots = np.flatnonzero(np.arange(K) < np.asarray(counts)[:, None])
    return Layout(len(counts), K, torch.from_numpy(slots).to(device))
