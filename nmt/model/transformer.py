"""The Transformer (Vaswani et al. 2017): an encoder that works with any decoder, and a decoder.

Layer normalisation is applied before each sublayer instead of after it (Xiong et al. 2020, "pre-LN"),
which trains without a long warm-up.

Shapes: B batch, S source length, T target length, L either length, M state size, K heads, D = M / K,
N real target tokens in the batch.
"""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.config.model import ModelConfig
from nmt.model.embedding import sinusoids
from nmt.model.encoder import Encoded, state_at_end
from nmt.model.positions import TargetPositions
from nmt.model.scores.base import merge_heads, split_heads
from nmt.model.spans import masked_softmax


class FeedForward(nn.Module):
    """W_2 max(0, W_1 x + b_1) + b_2 at each position (Vaswani et al. 2017, §3.3)."""

    def __init__(self, size: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.fc1, self.fc2 = nn.Linear(size, hidden), nn.Linear(hidden, size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor) -> Tensor:
        """[B, L, M] → [B, L, M]."""
        output: Tensor = self.fc2(self.dropout(self.fc1(states).relu()))
        return output


_cudnn_setting = threading.RLock()  # the setting is the process's, so one thread at a time changes it


@contextmanager
def without_cudnn_attention() -> Iterator[None]:
    """Disables the cuDNN backend of scaled dot-product attention; the flash, memory-efficient and math
    backends are left unchanged. The previous setting is restored on exit.

    The cuDNN kernel builds a plan for every new shape (see pytorch/pytorch#155958), which takes far longer
    than the attention itself, and here nearly every batch and every decoding step has a new shape. Only the
    forward call needs to be inside: the backward pass uses the same backend.
    """
    with _cudnn_setting:
        before = torch.backends.cuda.cudnn_sdp_enabled()  # type: ignore[no-untyped-call]
        torch.backends.cuda.enable_cudnn_sdp(False)
        try:
            yield
        finally:
            torch.backends.cuda.enable_cudnn_sdp(before)


def attended(queries: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
    """softmax(Q Kᵀ / √D) V by PyTorch's scaled dot-product attention; arguments as for `MultiHead.forward`,
    with the queries split into heads like the keys. Returns [B, K, T, D].

    On CUDA the cuDNN backend is never used (see `without_cudnn_attention`). On a CPU it never runs in
    bfloat16, in which the backward pass is several times slower.
    """
    if queries.device.type == "cuda":
        with without_cudnn_attention():
            return F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
    if queries.device.type != "cpu":
        return F.scaled_dot_product_attention(queries, keys, values, attn_mask=mask)
    kind = torch.promote_types(queries.dtype, torch.float32)
    with torch.autocast("cpu", enabled=False):
        found = F.scaled_dot_product_attention(
            queries.to(kind), keys.to(kind), values.to(kind), attn_mask=mask
        )
    return found.to(queries.dtype)


class MultiHead(nn.Module):
    """Multi-head attention with projections W^Q, W^K, W^V and W^O (Vaswani et al. 2017, §3.2.2)."""

    def __init__(self, size: int, source_size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.out = nn.Linear(size, size), nn.Linear(size, size)
        self.key, self.value = nn.Linear(source_size, size), nn.Linear(source_size, size)

    def prepare(self, states: Tensor) -> tuple[Tensor, Tensor]:
        """Attended states, [B, L, M'] → keys and values, [B, K, L, D] each."""
        return split_heads(self.key(states), self.heads), split_heads(self.value(states), self.heads)

    def forward(self, query: Tensor, keys: Tensor, values: Tensor, mask: Tensor | None) -> Tensor:
        """W^O softmax(Q Kᵀ / √D) V, by PyTorch's scaled dot-product attention.

        Args:
            query: [B, T, M].
            keys, values: [B, K, L, D].
            mask: True where a query may attend, broadcastable to [B, K, T, L]; None: everywhere.
        """
        queries = split_heads(self.query(query), self.heads)
        mixed: Tensor = self.out(merge_heads(attended(queries, keys, values, mask)))
        return mixed

    def weights(self, query: Tensor, keys: Tensor, mask: Tensor) -> Tensor:
        """The weights softmax(Q Kᵀ / √D), which that kernel does not return; arguments as for `forward`."""
        queries = split_heads(self.query(query), self.heads) / math.sqrt(keys.shape[-1])
        return masked_softmax(queries @ keys.transpose(-1, -2), mask)


class EncoderLayer(nn.Module):
    """x ← x + SelfAttention(LN(x));  x ← x + FeedForward(LN(x))."""

    def __init__(self, size: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.attention, self.attention_norm = MultiHead(size, size, heads), nn.LayerNorm(size)
        self.feedforward, self.feedforward_norm = FeedForward(size, feedforward, dropout), nn.LayerNorm(size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, states: Tensor, mask: Tensor) -> Tensor:
        """[B, S, M] and [B, 1, 1, S] → [B, S, M]."""
        normal = self.attention_norm(states)
        states = states + self.dropout(self.attention(normal, *self.attention.prepare(normal), mask))
        states = states + self.dropout(self.feedforward(self.feedforward_norm(states)))
        return states


class SelfAttentionEncoder(nn.Module):
    """Self-attention over embeddings with sinusoidal positions (Vaswani et al. 2017, §3.1 and §3.5).

    Embeddings of size E are multiplied by √E (§3.4), otherwise the position embeddings would dominate.
    Tokens beyond `encoder.positions` share the last position embedding.
    """

    def __init__(self, config: ModelConfig, dropout: float = 0.0) -> None:
        super().__init__()
        encoder = config.encoder
        self.positions = encoder.positions
        self.input_projection = nn.Linear(encoder.embedding, encoder.size)
        self.layers = nn.ModuleList(
            EncoderLayer(encoder.size, encoder.heads, encoder.feedforward, dropout)
            for _ in range(encoder.layers)
        )
        self.norm = nn.LayerNorm(encoder.size)

    def forward(self, embedded: Tensor, mask: Tensor) -> Encoded:
        """Encode; arguments as for `RecurrentEncoder.forward`."""
        states = self.input_projection(embedded * math.sqrt(embedded.shape[-1]))
        positions = torch.arange(mask.shape[1], device=mask.device).clamp(max=self.positions - 1)
        states = states + sinusoids(positions, states.shape[-1], like=states)
        for layer in self.layers:
            states = layer(states, mask[:, None, None, :])
        states = self.norm(states) * mask.unsqueeze(-1)
        return Encoded(states, mask, state_at_end(states, mask))


class DecoderLayer(nn.Module):
    """Causal self-attention, cross-attention, feed-forward; each x ← x + f(LN(x))."""

    def __init__(self, size: int, state_size: int, heads: int, feedforward: int, dropout: float) -> None:
        super().__init__()
        self.self_attention, self.self_attention_norm = MultiHead(size, size, heads), nn.LayerNorm(size)
        self.cross_attention, self.cross_attention_norm = (
            MultiHead(size, state_size, heads),
            nn.LayerNorm(size),
        )
        self.feedforward, self.feedforward_norm = FeedForward(size, feedforward, dropout), nn.LayerNorm(size)
        self.dropout = nn.Dropout(dropout)


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
        self.input_projection = nn.Linear(decoder.embedding, decoder.size)
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
        self, embedded: Tensor, mask: TargetPositions, state: TransformerState, memory: TransformerMemory
    ) -> tuple[Tensor, Tensor]:
        """All steps at once with teacher forcing; as `BahdanauDecoder.forward`."""
        outputs, _, weights = self._run(embedded, state, memory)
        return outputs[mask], weights

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
