"""One step of the Transformer's decoder during search.

Shapes: b sentences, N rows (one per hypothesis), V target vocabulary, E embedding size, M state size, K
hypotheses per sentence, S source length, t target tokens so far.
"""

import math

import torch
from torch import Tensor

from nmt.model.decoders.transformer import TransformerDecoder, TransformerMemory, TransformerState
from nmt.model.embedding import sinusoids
from nmt.model.inference.layout import Layout
from nmt.model.inference.search_state import SearchState


class TransformerSearch:
    """`TransformerDecoder.step`. The projected embeddings are a table, and the hypotheses of a sentence are
    queries of the same cross-attention.
    """

    def __init__(self, decoder: TransformerDecoder, embeddings: Tensor) -> None:
        self._decoder = decoder
        self._inputs = decoder.input_projection(embeddings * math.sqrt(embeddings.shape[1]))  # [V, M]

    def prepare(self, memory: TransformerMemory) -> TransformerMemory:
        """The memory of the decoder, as `step` wants it."""
        return memory

    def step(
        self,
        tokens: Tensor,
        rows: SearchState[TransformerState],
        memory: TransformerMemory,
        layout: Layout,
    ) -> tuple[Tensor, TransformerState, Tensor]:
        """One step; as `LuongSearch.step`."""
        decoder, before = self._decoder, rows.selected()
        position = torch.full((1,), before.keys[0].shape[2], device=tokens.device)  # t
        states = self._inputs.index_select(0, tokens)
        states = (states + sinusoids(position, decoder.size, like=states)).unsqueeze(1)  # [N, 1, M]
        real = memory.mask[:, None, None, :]
        new_keys, new_values = [], []
        for number, layer in enumerate(decoder._layers()):
            normal = layer.self_attention_norm(states)
            keys, values = layer.self_attention.prepare(normal)
            new_keys.append(torch.cat((before.keys[number], keys), dim=2))
            new_values.append(torch.cat((before.values[number], values), dim=2))
            states = states + layer.self_attention(normal, new_keys[-1], new_values[-1], None)
            queries = layout.pad(layer.cross_attention_norm(states).squeeze(1))  # [b, K, M]
            source = memory.keys[number], memory.values[number]
            if number == decoder.aligned:
                weights = layer.cross_attention.weights(queries, source[0], real)
            states = states + layout.unpad(layer.cross_attention(queries, *source, real)).unsqueeze(1)
            states = states + layer.feedforward(layer.feedforward_norm(states))
        after = TransformerState(tuple(new_keys), tuple(new_values))
        return decoder.norm(states).squeeze(1), after, weights
