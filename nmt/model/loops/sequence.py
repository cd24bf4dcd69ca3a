"""A GRU over sequences, with a hand-written backward pass.

Autograd would compute the gradient of the recurrent weight as one small product per step, and add them up;
here it is one large product after the loop. PyTorch's own GRU is the reference; on a CPU it is slower.

Shapes: N tokens, B sequences, n of them at a step, H state size, X input size.
"""

from collections.abc import Sequence
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from nmt.model.dropout import dropout
from nmt.model.loops.gru_step import GRUStep, gru_step
from nmt.model.loops.packed import steps
from nmt.model.loops.products import multiply, no_autocast, product_type, state_type, transposed


def gru_sequence(
    gates: Tensor, start: Tensor, weight: Tensor, bias: Tensor, active: Sequence[int], reverse: bool = False
) -> tuple[Tensor, Tensor]:
    """One layer in one direction.

    Args:
        gates: gate inputs W x + b of every token, packed, [N, 3H].
        start: initial states, [B, H].
        weight: the recurrent weight U, [3H, H].
        bias: the recurrent bias b', [3H].
        active: n of each step (see `nmt.model.loops.packed`).
        reverse: from the last token to the first.

    Returns:
        the states, packed, [N, H], and the final state of each sequence, [B, H].
    """
    states: Tensor
    final: Tensor
    kind, start = product_type(start), start.to(state_type(start))
    with no_autocast(start):
        states, final = _GRUSequence.apply(  # type: ignore[no-untyped-call]
            kind, active, reverse, gates, start, weight, bias
        )
    return states, final


def gru_layers(
    rnn: nn.GRU, inputs: Tensor, active: Sequence[int], start: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    """All layers and directions of PyTorch's GRU, with its weights and its dropout.

    Args:
        rnn: the module.
        inputs: packed, [N, X].
        active: n of each step.
        start: initial states, [L·D, B, H], for L layers and D directions; None: zeros.

    Returns:
        outputs of the top layer, packed, [N, D·H], and the final states, [L·D, B, H].
    """
    directions = ("", "_reverse") if rnn.bidirectional else ("",)
    finals: list[Tensor] = []
    for layer in range(rnn.num_layers):
        inputs = dropout(inputs, rnn.dropout, rnn.training) if layer else inputs
        outputs = []
        for direction in directions:
            weight_ih, weight_hh, bias_ih, bias_hh = (
                rnn.get_parameter(f"{name}_l{layer}{direction}")
                for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
            )
            gates = F.linear(inputs, weight_ih, bias_ih)
            first = gates.new_zeros((active[0], rnn.hidden_size)) if start is None else start[len(finals)]
            output, final = gru_sequence(gates, first, weight_hh, bias_hh, active, reverse=direction != "")
            outputs.append(output)
            finals.append(final)
        inputs = torch.cat(outputs, dim=-1) if len(outputs) > 1 else outputs[0]
    return inputs, torch.stack(finals)


class _GRUSequence(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        kind: torch.dtype,
        active: Sequence[int],
        reverse: bool,
        gates: Tensor,
        start: Tensor,
        weight: Tensor,
        bias: Tensor,
    ) -> tuple[Tensor, Tensor]:
        gates = gates.to(start.dtype)
        recurrent = transposed(weight.to(kind))
        states = start.new_empty((len(gates), start.shape[1]))
        state, before = start.clone(), torch.empty_like(states)
        saved: list[GRUStep] = []
        for rows in steps(active, reverse):
            now = state[: rows.stop - rows.start]
            before[rows] = now
            new, step = gru_step(gates[rows], multiply(before[rows], recurrent, bias), before[rows])
            states[rows] = new
            now.copy_(new)
            saved.append(step)
        ctx.save_for_backward(weight, before)
        ctx.steps, ctx.kind, ctx.active, ctx.reverse = saved, kind, active, reverse
        return states, state

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, states: Tensor, final: Tensor) -> tuple[Tensor | None, ...]:
        weight, before = ctx.saved_tensors
        weight = weight.to(ctx.kind)
        carry = final.clone()
        inputs = before.new_empty((len(before), len(weight)))
        recurrent = torch.empty_like(inputs)
        backwards = list(steps(ctx.active, ctx.reverse))[::-1]
        for rows, step in zip(backwards, reversed(ctx.steps), strict=True):
            now = carry[: rows.stop - rows.start]
            through = step.backward(now + states[rows], inputs[rows], recurrent[rows])
            multiply(recurrent[rows], weight, through, out=now)
        weights = multiply(recurrent.t(), before.to(ctx.kind))
        return None, None, None, inputs, carry, weights, recurrent.sum(dim=0)
