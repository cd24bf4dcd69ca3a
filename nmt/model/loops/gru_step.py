"""One step of PyTorch's GRU and its backward pass, written out, for hand-written loops.

Shapes: n rows, H state size.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class GRUStep(NamedTuple):
    """What the backward pass of a step needs.

    Attributes:
        reset_update: r and z, [n, 2H].
        new: the candidate state n, [n, H].
        recurrent_new: u_n, [n, H].
        before: the state before the step, h, [n, H].
    """

    reset_update: Tensor
    new: Tensor
    recurrent_new: Tensor
    before: Tensor

    def backward(self, gradient: Tensor, inputs: Tensor, recurrent: Tensor) -> Tensor:
        """The backward pass of `gru_step`.

        With g the gradient of h' = (1 − z) ∘ n + z ∘ h, and a the sums before the activation functions:
        da_n = g ∘ (1 − z) ∘ (1 − n²);  da_z = g ∘ (h − n) ∘ z ∘ (1 − z);  da_r = da_n ∘ u_n ∘ r ∘ (1 − r);
        dx = [da_r ; da_z ; da_n];  du = [da_r ; da_z ; da_n ∘ r].

        Args:
            gradient: g, [n, H].
            inputs: filled with dx, [n, 3H].
            recurrent: filled with du, [n, 3H].

        Returns:
            the gradient of h through the interpolation alone, g ∘ z, [n, H].
        """
        gates = 2 * gradient.shape[1]  # columns of r and z
        reset, update = self.reset_update.chunk(2, dim=1)
        through = gradient * update
        before_tanh, before_sigmoid = inputs[:, gates:], recurrent[:, :gates]
        aten = torch.ops.aten
        aten.tanh_backward.grad_input(gradient - through, self.new, grad_input=before_tanh)
        torch.mul(before_tanh, reset, out=recurrent[:, gates:])
        torch.mul(before_tanh, self.recurrent_new, out=before_sigmoid[:, : gates // 2])
        torch.mul(self.before - self.new, gradient, out=before_sigmoid[:, gates // 2 :])
        aten.sigmoid_backward.grad_input(before_sigmoid, self.reset_update, grad_input=before_sigmoid)
        inputs[:, :gates] = before_sigmoid
        return through


def gru_step(inputs: Tensor, recurrent: Tensor, before: Tensor) -> tuple[Tensor, GRUStep]:
    """As `nmt.model.cells.gru_cell`, which has the equations.

    Args:
        inputs: x, [n, 3H].
        recurrent: u, [n, 3H].
        before: h, [n, H].

    Returns:
        the state after the step [n, H], and what its backward pass needs.
    """
    gates = 2 * before.shape[1]
    reset_update = (inputs[:, :gates] + recurrent[:, :gates]).sigmoid_()
    reset, update = reset_update.chunk(2, dim=1)
    new = torch.addcmul(inputs[:, gates:], reset, recurrent[:, gates:]).tanh_()
    return torch.lerp(new, before, update), GRUStep(reset_update, new, recurrent[:, gates:], before)
