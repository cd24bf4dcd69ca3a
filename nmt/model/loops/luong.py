"""The loop of the Luong decoder with input feeding, with a hand-written backward pass.

As `nmt.model.loops.bahdanau`; the loop of `LuongDecoder` is the reference.

Shapes: N target tokens, B sentences, n of them at a step, S source length, T steps, H decoder state size,
D key size.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmt.model.loops.attention import LoopAttention, loop_attention
from nmt.model.loops.gru_step import GRUStep, gru_step
from nmt.model.loops.packed import padded, steps
from nmt.model.loops.products import multiply, no_autocast, product_type, state_type, transposed


class LuongWeights(NamedTuple):
    """The weights used in the loop.

    Attributes:
        recurrent: U, [3H, H].
        bias: of U, [3H].
        feed: F, the gates' columns for the attentional vector of the previous step, [3H, H].
        combine: C, W_c's columns for the state, [H, H].
        combine_bias: [H], or None.
        query: W^Q of the score, [D, H]; None: the state itself is the query.
        energy: v of the score, [D]; None: the score is a dot product.
    """

    recurrent: Tensor
    bias: Tensor
    feed: Tensor
    combine: Tensor
    combine_bias: Tensor | None
    query: Tensor | None
    energy: Tensor | None


def luong_loop(
    gates: Tensor,
    start: Tensor,
    keys: Tensor,
    values: Tensor,
    mask: Tensor,
    noise: Tensor | None,
    weights: LuongWeights,
    active: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """All steps: h_t = GRU(h_{t−1}, x_t + F h̃_{t−1});  α_t from h_t;  h̃_t = d_t ∘ tanh(Σ_j α_tj v_j + C h_t).

    Args:
        gates: gate inputs x of every target token, packed, [N, 3H].
        start: h_0, [B, H]; h̃_0 is zero.
        keys: [B, S, D].
        values: v, the source states projected by W_c's columns for the context, [B, S, H].
        mask: True at real source tokens, [B, S].
        noise: dropout d, packed, [N, H]: 0 or 1 / (1 − p); None: no dropout.
        weights: the weights.
        active: n of each step (see `nmt.model.loops.packed`).

    Returns:
        attentional vectors h̃, packed, [N, H], and weights α, [B, T, S].
    """
    found: tuple[Tensor, Tensor]
    kind, start = product_type(start), start.to(state_type(start))
    with no_autocast(start):
        found = _LuongLoop.apply(  # type: ignore[no-untyped-call]
            kind, active, mask, noise, gates, start, keys, values, *weights
        )
    return found


class _LuongLoop(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        kind: torch.dtype,
        active: Sequence[int],
        mask: Tensor,
        noise: Tensor | None,
        gates: Tensor,
        start: Tensor,
        keys: Tensor,
        values: Tensor,
        *weights: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        given = LuongWeights(*weights)  # type: ignore[arg-type]
        size = start.shape[1]
        gates, keys, values = (part.to(start.dtype) for part in (gates, keys, values))
        recurrent, feed = given.recurrent.to(kind), given.feed.to(kind)
        from_state, bias = _from_state(given, kind)
        on_before, on_feed, on_state = transposed(recurrent), transposed(feed), transposed(from_state)
        attention = loop_attention(keys, mask, given.energy, len(active))
        before, fed, states, vectors = (start.new_empty((len(gates), size)) for _ in range(4))
        saved: list[GRUStep] = []
        state, features = start, torch.zeros_like(start)
        for t, rows in enumerate(steps(active)):
            n = active[t]
            before[rows], fed[rows] = state[:n], features[:n]
            inputs = multiply(fed[rows], on_feed, gates[rows])
            state, step = gru_step(inputs, multiply(before[rows], on_before, given.bias), before[rows])
            saved.append(step)
            states[rows] = state
            products = multiply(state, on_state, bias)  # [n, H + D]
            alpha = attention.forward(t, state if given.query is None else products[:, size:])
            context = torch.bmm(alpha.unsqueeze(1), values[:n]).squeeze(1)
            vectors[rows] = context.add_(products[:, :size]).tanh_()
            features = vectors[rows] if noise is None else vectors[rows] * noise[rows]
        outputs = vectors if noise is None else vectors * noise
        ctx.save_for_backward(
            values, vectors, noise, before, fed, states, attention.weights, recurrent, feed, from_state
        )
        ctx.steps, ctx.attention, ctx.active, ctx.kind = saved, attention, active, kind
        ctx.has_query, ctx.has_bias = given.query is not None, given.combine_bias is not None
        return outputs, attention.weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outputs: Tensor, weights: Tensor) -> tuple[Tensor | None, ...]:
        values, vectors, noise, before, fed, states, alpha, recurrent, feed, from_state = ctx.saved_tensors
        attention: LoopAttention = ctx.attention
        saved: list[GRUStep] = ctx.steps
        size, kind = before.shape[1], ctx.kind
        inputs, of_recurrent = (outputs.new_empty((len(outputs), 3 * size)) for _ in range(2))
        products = outputs.new_empty((len(outputs), len(from_state)))
        carry, carry_feed = (outputs.new_zeros((ctx.active[0], size)) for _ in range(2))
        for t, rows in zip(reversed(range(len(saved))), steps(ctx.active, reverse=True), strict=True):
            n = ctx.active[t]
            of_vectors = outputs[rows] + carry_feed[:n]
            of_vectors = of_vectors if noise is None else of_vectors.mul_(noise[rows])
            of_sums = products[rows, :size]
            torch.ops.aten.tanh_backward.grad_input(of_vectors, vectors[rows], grad_input=of_sums)
            of_weights = torch.bmm(values[:n], of_sums.unsqueeze(-1)).squeeze(-1) + weights[:n, t]
            of_state = carry[:n]
            if ctx.has_query:
                attention.backward(t, of_weights, products[rows, size:])
            else:
                query = torch.empty_like(of_vectors)
                attention.backward(t, of_weights, query)
                of_state += query
            of_state = multiply(products[rows], from_state, of_state)
            through = saved.pop().backward(of_state, inputs[rows], of_recurrent[rows])
            multiply(of_recurrent[rows], recurrent, through, out=carry[:n])
            multiply(inputs[rows], feed, out=carry_feed[:n])
        of_values = torch.bmm(alpha.transpose(1, 2), padded(products[:, :size], ctx.active))
        of_keys, of_energy = attention.gradients()
        of_from_state = multiply(products.t(), states.to(kind))
        of_query = of_from_state[size:] if ctx.has_query else None
        return (
            None, None, None, None, inputs, carry, of_keys, of_values,
            multiply(of_recurrent.t(), before.to(kind)), of_recurrent.sum(dim=0),
            multiply(inputs.t(), fed.to(kind)), of_from_state[:size],
            products[:, :size].sum(dim=0) if ctx.has_bias else None, of_query, of_energy,
        )  # fmt: skip


def _from_state(weights: LuongWeights, kind: torch.dtype) -> tuple[Tensor, Tensor | None]:
    """What is multiplied by the new state, in one product: [W_c ; W^Q], [H + D, H], and its bias."""
    combine, bias, query = weights.combine, weights.combine_bias, weights.query
    if query is None:
        return combine.to(kind), bias
    if bias is not None:
        bias = torch.cat((bias, bias.new_zeros(len(query))))
    return torch.cat((combine, query)).to(kind), bias
