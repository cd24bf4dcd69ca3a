"""One step of PyTorch's GRU and its backward pass, written out, for hand-written loops.

Shapes: n rows, H state size; … any leading dimensions.
"""

from typing import NamedTuple

import torch
from torch import Tensor


class GRUStep(NamedTuple):
    """What the backward pass of a step needs.

    Attributes:
        reset_update: r and z, […, n, 2H].
        new: the candidate state n, […, n, H].
        recurrent_new: u_n, […, n, H].
        before: the state before the step, h, […, n, H].
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
            gradient: g, […, n, H].
            inputs: filled with dx, […, n, 3H].
            recurrent: filled with du, […, n, 3H].

        Returns:
            the gradient of h through the interpolation alone, g ∘ z, […, n, H].
        """
        size = gradient.shape[-1]
        reset, update = torch.split(self.reset_update, size, dim=-1)
        through = gradient * update
        before_sigmoid, before_tanh = torch.split(inputs, [2 * size, size], dim=-1)
        of_reset, of_update = torch.split(before_sigmoid, size, dim=-1)
        aten = torch.ops.aten
        aten.tanh_backward.grad_input(gradient - through, self.new, grad_input=before_tanh)
        torch.mul(before_tanh, self.recurrent_new, out=of_reset)
        torch.sub(self.before, self.new, out=of_update).mul_(gradient)
        aten.sigmoid_backward.grad_input(before_sigmoid, self.reset_update, grad_input=before_sigmoid)
        gates, new = torch.split(recurrent, [2 * size, size], dim=-1)
        gates.copy_(before_sigmoid)
        torch.mul(before_tanh, reset, out=new)
        return through


def gru_step(inputs: Tensor, recurrent: Tensor, before: Tensor, after: Tensor) -> GRUStep:
    """As `nmt.model.cells.gru_cell`, which has the equations.

    Args:
        inputs: x, […, n, 3H].
        recurrent: u, […, n, 3H].
        before: h, […, n, H].
        after: filled with the state after the step, […, n, H].

    Returns:
        what the backward pass needs.
    """
    size = before.shape[-1]
    gates_x, new_x = torch.split(inputs, [2 * size, size], dim=-1)
    gates_u, new_u = torch.split(recurrent, [2 * size, size], dim=-1)
    reset_update = (gates_x + gates_u).sigmoid_()
    reset, update = torch.split(reset_update, size, dim=-1)
    new = torch.addcmul(new_x, reset, new_u).tanh_()
    torch.lerp(new, before, update, out=after)
    return GRUStep(reset_update, new, new_u, before)
