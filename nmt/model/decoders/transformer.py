"""The Transformer's decoder (Vaswani et al. 2017).

Layer normalisation is applied before each sublayer instead of after it (Xiong et al. 2020, "pre-LN"),
which trains without a long warm-up.

Shapes: B batch, S source length, T target length, t target tokens so far, M state size, K heads, D = M / K,
N real target tokens in the batch.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor, nn

from nmt.config.model import ModelConfig
from nmt.model.dropout import Dropout
from nmt.model.embedding import sinusoids
from nmt.model.encoders.encoded import Encoded
from nmt.model.linear import Linear
from nmt.model.multi_head import FeedForward, MultiHeadAttention
from nmt.model.positions import TargetPositions


class DecoderLayer(nn.Module):
    """Causal self-attention, cross-attention, feed-forward; each x ← x + f(LN(x))."""

    def __init__(self, size: int, state_size: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.self_attention, self.self_attention_norm = (
            MultiHeadAttention(size, size, heads),
            nn.LayerNorm(size),
        )
        self.cross_attention, self.cross_attention_norm = (
            MultiHeadAttention(size, state_size, heads),
            nn.LayerNorm(size),
        )
        self.feedforward, self.feedforward_norm = FeedForward(size, feedforward, dropout), nn.LayerNorm(size)
        self.dropout = Dropout(dropout)


class TransformerMemory(NamedTuple):
    """The encoded source, prepared once per sentence for the decoder.

    Attributes:
        keys, values: of each layer's cross-attention, [B, K, S, D].
        mask: True at real tokens, [B, S].
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]
    mask: Tensor

    def select(self, index: Tensor) -> "TransformerMemory":
        """Select batch rows by index; rows may repeat."""
        keys, values = (tuple(part.index_select(0, index) for part in parts) for parts in self[:2])
        return TransformerMemory(keys, values, self.mask.index_select(0, index))


class TransformerState(NamedTuple):
    """The key/value cache of the target so far: an immutable value, the modules hold no state.

    Attributes:
        keys, values: of each layer's self-attention, [B, K, t, D].
    """

    keys: tuple[Tensor, ...]
    values: tuple[Tensor, ...]

    def select(self, index: Tensor) -> "TransformerState":
        """Select batch rows by index; rows may repeat."""
        keys, values = (tuple(part.index_select(0, index) for part in parts) for parts in self)
        return TransformerState(keys, values)


class TransformerDecoder(nn.Module):
    """Stacked layers of causal self-attention and cross-attention (Vaswani et al. 2017, §3.1); embeddings
    of size E are multiplied by √E (§3.4).

    The weights returned are the cross-attention of the penultimate layer (with one layer: of that layer),
    which aligns best (Garg et al. 2019).
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__()
        decoder = config.decoder
        self.size, self.heads = decoder.size, decoder.heads
        self.input_projection = Linear(decoder.embedding, decoder.size)
        self.layers = nn.ModuleList(
            DecoderLayer(decoder.size, config.encoder.size, decoder.heads, decoder.feedforward, dropout)
            for _ in range(decoder.layers)
        )
        self.norm = nn.LayerNorm(decoder.size)
        self.aligned = max(decoder.layers - 2, 0)
        self.feature_size = decoder.size

    def prepare(self, encoded: Encoded) -> TransformerMemory:
        """Encoded source → memory."""
        prepared = [layer.cross_attention.prepare(encoded.states) for layer in self._layers()]
        return TransformerMemory(
            tuple(keys for keys, _ in prepared), tuple(values for _, values in prepared), encoded.mask
        )

    def init_state(self, encoded: Encoded) -> TransformerState:
        """Encoded source → initial state: an empty cache."""
        nothing = encoded.states.new_zeros((encoded.mask.shape[0], self.heads, 0, self.size // self.heads))
        none = (nothing,) * len(self.layers)
        return TransformerState(none, none)

    def step(
        self, embedded: Tensor, state: TransformerState, memory: TransformerMemory
    ) -> tuple[Tensor, TransformerState, Tensor]:
        """One step; arguments and results as for `BahdanauDecoder.step`."""
        outputs, state, weights = self._run(embedded.unsqueeze(1), state, memory)
        return outputs.squeeze(1), state, weights.squeeze(2)

    def forward(
        self, embedded: Tensor, positions: TargetPositions, state: TransformerState, encoded: Encoded
    ) -> tuple[Tensor, Tensor]:
        """All steps at once with teacher forcing; as `BahdanauDecoder.forward`."""
        outputs, _, weights = self._run(embedded, state, self.prepare(encoded))
        return positions.select(outputs), weights

    def _run(
        self, embedded: Tensor, state: TransformerState, memory: TransformerMemory
    ) -> tuple[Tensor, TransformerState, Tensor]:
        """The next T tokens, [B, T, E] → outputs [B, T, M], the new state, weights [B, K, T, S]."""
        before, T = state.keys[0].shape[2], embedded.shape[1]
        states = self.input_projection(embedded * math.sqrt(embedded.shape[-1]))
        steps = torch.arange(before + T, device=states.device)
        states = states + sinusoids(steps[before:], self.size, like=states)
        past = steps <= steps[before:, None]  # [T, before + T]
        real = memory.mask[:, None, None, :]
        new_keys, new_values = [], []
        for number, layer in enumerate(self._layers()):
            normal = layer.self_attention_norm(states)
            keys, values = layer.self_attention.prepare(normal)
            new_keys.append(torch.cat((state.keys[number].to(keys.dtype), keys), dim=2))
            new_values.append(torch.cat((state.values[number].to(values.dtype), values), dim=2))
            states = states + layer.dropout(layer.self_attention(normal, new_keys[-1], new_values[-1], past))
            normal = layer.cross_attention_norm(states)
            if number == self.aligned:
                weights = layer.cross_attention.weights(normal, memory.keys[number], real)
            states = states + layer.dropout(
                layer.cross_attention(normal, memory.keys[number], memory.values[number], real)
            )
            states = states + layer.dropout(layer.feedforward(layer.feedforward_norm(states)))
        return self.norm(states), TransformerState(tuple(new_keys), tuple(new_values)), weights

    def _layers(self) -> list[DecoderLayer]:
        return [layer for layer in self.layers if isinstance(layer, DecoderLayer)]
