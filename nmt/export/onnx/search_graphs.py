"""The encoder, and a decoder step of the prepared search model, as modules whose inputs and outputs are flat
lists of tensors: what an ONNX graph has.

Shapes: B sentences, b of them still being decoded, S source length, P hypotheses of the step before, D
distinct parents of the N hypotheses of this one, K slots per sentence, H attention heads, V vocabulary.
"""

from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from nmt.model.attention.layer import Attention
from nmt.model.decoders.memory import Memory
from nmt.model.inference.layout import Layout
from nmt.model.inference.prepared import PreparedModel
from nmt.model.inference.search_memory import SearchMemory
from nmt.model.inference.search_state import SearchState, Siblings
from nmt.onnx.names import MEMORY, STATE

EXAMPLE_TOKEN = 3  # end-of-sentence, which every vocabulary has


class GatheringLayout(NamedTuple):
    """`nmt.model.inference.layout.Layout` with indices in both directions, given as tensors.

    Attributes:
        rows: int64 [b, K], the row in each slot; of any value, where there is none.
        slots: int64 [N], the slot of each row.
    """

    rows: Tensor
    slots: Tensor

    @property
    def width(self) -> int:
        """K."""
        return self.rows.shape[1]

    def pad(self, rows: Tensor) -> Tensor:
        """[N, …] → [b, K, …]; of any value in slots without a row."""
        return rows[self.rows]

    def unpad(self, padded: Tensor) -> Tensor:
        """[b, K, …] → [N, …]."""
        return padded.flatten(0, 1).index_select(0, self.slots)

    def sentence_of_rows(self, device: torch.device) -> Tensor:
        """int64 [N]: the sentence of each row."""
        return self.slots // self.width


class Parents(NamedTuple):
    """The state of the step before, as `SearchState`.

    Attributes:
        state: its distinct rows.
        siblings: int64 [N], which of them each row extends.
    """

    state: Any
    siblings: Tensor

    def distinct(self) -> tuple[Any, Siblings]:
        """As `SearchState.distinct`."""
        return self.state, Siblings(self.siblings)

    def selected(self) -> Any:
        """As `SearchState.selected`."""
        return self.state.select(self.siblings)


class EncoderGraph(nn.Module):
    """Source tokens [B, S] and their numbers [B] → the tensors of the decoder's initial state and of the
    memory of the source that have these names.
    """

    def __init__(self, prepared: PreparedModel, names: Sequence[str]) -> None:
        super().__init__()
        self._prepared, self._names = prepared, names

    def forward(self, source: Tensor, lengths: Tensor) -> list[Tensor]:
        """As above."""
        mask = torch.arange(source.shape[1]) < lengths.unsqueeze(1)
        found = named(*encoded(self._prepared, source, mask))
        return [found[name] for name in self._names]


class StepGraph(nn.Module):
    """One step of the prepared model. The inputs are the previous tokens [N]; the rows of the state that the
    hypotheses extend, each once, [D]; which of them each row extends, [N]; the indices of `GatheringLayout`;
    the number of steps before; and the tensors of the state, P rows, and of the memory, b rows. The outputs
    are log-probabilities [N, V], attention weights [N, H, S] if there are any, and the new state.

    Args:
        prepared: the model.
        state, memory: an example of both, for their structure.
    """

    def __init__(self, prepared: PreparedModel, state: Any, memory: Any) -> None:
        super().__init__()
        self._prepared, self._state, self._memory = prepared, state, memory

    def forward(
        self,
        tokens: Tensor,
        parents: Tensor,
        siblings: Tensor,
        rows: Tensor,
        slots: Tensor,
        time: Tensor,
        values: Sequence[Tensor],
    ) -> list[Tensor]:
        """As above."""
        found = iter(values)
        state = rebuilt(self._state, found, time)
        source, embeddings = rebuilt(self._memory, found, time)
        own = cast(SearchState[Any], Parents(state.select(parents), siblings))
        memory = SearchMemory(source, embeddings, cast(Layout, GatheringLayout(rows, slots)))
        predicted, after, weights = self._prepared.step(tokens, own, memory)
        attention = [weights] if self._prepared.heads else []
        new = tensors(after.state)  # with the time, which is a tensor here
        return [predicted, *attention, *(new[name] for name in tensors(self._state))]


def encoded(prepared: PreparedModel, source: Tensor, mask: Tensor) -> tuple[Any, tuple[Any, Tensor | None]]:
    """The decoder's initial state and the memory of the source. Coverage is zero, where the decoder would
    make it in the first step.
    """
    state, memory = prepared.encode(source, mask)
    first: Any = state.state
    attention = getattr(prepared.decoder, "attention", None)
    if isinstance(attention, Attention):
        keys = cast(Memory, memory.source).keys
        first = first._replace(coverage=attention.no_coverage(keys))
    return first, (memory.source, memory.embeddings)


def example(prepared: PreparedModel, sentences: int, length: int) -> tuple[Any, tuple[Any, Tensor | None]]:
    """State and memory of this many sentences of this length, after as many steps less 3."""
    source = torch.full((sentences, length), EXAMPLE_TOKEN)
    first, (memory, embeddings) = encoded(prepared, source, source > 0)
    state = SearchState(first)
    for _ in range(length - 3):
        shared = SearchMemory(memory, embeddings, Layout(sentences))
        _, state, _ = prepared.step(source[:, 0], state, shared)
    return state.state, (memory, embeddings)


def named(state: Any, memory: Any) -> dict[str, Tensor]:
    """The tensors of state and memory, with the names of the exported model."""
    parts = ((STATE, state), (MEMORY, memory))
    return {prefix + name: value for prefix, part in parts for name, value in tensors(part).items()}


def tensors(value: Any) -> dict[str, Tensor]:
    """The tensors of a nested tuple, with names such as ".layers[0][0]"."""
    leaves, _ = pytree.tree_flatten_with_path(value)
    return {pytree.keystr(path): leaf for path, leaf in leaves if isinstance(leaf, Tensor)}


def rebuilt(like: Any, found: Iterator[Tensor], time: Tensor) -> Any:
    """A nested tuple like another, with the next of these tensors in place of its tensors, and `time` in
    place of numbers.
    """
    leaves, structure = pytree.tree_flatten(like)
    values = [
        next(found) if isinstance(leaf, Tensor) else time if isinstance(leaf, int) else leaf
        for leaf in leaves
    ]
    return pytree.tree_unflatten(values, structure)
