"""The sublayers of the Transformer (Vaswani et al. 2017): multi-head attention and the feed-forward network.

Shapes: B batch, L length, T target length, M state size, M' size of the attended states, K heads, D = M / K.
"""

import math
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from nmt.model.attention.scopes import masked_softmax
from nmt.model.attention.scores.score import merge_heads, split_heads
from nmt.model.dropout import Dropout
from nmt.model.linear import Linear


class FeedForward(nn.Module):
    """W_2 max(0, W_1 x + b_1) + b_2 at each position (Vaswani et al. 2017, §3.3)."""

    def __init__(self, size: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.fc1, self.fc2 = Linear(size, hidden), Linear(hidden, size)
        self.dropout = Dropout(dropout)

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
    """softmax(Q Kᵀ / √D) V by PyTorch's scaled dot-product attention; arguments as for
    `MultiHeadAttention.forward`, with the queries split into heads like the keys. Returns [B, K, T, D].

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


class MultiHeadAttention(nn.Module):
    """Multi-head attention with projections W^Q, W^K, W^V and W^O (Vaswani et al. 2017, §3.2.2)."""

    def __init__(self, size: int, source_size: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.out = Linear(size, size), Linear(size, size)
        self.key, self.value = Linear(source_size, size), Linear(source_size, size)

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
