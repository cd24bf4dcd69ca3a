"""The loop of the Luong decoder with input feeding, with a hand-written backward pass.

As `nmt.model.loops.bahdanau_loop`; the loop of `LuongDecoder` is the reference.

Shapes: N target tokens, B sentences, n of them at a step, S source length, T steps, H decoder state size,
D key size.
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
    active: list[int],
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
        active: list[int],
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
        attention = loop_attention(keys, mask, active, given.energy)
        hidden, features = PackedStates(start, active), PackedStates(torch.zeros_like(start), active)
        vectors = torch.empty_like(features.packed)  # before dropout
        noises = [None] * len(active) if noise is None else torch.split(noise, active)
        saved: list[GRUStep] = []
        parts = zip(torch.split(gates, active), torch.split(vectors, active), noises, strict=True)
        for t, (inputs, vector, kept) in enumerate(parts):
            before, after = hidden.before[t], hidden.after[t]
            inputs = multiply(features.before[t], on_feed, inputs)
            saved.append(gru_step(inputs, multiply(before, on_before, given.bias), before, after))
            products = multiply(after, on_state, bias)  # [n, H + D]
            alpha = attention.forward(t, after if given.query is None else products[:, size:])
            torch.bmm(alpha.unsqueeze(1), values[: len(after)], out=vector.unsqueeze(1))
            vector.add_(products[:, :size]).tanh_()
            if kept is None:
                features.after[t].copy_(vector)
            else:
                torch.mul(vector, kept, out=features.after[t])
        ctx.save_for_backward(values, vectors, noise, recurrent, feed, from_state)
        ctx.hidden, ctx.features, ctx.steps, ctx.attention = hidden, features, saved, attention
        ctx.active, ctx.kind = active, kind
        ctx.has_query, ctx.has_bias = given.query is not None, given.combine_bias is not None
        return features.packed, attention.weights

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, outputs: Tensor, weights: Tensor) -> tuple[Tensor | None, ...]:
        values, vectors, noise, recurrent, feed, from_state = ctx.saved_tensors
        attention: LoopAttention = ctx.attention
        attention.start_backward()
        saved: list[GRUStep] = ctx.steps
        size, active = vectors.shape[1], ctx.active
        inputs, of_recurrent = (outputs.new_empty((len(outputs), 3 * size)) for _ in range(2))
        products = outputs.new_empty((len(outputs), len(from_state)))
        carry, carry_feed = (outputs.new_zeros((active[0], size)) for _ in range(2))
        noises = [None] * len(active) if noise is None else torch.split(noise, active)
        split = (torch.split(part, active) for part in (outputs, vectors, inputs, of_recurrent, products))
        parts = list(zip(range(len(active)), noises, *split, strict=True))
        for t, kept, output, vector, into, of_gates, product in reversed(parts):
            n = len(output)
            of_vector = output + carry_feed[:n]
            of_vector = of_vector if kept is None else of_vector.mul_(kept)
            of_sum, query = product[:, :size], product[:, size:]
            torch.ops.aten.tanh_backward.grad_input(of_vector, vector, grad_input=of_sum)
            of_weights = torch.bmm(values[:n], of_sum.unsqueeze(-1)).squeeze(-1).add_(weights[:n, t])
            query = query if ctx.has_query else torch.empty_like(of_vector)
            attention.backward(t, of_weights, query)
            of_state = carry[:n] if ctx.has_query else carry[:n] + query
            through = saved[t].backward(multiply(product, from_state, of_state), into, of_gates)
            multiply(of_gates, recurrent, through, out=carry[:n])
            multiply(into, feed, out=carry_feed[:n])
        of_values = torch.bmm(
            attention.weights.transpose(1, 2), padded(products[:, :size].contiguous(), active)
        )
        of_keys, of_energy = attention.gradients()
        kind, before = ctx.kind, ctx.hidden.packed_before
        of_from_state = gradient_of_weight(products, ctx.hidden.packed, kind)
        return (
            None, None, None, None, inputs, carry, of_keys, of_values,
            gradient_of_weight(of_recurrent, before, kind), of_recurrent.sum(dim=0),
            gradient_of_weight(inputs, ctx.features.packed_before, kind), of_from_state[:size],
            products[:, :size].sum(dim=0) if ctx.has_bias else None,
            of_from_state[size:] if ctx.has_query else None, of_energy,
        )  # fmt: skip


def _from_state(weights: LuongWeights, kind: torch.dtype) -> tuple[Tensor, Tensor | None]:
    """What is multiplied by the new state, in one product: [W_c ; W^Q], [H + D, H], and its bias."""
    combine, bias, query = weights.combine, weights.combine_bias, weights.query
    if query is None:
        return combine.to(kind), bias
    if bias is not None:
        bias = torch.cat((bias, bias.new_zeros(len(query))))
    return torch.cat((combine, query)).to(kind), bias
