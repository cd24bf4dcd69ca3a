"""The loop of the Bahdanau decoder, with a hand-written backward pass.

The gradient of a weight is one product after the loop, and no autograd node is created per operation.
The loop of `BahdanauDecoder`, which works with every cell, score and scope, is the reference.

Shapes: N target tokens, B sentences, n of them at a step, S source length, T steps, H decoder state size,
M encoder state size, D key size.
"""

from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmt.model.loops.gru_step import GRUStep, gru_step
from nmt.model.loops.loop_attention import LoopAttention, loop_attention
from nmt.model.loops.packed import PackedStates, padded
from nmt.model.loops.products import (
    gradient_of_weight,
    multiply,
    no_autocast,
    product_type,
    state_type,
    transposed,
)


class BahdanauWeights(NamedTuple):
    """The weights used in the loop.

    Attributes:
        recurrent: U, [3H, H].
        bias: of U, [3H].
        context: C, the gates' columns for the context, [3H, M].
        query: W^Q of the score, [D, H]; None: the state itself is the query.
        energy: v of the score, [D]; None: the score is a dot product.
    """

    recurrent: Tensor
    bias: Tensor
    context: Tensor
    query: Tensor | None
    energy: Tensor | None


def bahdanau_loop(
    gates: Tensor,
    start: Tensor,
    keys: Tensor,
    states: Tensor,
    mask: Tensor,
    weights: BahdanauWeights,
    active: list[int],
) -> tuple[Tensor, Tensor, Tensor]:
    """All steps: α_t from s_{t−1};  c_t = Σ_j α_tj h_j;  s_t = GRU(s_{t−1}, x_t + C c_t).

    Args:
        gates: gate inputs x of every target token, packed, [N, 3H].
        start: s_0, [B, H].
        keys: [B, S, D].
        states: h, [B, S, M].
        mask: True at real source tokens, [B, S].
        weights: the weights.
        active: n of each step (see `nmt.model.loops.packed`).

    Returns:
        states s, packed, [N, H]; contexts c, packed, [N, M]; and weights α, [B, T, S].
    """
    found: tuple[Tensor, Tensor, Tensor]
    kind, start = product_type(start), start.to(state_type(start))
    with no_autocast(start):
        found = _BahdanauLoop.apply(  # type: ignore[no-untyped-call]
            kind, active, mask, gates, start, keys, states, *weights
        )
    return found


class _BahdanauLoop(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        kind: torch.dtype,
        active: list[int],
        mask: Tensor,
        gates: Tensor,
        start: Tensor,
        keys: Tensor,
        states: Tensor,
        *weights: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor]:
        given = BahdanauWeights(*weights)  # type: ignore[arg-type]
        size = start.shape[1]
        gates, keys, states = (part.to(start.dtype) for part in (gates, keys, states))
        from_state, bias = _from_state(given, kind)
        on_state, on_context = transposed(from_state), transposed(given.context.to(kind))
        attention = loop_attention(keys, mask, active, given.energy)
        hidden = PackedStates(start, active)
        contexts = states.new_empty((len(gates), states.shape[2]))
        saved: list[GRUStep] = []
        parts = zip(
            hidden.before,
            hidden.after,
            torch.split(gates, active),
            torch.split(contexts, active),
            strict=False,
        )
        for t, (before, after, inputs, context) in enumerate(parts):
            products = multiply(before, on_state, bias)  # [n, 3H + D]
            recurrent, query = products[:, : 3 * size], products[:, 3 * size :]
            alpha = attention.forward(t, before if given.query is None else query)
            torch.bmm(alpha.unsqueeze(1), states[: len(before)], out=context.unsqueeze(1))
            saved.append(gru_step(multiply(context, on_context, inputs), recurrent, before, after))
        ctx.save_for_backward(states, contexts, from_state, given.context)
        ctx.hidden, ctx.steps, ctx.attention = hidden, saved, attention
        ctx.active, ctx.kind, ctx.has_query = active, kind, given.query is not None
        return hidden.packed, contexts, attention.weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outputs: Tensor, contexts: Tensor, weights: Tensor) -> tuple[Tensor | None, ...]:
        states, context_values, from_state, context_weight = ctx.saved_tensors
        attention: LoopAttention = ctx.attention
        attention.start_backward()
        saved: list[GRUStep] = ctx.steps
        on_context, gates = context_weight.to(ctx.kind), len(context_weight)
        contexts = contexts.clone()
        inputs = outputs.new_empty((len(outputs), gates))
        products = outputs.new_empty((len(outputs), len(from_state)))
        carry = outputs.new_zeros((ctx.active[0], gates // 3))
        parts = zip(
            *(torch.split(part, ctx.active) for part in (outputs, contexts, inputs, products)), strict=True
        )
        for t, (output, context, into, product) in reversed(list(enumerate(parts))):
            n = len(output)
            recurrent, query = product[:, :gates], product[:, gates:]
            through = saved[t].backward(carry[:n] + output, into, recurrent)
            multiply(into, on_context, context, out=context)
            of_weights = torch.bmm(states[:n], context.unsqueeze(-1)).squeeze(-1).add_(weights[:n, t])
            query = query if ctx.has_query else torch.empty_like(through)
            attention.backward(t, of_weights, query)
            through = through if ctx.has_query else through.add_(query)
            multiply(product, from_state, through, out=carry[:n])
        of_states = torch.bmm(attention.weights.transpose(1, 2), padded(contexts, ctx.active))
        of_keys, of_energy = attention.gradients()
        of_products = gradient_of_weight(products, ctx.hidden.packed_before, ctx.kind)
        of_context = gradient_of_weight(inputs, context_values, ctx.kind)
        of_query = of_products[gates:] if ctx.has_query else None
        of_bias = products[:, :gates].sum(dim=0)
        return (
            None, None, None, inputs, carry, of_keys, of_states,
            of_products[:gates], of_bias, of_context, of_query, of_energy,
        )  # fmt: skip


def _from_state(weights: BahdanauWeights, kind: torch.dtype) -> tuple[Tensor, Tensor]:
    """What is multiplied by the state, in one product: [U ; W^Q], [3H + D, H], and its bias."""
    if weights.query is None:
        return weights.recurrent.to(kind), weights.bias
    both = torch.cat((weights.recurrent, weights.query)).to(kind)
    return both, torch.cat((weights.bias, weights.bias.new_zeros(len(weights.query))))
