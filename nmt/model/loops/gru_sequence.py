"""A GRU over sequences, with a hand-written backward pass.

Autograd would compute the gradient of the recurrent weight as one small product per step, and add them up;
here it is one large product after the loop. Both directions are computed in one loop. PyTorch's own GRU is
the reference; on a CPU it is slower.

Shapes: D directions, N tokens, B sequences, n of them at a step, H state size, X input size.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nmt.model.dropout import dropout
from nmt.model.linear import linear
from nmt.model.loops.gru_step import GRUStep, gru_step
from nmt.model.loops.packed import PackedStates, TokenIndices
from nmt.model.loops.products import (
    cast_rows,
    gradient_of_weight,
    no_autocast,
    product_type,
    state_type,
)


def gru_layers(
    rnn: nn.GRU, inputs: Tensor, active: list[int], start: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """All layers and directions of PyTorch's GRU, with its weights and its dropout, on the CPU.

    Args:
        rnn: the module.
        inputs: packed, [N, X].
        active: n of each step (see `nmt.model.loops.packed`).
        start: initial states, [L·D, B, H], for L layers; None: zeros.

    Returns:
        outputs of the top layer, packed, [N, D·H], and the final states, [L·D, B, H].
    """
    directions = ("", "_reverse") if rnn.bidirectional else ("",)
    indices = TokenIndices.of(active)
    finals: list[Tensor] = []
    for layer in range(rnn.num_layers):
        inputs = dropout(inputs, rnn.dropout, rnn.training) if layer else inputs
        input_weights, weights, input_biases, biases = (
            tuple(rnn.get_parameter(f"{name}_l{layer}{direction}") for direction in directions)
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        gates = [linear(inputs, *both) for both in zip(input_weights, input_biases, strict=True)]
        gates[1:] = [backward.index_select(0, indices.mirrored) for backward in gates[1:]]
        chosen = slice(layer * len(directions), (layer + 1) * len(directions))
        shape = len(directions), active[0], rnn.hidden_size
        first = gates[0].new_zeros(shape) if start is None else start[chosen]
        states = gru_sequence(torch.stack(gates), first, torch.stack(weights), torch.stack(biases), active)
        finals.append(states.index_select(1, indices.last))
        forward, *backward = states
        inputs = torch.cat((forward, *(one.index_select(0, indices.mirrored) for one in backward)), dim=-1)
    return inputs, torch.cat(finals)


def gru_sequence(gates: Tensor, start: Tensor, weight: Tensor, bias: Tensor, active: list[int]) -> Tensor:
    """One layer; each direction from its first token to its last.

    Args:
        gates: gate inputs W x + b of every token, packed, [D, N, 3H].
        start: initial states, [D, B, H].
        weight: the recurrent weights U, [D, 3H, H].
        bias: the recurrent biases b', [D, 3H].
        active: n of each step.

    Returns:
        the states, packed, [D, N, H].
    """
    states: Tensor
    kind, start = product_type(start), start.to(state_type(start))
    with no_autocast(start):
        states = _GRUSequence.apply(kind, active, gates, start, weight, bias)  # type: ignore[no-untyped-call]
    return states


class _GRUSequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        kind: torch.dtype,
        active: list[int],
        gates: Tensor,
        start: Tensor,
        weight: Tensor,
        bias: Tensor,
    ) -> Tensor:
        weight = weight.to(kind)
        recurrent, bias = weight.transpose(1, 2).contiguous(), bias.unsqueeze(1)
        hidden = PackedStates(start, active)
        parts = zip(
            torch.split(gates.to(start.dtype), active, dim=1), hidden.before, hidden.after, strict=False
        )
        ctx.steps = [
            gru_step(inputs, _multiply(before, recurrent, bias), before, after)
            for inputs, before, after in parts
        ]
        ctx.save_for_backward(weight)
        ctx.hidden, ctx.active = hidden, active
        return hidden.packed

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, states: Tensor) -> tuple[Tensor | None, ...]:
        (weight,) = ctx.saved_tensors
        saved: list[GRUStep] = ctx.steps
        D, N, H = states.shape
        carry = states.new_zeros((D, ctx.active[0], H))
        inputs, recurrent = states.new_empty((D, N, 3 * H)), states.new_empty((D, N, 3 * H))
        split = (torch.split(part, ctx.active, dim=1) for part in (states, inputs, recurrent))
        for step, state, into, of_gates in reversed(list(zip(saved, *split, strict=True))):
            now = carry[:, : state.shape[1]]
            through = step.backward(now + state, into, of_gates)
            now.copy_(_multiply(of_gates, weight, through))
        before = ctx.hidden.packed_before
        weights = gradient_of_weight(recurrent, before, weight.dtype)
        return None, None, inputs, carry, weights, recurrent.sum(dim=1)


def _multiply(inputs: Tensor, matrices: Tensor, plus: Tensor) -> Tensor:
    """x M + b for each direction: [D, n, I] and [D, I, O] → [D, n, O], in the type of x."""
    if matrices.dtype == inputs.dtype:
        return torch.baddbmm(plus, inputs, matrices)
    rows = cast_rows(inputs, matrices.dtype)
    return plus + torch.bmm(rows, matrices)[:, : inputs.shape[1]]
