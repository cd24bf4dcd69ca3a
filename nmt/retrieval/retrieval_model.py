"""A model whose next token is also retrieved from the training set.

Shapes: B sentences, N rows (one per hypothesis), S source length, T target length, K heads, V vocabulary.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.config.decoding import RetrievalConfig
from nmt.model.decoders.decoder import Selectable
from nmt.model.inference.prepared import PreparedModel
from nmt.model.inference.search_memory import SearchMemory
from nmt.model.inference.search_state import SearchState
from nmt.retrieval.token_memory import TokenMemory, interpolate


@dataclass(frozen=True)
class RetrievalModel:
    """The model's distribution, interpolated with that of the retrieved tokens; an `InferenceModel`.

    Attributes:
        model: with its own features as keys of `memory`.
        memory: the training tokens.
        config: weight, number and temperature; the weight is above 0.
    """

    model: PreparedModel
    memory: TokenMemory
    config: RetrievalConfig

    @property
    def device(self) -> torch.device:
        """As `InferenceModel.device`."""
        return self.model.device

    @property
    def heads(self) -> int:
        """As `InferenceModel.heads`."""
        return self.model.heads

    def encode(self, source: Tensor, mask: Tensor) -> tuple[SearchState[Selectable], SearchMemory]:
        """As `InferenceModel.encode`."""
        return self.model.encode(source, mask)

    def step(
        self, tokens: Tensor, state: SearchState[Selectable], memory: SearchMemory
    ) -> tuple[Tensor, SearchState[Selectable], Tensor]:
        """As `InferenceModel.step`."""
        inputs, after, weights = self.model.output_inputs(tokens, state, memory)
        return self._predict(inputs), after, weights

    def score(
        self, source: Tensor, source_mask: Tensor, previous: Tensor, target: Tensor, target_mask: Tensor
    ) -> tuple[Tensor, Tensor]:
        """As `InferenceModel.score`."""
        inputs, weights = self.model.forced_inputs(source, source_mask, previous, target_mask)
        scores = self._predict(inputs).gather(1, target[target_mask].unsqueeze(1))
        return scores.new_zeros(target.shape).masked_scatter(target_mask, scores), weights

    def _predict(self, inputs: Tensor) -> Tensor:
        """What the output layers get, [N, F] → log-probabilities [N, V]."""
        retrieved = self.memory.retrieve(inputs, self.config)
        return interpolate(self.model.predict(inputs), retrieved, self.config.weight)
