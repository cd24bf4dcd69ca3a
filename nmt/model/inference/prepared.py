"""A translation model prepared for search.

Shapes: B sentences, S source length, T target length, K hypotheses per sentence, N rows (one per hypothesis),
V target vocabulary, F size of what the output layers get.
"""

from collections.abc import Callable
from typing import Protocol, cast

import torch
from torch import Tensor, nn

from nmt.model.decoders.bahdanau import BahdanauDecoder
from nmt.model.decoders.decoder import MemoryT, Selectable, StateT
from nmt.model.decoders.luong import LuongDecoder
from nmt.model.decoders.transformer import TransformerDecoder
from nmt.model.decoders.vector import VectorDecoder
from nmt.model.inference.attending import rows_of
from nmt.model.inference.layout import Layout
from nmt.model.inference.output import OutputLayer
from nmt.model.inference.recurrent_search import BahdanauSearch, LuongSearch, VectorSearch
from nmt.model.inference.search_memory import SearchMemory
from nmt.model.inference.search_state import SearchState
from nmt.model.inference.transformer_search import TransformerSearch
from nmt.model.inference.weights import search_copy
from nmt.model.mode import check_evaluating
from nmt.model.positions import TargetPositions
from nmt.model.translation import TranslationModel


class SearchDecoder(Protocol[StateT, MemoryT]):
    """A decoder as search wants it; `LuongSearch` says what the arguments are."""

    def prepare(self, memory: MemoryT) -> MemoryT:
        """The decoder's memory of the source → that of `step`, once per sentence."""
        ...

    def step(
        self, tokens: Tensor, rows: SearchState[StateT], memory: MemoryT, layout: Layout
    ) -> tuple[Tensor, StateT, Tensor]:
        """One step."""
        ...


SearchClass = Callable[[nn.Module, Tensor], SearchDecoder[Selectable, Selectable]]
"""Builds a search decoder from a decoder and the target embeddings."""

SEARCH_DECODERS: dict[type[nn.Module], SearchClass] = {
    BahdanauDecoder: cast(SearchClass, BahdanauSearch),
    LuongDecoder: cast(SearchClass, LuongSearch),
    VectorDecoder: cast(SearchClass, VectorSearch),
    TransformerDecoder: cast(SearchClass, TransformerSearch),
}


class PreparedModel:
    """The same function as `model`, for search: tables of what depends on a token alone, the output layers as
    one matrix, and memory of the source that the hypotheses of a sentence share.

    It has the weights that the model has now: one that is trained on must be prepared again.

    Args:
        model: in evaluation mode.

    Raises:
        RuntimeError: if the model is in training mode.
    """

    @torch.inference_mode()
    def __init__(self, model: TranslationModel) -> None:
        check_evaluating(model)
        self._model, self.decoder = model, model.decoder
        decoder = model.decoder
        assert isinstance(decoder, nn.Module)
        self._decoder = SEARCH_DECODERS[type(decoder)](search_copy(decoder), model.target.table.weight)
        self._output = OutputLayer(model)
        self.device, self.heads = model.device, model.heads

    @property
    def input_size(self) -> int:
        """F."""
        return self._output.input_size

    def encode(self, source: Tensor, mask: Tensor) -> tuple[SearchState[Selectable], SearchMemory]:
        """As `TranslationModel.encode`."""
        state, encoded = self._model.encode(source, mask)
        memory = self._decoder.prepare(encoded.memory)
        return SearchState(state), SearchMemory(memory, encoded.embeddings, Layout(source.shape[0]))

    def step(
        self, tokens: Tensor, state: SearchState[Selectable], memory: SearchMemory
    ) -> tuple[Tensor, SearchState[Selectable], Tensor]:
        """As `TranslationModel.step`; the rows are those of `memory.layout`."""
        inputs, after, weights = self.output_inputs(tokens, state, memory)
        return self.predict(inputs), after, weights

    def output_inputs(
        self, tokens: Tensor, state: SearchState[Selectable], memory: SearchMemory
    ) -> tuple[Tensor, SearchState[Selectable], Tensor]:
        """`step` up to the output layers: what `predict` wants, [N, F], instead of log-probabilities."""
        layout = memory.layout
        features, after, weights = self._decoder.step(tokens, state, memory.source, layout)
        attended = None
        if memory.embeddings is not None:
            attended = layout.unpad(weights.mean(dim=1) @ memory.embeddings)
        return self._output.inputs(features, attended), SearchState(after), rows_of(weights, layout)

    def predict(self, inputs: Tensor) -> Tensor:
        """The output layers: [N, F] → log-probabilities [N, V]."""
        return self._output(inputs)

    def score(
        self, source: Tensor, source_mask: Tensor, previous: Tensor, target: Tensor, target_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `TranslationModel.score`."""
        return self._model.score(source, source_mask, previous, target, target_mask)

    def forced_inputs(
        self, source: Tensor, source_mask: Tensor, previous: Tensor, target_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """`TranslationModel.forward` up to the output layers: what `predict` wants at the real target tokens,
        in row-major order, [N, F]; and weights [B, K, T, S].
        """
        positions = TargetPositions.of(target_mask)
        logits, weights = self._model.teacher_forcing(source, source_mask, previous, positions)
        return torch.cat(logits.features, dim=1), weights
