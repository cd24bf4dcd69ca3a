"""Search of models in PyTorch: the adapter from `nmt.model.inference.step_model` to `nmt.decoding.interface`,
and the only module of decoding that imports PyTorch.

On a CPU, predictions are read as NumPy arrays that share the memory of the tensors. From a GPU, what search
asks for is copied in one transfer per step, for which the host waits; what search tells the GPU is copied
from page-locked memory, without waiting.

Shapes: B sentences, b of them still being decoded, N rows, H attention heads, S source length, T target
length, V vocabulary, Q tokens per row that are considered.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, cast

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.decoding.arrays import ArrayAttention, ArrayStep, candidates, considered
from nmt.decoding.interface import Answer, Booleans, Floats, Integers, Query, Rows, Step
from nmt.model.decoders.decoder import MemoryT, StateT
from nmt.model.inference.layout import Layout
from nmt.model.inference.search_memory import SearchMemory
from nmt.model.inference.step_model import InferenceModel


@dataclass(frozen=True)
class TorchState(Generic[StateT, MemoryT]):
    """The decoder's state, of so many hypotheses; and the encoded source, a row per sentence."""

    decoder: StateT
    source: MemoryT
    rows: int


class TorchModel(Generic[StateT, MemoryT]):
    """A PyTorch model as a `SearchModel`, which says what the methods do.

    A `SearchMemory` is shared by the hypotheses of a sentence; other memories are copied for each.

    Args:
        model: in evaluation mode, such as a `PreparedModel` or an `Ensemble`.
    """

    def __init__(self, model: InferenceModel[StateT, MemoryT]) -> None:
        self._model = model
        self.heads = model.heads

    @torch.inference_mode()
    def encode(self, source: Integers, mask: Booleans) -> TorchState[StateT, MemoryT]:
        """As `SearchModel.encode`."""
        return TorchState(*self._model.encode(self._tensor(source), self._tensor(mask)), len(source))

    @torch.inference_mode()
    def step(self, state: TorchState[StateT, MemoryT], rows: Rows) -> Step[TorchState[StateT, MemoryT]]:
        """As `SearchModel.step`."""
        tokens, decoder = self._tensor(rows.tokens), state.decoder
        same = len(rows.parents) == state.rows and (rows.parents == np.arange(state.rows)).all()
        if not same:
            decoder = decoder.select(self._tensor(rows.parents))
        going = None if rows.going is None else self._tensor(rows.going)
        source = memory = state.source
        if isinstance(source, SearchMemory):
            slots = rows.slots
            placed = None if slots is None else self._tensor(slots)
            layout = Layout(len(rows.counts), rows.width, placed)
            source = memory = cast(MemoryT, source.arrange(going, layout))
        else:
            source = source if going is None else source.select(going)
            memory = source.select(self._tensor(rows.sentences))
        predicted, after, weights = self._model.step(tokens, decoder, memory)
        state = TorchState(after, source, len(rows.tokens))
        if predicted.device.type == "cpu":
            return ArrayStep(_array(predicted), state, ArrayAttention(_array(weights)))
        return DeviceStep(predicted, state, DeviceAttention(weights))

    @torch.inference_mode()
    def score(
        self,
        source: Integers,
        source_mask: Booleans,
        previous: Integers,
        target: Integers,
        target_mask: Booleans,
        attention: bool,
    ) -> tuple[Floats, Floats | None]:
        """As `SearchModel.score`."""
        given = (source, source_mask, previous, target, target_mask)
        scores, weights = self._model.score(*(self._tensor(array) for array in given))
        return _array(scores), _array(weights) if attention else None

    def _tensor(self, array: NDArray[np.int64] | NDArray[np.bool_]) -> Tensor:
        return _upload(array, self._model.device)


@dataclass(frozen=True)
class DeviceAttention:
    """Attention weights [N, H, S] on a GPU; `Attention` says what the methods do."""

    weights: Tensor

    @torch.inference_mode()
    def select(self, rows: Integers) -> "DeviceAttention":
        """As `Attention.select`."""
        return DeviceAttention(self.weights.index_select(0, _upload(rows, self.weights.device)))

    @torch.inference_mode()
    def concatenate(self, others: Sequence["DeviceAttention"]) -> "DeviceAttention":
        """As `Attention.concatenate`."""
        return DeviceAttention(torch.cat([self.weights, *(other.weights for other in others)]))

    def numpy(self) -> Floats:
        """As `Attention.numpy`."""
        return _array(self.weights)


@dataclass(frozen=True)
class DeviceStep(Generic[StateT, MemoryT]):
    """The result of a step on a GPU; `Step` says what the methods do."""

    predicted: Tensor
    state: TorchState[StateT, MemoryT]
    attention: DeviceAttention

    @torch.inference_mode()
    def read(self, query: Query) -> Answer:
        """As `Step.read`: one transfer of all results, as bytes."""
        scores, weights, device = self.predicted.float(), self.attention.weights, self.predicted.device
        if query.rows is not None:
            asked = _upload(query.rows, device)
            scores, weights = scores.index_select(0, asked), weights.index_select(0, asked)
        count = considered(query, scores.shape[1])
        rows, tokens = (_upload(part, device) for part in query.named)
        named = scores[rows, tokens]
        if len(query.bans[0]):
            where = tuple(_upload(part, device) for part in query.bans)
            scores = scores.index_put(where, scores.new_full((), -torch.inf))
        values, indices = scores.topk(count, dim=1)
        wanted = [values, named]
        if query.attention:
            weights = weights.float()
            wanted.append(weights.mean(dim=1) if weights.shape[1] else weights.sum(dim=1))
        parts = [indices.int().view(torch.float32), *wanted]
        packed = _array(torch.cat([part.flatten() for part in parts]))
        ends = np.cumsum([part.numel() for part in parts])
        bits, *found = (
            flat.reshape(part.shape) for flat, part in zip(np.split(packed, ends), parts, strict=False)
        )
        chosen = bits.view(np.int32).astype(np.int64)
        best = candidates(found[0], chosen, query, lambda tied: _array(scores[_upload(tied, device)]))
        return Answer(*best, found[1], found[2] if query.attention else None)

    def log_probabilities(self) -> Floats:
        """As `Step.log_probabilities`."""
        return _array(self.predicted)


def _upload(array: NDArray[np.int64] | NDArray[np.bool_], device: torch.device) -> Tensor:
    """To a GPU from page-locked memory, so that the host does not wait."""
    tensor = torch.from_numpy(array)
    if device.type == "cpu":
        return tensor
    return tensor.pin_memory().to(device, non_blocking=True)


def _array(tensor: Tensor) -> Floats:
    """Float32, in the host's memory; the same memory if it is there already."""
    if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
        tensor = tensor.float().cpu()
    return tensor.numpy()
