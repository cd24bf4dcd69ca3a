"""Attention against the papers' equations in plain Python loops, and against finite differences."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call

from nmt.config import AttentionConfig
from nmt.model.attention import Attention, Keys, masked_softmax

KINDS = ("additive", "dot", "general")
Vector = list[float]


def make(kind: str, query_size: int, state_size: int, size: int = 4, seed: int = 0) -> Attention:
    torch.manual_seed(seed)
    attention = Attention(query_size, state_size, AttentionConfig(score=kind, size=size)).double()
    for parameter in attention.parameters():
        nn.init.uniform_(parameter, -1, 1)
    return attention


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def padded_mask(lengths: list[int]) -> Tensor:
    return torch.tensor([[j < length for j in range(max(lengths))] for length in lengths])


# ---------------------------------------------------------------- the equations, one number at a time


def times(matrix: list[Vector], vector: Vector) -> Vector:
    return [sum(w * x for w, x in zip(row, vector, strict=True)) for row in matrix]


def dot(one: Vector, other: Vector) -> float:
    return sum(x * y for x, y in zip(one, other, strict=True))


def naive_score(attention: Attention, kind: str, s: Vector, h: Vector) -> float:
    weights = {name: value.tolist() for name, value in attention.score.state_dict().items()}
    if kind == "dot":
        return dot(s, h)
    if kind == "general":
        return dot(s, times(weights["key.weight"], h))
    projected = zip(times(weights["query.weight"], s), times(weights["key.weight"], h), strict=True)
    return dot(weights["energy.weight"][0], [math.tanh(a + b) for a, b in projected])


def naive_attention(
    attention: Attention, kind: str, s: Vector, states: list[Vector]
) -> tuple[Vector, Vector]:
    """The context and the weights of one query over the real states of one sentence."""
    scores = [naive_score(attention, kind, s, h) for h in states]
    exponentials = [math.exp(score - max(scores)) for score in scores]
    alphas = [value / sum(exponentials) for value in exponentials]
    context = [sum(a * h[k] for a, h in zip(alphas, states, strict=True)) for k in range(len(states[0]))]
    return context, alphas


shapes = st.fixed_dictionaries(
    {
        "lengths": st.lists(st.integers(1, 5), min_size=1, max_size=3),
        "T": st.integers(1, 3),
        "query_size": st.integers(1, 4),
        "state_size": st.integers(1, 4),
        "size": st.integers(1, 4),
        "seed": st.integers(0, 10**6),
    }
)


@pytest.mark.parametrize("kind", KINDS)
@settings(max_examples=25, deadline=None)
@given(shape=shapes)
def test_attention_is_the_papers(kind, shape):
    lengths, T, Q, seed = shape["lengths"], shape["T"], shape["query_size"], shape["seed"]
    M = Q if kind == "dot" else shape["state_size"]
    attention = make(kind, Q, M, shape["size"], seed)
    mask = padded_mask(lengths)
    query, states = random(len(lengths), T, Q, seed=seed), random(*mask.shape, M, seed=seed + 1)
    contexts, weights = attention(query, attention.prepare(states, mask))
    assert contexts.shape == (len(lengths), T, M)
    assert weights.shape == (len(lengths), T, max(lengths))
    for b, length in enumerate(lengths):
        for t in range(T):
            context, alphas = naive_attention(
                attention, kind, query[b, t].tolist(), states[b, :length].tolist()
            )
            assert contexts[b, t].tolist() == pytest.approx(context, abs=1e-9)
            assert weights[b, t].tolist() == pytest.approx(alphas + [0.0] * (max(lengths) - length), abs=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_each_score_is_the_papers(kind):
    attention = make(kind, 3, 3)
    query, states = random(2, 4, 3, seed=1), random(2, 5, 3, seed=2)
    scores = attention.score(query, attention.score.prepare(states))
    expected = [
        [[naive_score(attention, kind, s, h) for h in states[b].tolist()] for s in query[b].tolist()]
        for b in range(2)
    ]
    torch.testing.assert_close(scores, torch.tensor(expected, dtype=torch.float64), atol=1e-9, rtol=0)


class Whole(nn.Module):
    """Preparing and attending in one call, so that autograd sees both."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.attention = attention

    def forward(self, query: Tensor, states: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        return self.attention(query, self.attention.prepare(states, mask))


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_finite_differences(kind):
    whole = Whole(make(kind, 3, 3))
    names = [name for name, _ in whole.named_parameters()]
    parameters = [parameter.detach().requires_grad_() for parameter in whole.parameters()]
    query, states = random(2, 2, 3, seed=1).requires_grad_(), random(2, 4, 3, seed=2).requires_grad_()
    mask = padded_mask([4, 2])

    def run(query: Tensor, states: Tensor, *values: Tensor) -> tuple[Tensor, Tensor]:
        return functional_call(whole, dict(zip(names, values, strict=True)), (query, states, mask))

    assert torch.autograd.gradcheck(run, (query, states, *parameters))
    contexts, weights = run(query, states, *parameters)
    (contexts.sum() + weights.square().sum()).backward()
    assert (states.grad[1, 2:] == 0).all()  # no gradient to padding
    assert all((parameter.grad != 0).any() for parameter in parameters)


@pytest.mark.parametrize("kind", KINDS)
def test_what_stands_on_padding_does_not_matter(kind):
    attention, mask = make(kind, 3, 3), padded_mask([5, 2])
    query, states = random(2, 2, 3, seed=1), random(2, 5, 3, seed=2)
    other = states.clone()
    other[1, 2:] = 1e6
    expected, found = (attention(query, attention.prepare(given, mask)) for given in (states, other))
    for one, two in zip(expected, found, strict=True):
        assert torch.equal(one, two)


def test_selected_keys_are_the_rows_named():
    attention = make("general", 2, 3)
    states, mask, index = random(3, 4, 3, seed=1), padded_mask([4, 1, 3]), torch.tensor([2, 0, 2])
    selected = attention.prepare(states, mask).select(index)
    assert isinstance(selected, Keys)
    for found, expected in zip(selected, attention.prepare(states[index], mask[index]), strict=True):
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


# ---------------------------------------------------------------- the masked softmax


@settings(max_examples=100, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    T=st.integers(1, 4),
    scale=st.sampled_from([0.0, 1.0, 1e4]),
    padding=st.sampled_from([0.0, 1e300, math.inf, math.nan]),
    seed=st.integers(0, 10**6),
)
def test_masked_softmax(lengths, T, scale, padding, seed):
    mask = padded_mask(lengths)
    scores = scale * random(len(lengths), T, max(lengths), seed=seed)
    scores = scores.masked_fill(~mask.unsqueeze(1), padding)
    weights = masked_softmax(scores, mask)
    assert (weights.masked_select(~mask.unsqueeze(1)) == 0).all()  # exactly
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]), atol=1e-12, rtol=0)
    for b, length in enumerate(lengths):
        alone = scores[b, :, :length].softmax(dim=-1)
        torch.testing.assert_close(weights[b, :, :length], alone, atol=1e-12, rtol=0)


def test_one_real_token_gets_everything():
    weights = masked_softmax(torch.tensor([[[-700.0, 900.0]]]), torch.tensor([[True, False]]))
    assert weights.tolist() == [[[1.0, 0.0]]]
