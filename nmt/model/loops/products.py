"""Matrix products of vectors, one in each row, with a weight.

Under autocast the products are computed in its type, and everything else in the type of the states.

On a CPU, oneDNN compiles a kernel for each new number of rows of a product in bfloat16, which takes longer
than most products of a training; and batches of sentences have new numbers all the time. So the rows of these
products are rounded up to common numbers, with zeros (docs/speed.md).

Shapes: n rows, I inputs, O outputs.
"""

import torch
from torch import Tensor


def product_type(state: Tensor) -> torch.dtype:
    """The type of the products: that of autocast, if it is enabled for the device, else the state's."""
    device = state.device.type
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else state.dtype


def state_type(state: Tensor) -> torch.dtype:
    """The type of everything else: at least float32, as small changes of a state would be rounded off."""
    return torch.promote_types(state.dtype, torch.float32)


def no_autocast(like: Tensor) -> torch.autocast:
    """A context without autocast, for code that chooses the types itself."""
    return torch.autocast(like.device.type, enabled=False)


def common_rows(rows: int) -> int:
    """The next number with 16 steps per doubling: 1 … 32, 34, 36 … 64, 68 …; at most a sixteenth more."""
    step = 1 << max(0, rows.bit_length() - 5)
    return -(-rows // step) * step


def cast_rows(vectors: Tensor, dtype: torch.dtype) -> Tensor:
    """Vectors in the type of a product; where it is compiled for their number, with rows of zeros to a common
    number: […, n, I] → […, m, I].
    """
    if vectors.dtype == dtype or vectors.device.type != "cpu":
        return vectors.to(dtype)
    *leading, n, size = vectors.shape
    rows = common_rows(n)
    result = vectors.new_empty((*leading, rows, size), dtype=dtype)
    result[..., :n, :] = vectors
    result[..., n:, :] = 0
    return result


def multiply(inputs: Tensor, matrix: Tensor, plus: Tensor | None = None, out: Tensor | None = None) -> Tensor:
    """x M, or x M + b, in the type of x; the product itself is computed in the type of M.

    Args:
        inputs: x, [n, I].
        matrix: M, [I, O].
        plus: b, [n, O] or [O].
        out: filled with the result and returned, if given; [n, O]; it may be b.
    """
    if matrix.dtype != inputs.dtype:
        product = torch.mm(cast_rows(inputs, matrix.dtype), matrix)[: len(inputs)]
        if out is None:
            return product.to(inputs.dtype) if plus is None else plus + product
        return out.copy_(product) if plus is None else torch.add(plus, product, out=out)
    if plus is None:
        return torch.mm(inputs, matrix, out=out)
    return torch.addmm(plus, inputs, matrix, out=out)


def gradient_of_weight(outputs: Tensor, inputs: Tensor, kind: torch.dtype) -> Tensor:
    """Σ_n g_n x_nᵀ, the gradient of W for W x, in the type of the gradients.

    Args:
        outputs: the gradients g, […, n, O].
        inputs: x, […, n, I].
        kind: the type of the product.

    Returns:
        […, O, I].
    """
    left, right = cast_rows(outputs, kind), cast_rows(inputs, kind)
    return (left.transpose(-1, -2) @ right).to(outputs.dtype)


def transposed(weight: Tensor) -> Tensor:
    """Wᵀ, contiguous: [O, I] → [I, O]. With few rows, x Wᵀ is up to 1.6 times as fast with it on a CPU."""
    return weight.t().contiguous()
