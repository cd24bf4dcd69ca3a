"""Linear maps and batched products, also under autocast on a CPU.

There, products with a weight have common numbers of rows (`nmt.model.loops.products`), and the batched
products of attention, which are small and of ever new shapes, are computed in float32.

Shapes: I inputs, O outputs.
"""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nmt.model.loops.products import cast_rows, no_autocast, product_type


class Linear(nn.Linear):
    """`torch.nn.Linear`, by `linear`."""

    def forward(self, input: Tensor) -> Tensor:
        """[…, I] → […, O]."""
        return linear(input, self.weight, self.bias)


def matmul(left: Tensor, right: Tensor) -> Tensor:
    """As `torch.matmul`; under autocast on a CPU in float32."""
    if left.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
        return left @ right
    with no_autocast(left):
        return left.float() @ right.float()


def linear(inputs: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """W x + b, as `torch.nn.functional.linear`; under autocast on a CPU the result has the type of x.

    Args:
        inputs: x, […, I].
        weight: W, [O, I].
        bias: b, [O].

    Returns:
        […, O].
    """
    kind = product_type(inputs)
    if inputs.device.type != "cpu" or kind == inputs.dtype:
        return F.linear(inputs, weight, bias)
    with no_autocast(inputs):
        outputs: Tensor = _Linear.apply(kind, inputs, weight, bias)  # type: ignore[no-untyped-call]
    return outputs


class _Linear(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, kind: torch.dtype, inputs: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        flat, matrix = inputs.reshape(-1, inputs.shape[-1]), weight.to(kind)
        rows = cast_rows(flat, kind)
        ctx.save_for_backward(rows, matrix)
        ctx.has_bias = bias is not None
        product = torch.mm(rows, matrix.t())[: len(flat)]
        outputs = product.to(inputs.dtype) if bias is None else bias + product
        return outputs.view(*inputs.shape[:-1], len(weight))

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outputs: Tensor) -> tuple[Tensor | None, ...]:
        rows, matrix = ctx.saved_tensors
        flat = outputs.reshape(-1, outputs.shape[-1])
        cast = cast_rows(flat, matrix.dtype)
        needs_inputs, needs_weight = ctx.needs_input_grad[1:3]
        inputs = weight = None
        if needs_inputs:
            found = torch.mm(cast, matrix)[: len(flat)].to(outputs.dtype)
            inputs = found.view(*outputs.shape[:-1], matrix.shape[1])
        if needs_weight:
            weight = torch.mm(cast.t(), rows).to(outputs.dtype)
        return None, inputs, weight, flat.sum(dim=0) if ctx.has_bias else None
