"""Attention, all scores with all scopes: against naive references, finite differences and itself."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import SCOPES, SCORES, Case, NaiveAttention, Shape, Vector, attend, case, random, shapes
from torch import Tensor, nn
from torch.func import functional_call

from nmt.config.extensions import SCORES as MODULES
from nmt.model.attention.layer import Attention, Keys, average

HEADS = (1, 2, 3)
WITH_KEYS = tuple(score for score in SCORES if score != "location")


def same(found: Tensor, expected: Tensor, tolerance: float = 1e-12) -> None:
    torch.testing.assert_close(found, expected, atol=tolerance, rtol=0)


def test_every_score_is_tested():
    assert set(SCORES) == set(MODULES.names())


# ---------------------------------------------------------------- the equations in scalar arithmetic


def naive_weights(given: Case, lengths: list[int], first: int) -> tuple[Tensor, Tensor]:
    """Contexts [B, T, M] and weights [B, K, T, S]; coverage increases from step to step."""
    naive, heads = NaiveAttention(given.attention, given.config), given.config.heads
    contexts, weights = torch.zeros(*given.query.shape[:2], given.states.shape[2]).double(), []
    for b, length in enumerate(lengths):
        states: list[Vector] = given.states[b, :length].tolist()
        received = [[0.0] * length for _ in range(heads)]
        rows = []
        for t, s in enumerate(given.query[b].tolist()):
            rows.append(naive.attend(s, states, first + t, received))
            contexts[b, t] = torch.tensor(naive.context(rows[-1], states), dtype=torch.float64)
            received = [
                [before + now for before, now in zip(*pair, strict=True)]
                for pair in zip(received, rows[-1], strict=True)
            ]
        padded = torch.tensor(rows, dtype=torch.float64).transpose(0, 1)  # [K, T, length]
        weights.append(F.pad(padded, (0, max(lengths) - length)))
    return contexts, torch.stack(weights)


@pytest.mark.parametrize("heads", HEADS)
@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("score", SCORES)
@settings(max_examples=6, deadline=None)
@given(shape=shapes)
def test_attention_is_the_papers(score, scope, heads, shape):
    given = case(score, scope, heads, shape)
    attention = given.attention.eval()
    contexts, weights = attend(
        attention, given.query, attention.prepare(given.states, given.mask), shape.first
    )
    expected = naive_weights(given, shape.lengths, shape.first)
    same(contexts, expected[0], 1e-9)
    same(weights, expected[1], 1e-9)


@pytest.mark.parametrize("scope", SCOPES)
@pytest.mark.parametrize("score", WITH_KEYS)
@settings(max_examples=8, deadline=None)
@given(heads=st.integers(1, 3), shape=shapes)
def test_coverage_adds_what_was_received_before_to_the_key(score, scope, heads, shape):
    given = case(score, scope, heads, shape._replace(T=4), coverage=True)
    attention = given.attention.eval()
    keys = attention.prepare(given.states, given.mask)
    coverage, rows = attention.no_coverage(keys), []
    assert torch.equal(coverage, torch.zeros(len(given.mask), heads, given.mask.shape[1]).double())
    for t in range(4):
        rows.append(attention.weights(given.query[:, t : t + 1], keys, shape.first + t, coverage))
        coverage = coverage + rows[-1].squeeze(2)
    _, expected = naive_weights(given, shape.lengths, shape.first)
    same(torch.cat(rows, dim=2), expected, 1e-9)


def test_coverage_matters_and_without_it_there_is_none():
    shape = Shape([3, 5], 1, 0, 2, 2, 2, 2, 9, seed=1)
    given = case("additive", "global", 2, shape, coverage=True)
    keys, attention = given.attention.prepare(given.states, given.mask), given.attention
    received = random(2, 2, 5, seed=3).abs()
    plain = attend(attention, given.query, keys)[1]
    assert not torch.allclose(attention.weights(given.query, keys, 0, received), plain, atol=1e-3)
    nn.init.zeros_(attention.coverage)
    assert torch.equal(attention.weights(given.query, keys, 0, received), plain)
    assert case("additive", "global", 2, shape).attention.no_coverage(keys) is None


# ---------------------------------------------------------------- gradients


class AttentionCall(nn.Module):
    """Keys, weights and contexts in one call, so that autograd covers all of them."""

    def __init__(self, attention: Attention) -> None:
        super().__init__()
        self.attention = attention

    def forward(
        self, query: Tensor, states: Tensor, mask: Tensor, coverage: Tensor | None
    ) -> tuple[Tensor, Tensor]:
        keys = self.attention.prepare(states, mask)
        weights = self.attention.weights(query, keys, 1, coverage)
        return average(weights, keys.states), weights


def check_gradients(given: Case, coverage: Tensor | None = None) -> None:
    """Query, states, parameters and coverage against finite differences; no gradient to padding."""
    module = AttentionCall(given.attention)
    names = [name for name, _ in module.named_parameters()]
    parameters = [parameter.detach().requires_grad_() for parameter in module.parameters()]
    inputs = [given.query.requires_grad_(), given.states.requires_grad_()]
    inputs += [] if coverage is None else [coverage.requires_grad_()]

    def run(*values: Tensor) -> tuple[Tensor, Tensor]:
        query, states, *rest = values[: len(inputs)]
        arguments = (query, states, given.mask, rest[0] if rest else None)
        return functional_call(module, dict(zip(names, values[len(inputs) :], strict=True)), arguments)

    assert torch.autograd.gradcheck(run, (*inputs, *parameters))
    contexts, weights = run(*inputs, *parameters)
    (contexts.sum() + weights.square().sum()).backward()
    assert (given.states.grad[~given.mask] == 0).all()
    assert all((value.grad != 0).any() for value in (*inputs, *parameters))


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("scope", ["global", "local_m", "local_p"])
@pytest.mark.parametrize("score", SCORES)
def test_gradients_are_finite_differences(score, scope, heads):
    check_gradients(case(score, scope, heads, Shape([3, 2], 2, 1, 2, 2, 2, 1, 2, seed=4)))


@pytest.mark.parametrize("score", WITH_KEYS)
def test_gradients_of_coverage_are_finite_differences(score):
    given = case(score, "global", 2, Shape([3, 2], 1, 1, 2, 2, 2, 1, 2, seed=4), coverage=True)
    check_gradients(given, random(2, 2, 3, seed=5).abs())


# ---------------------------------------------------------------- padding


every = pytest.mark.parametrize(("score", "scope"), [(score, scope) for score in SCORES for scope in SCOPES])


@every
@settings(max_examples=10, deadline=None)
@given(heads=st.integers(1, 4), shape=shapes, training=st.booleans(), padding=st.integers(1, 4))
def test_padding_changes_nothing(score, scope, heads, shape, training, padding):
    given = case(score, scope, heads, shape)
    attention, S = given.attention.train(training), given.mask.shape[1]
    contexts, weights = attend(
        attention, given.query, attention.prepare(given.states, given.mask), shape.first
    )
    real = given.mask[:, None, None, :]
    assert weights.shape == (len(given.mask), heads, shape.T, S)
    assert (weights >= 0).all()
    assert (weights.masked_select(~real) == 0).all()  # exactly
    same(weights.masked_fill(~real, 0.0).sum(-1), torch.ones_like(weights[..., 0]))
    wider = given.padded(padding)
    padded = attend(attention, given.query, attention.prepare(wider.states, wider.mask), shape.first)
    same(padded[0], contexts)
    same(padded[1], F.pad(weights, (0, padding)))
    for b, length in enumerate(shape.lengths):  # each sentence alone
        row = slice(b, b + 1)
        keys = attention.prepare(given.states[row, :length], given.mask[row, :length])
        alone = attend(attention, given.query[row], keys, shape.first)
        same(alone[0], contexts[row])
        same(alone[1], weights[row, ..., :length])


@every
@settings(max_examples=6, deadline=None)
@given(heads=st.integers(1, 4), shape=shapes, stands=st.sampled_from([0.0, -1.0, 1e6]))
def test_what_stands_on_padding_does_not_matter(score, scope, heads, shape, stands):
    given = case(score, scope, heads, shape).padded(2)
    other = given.states.masked_fill(~given.mask.unsqueeze(-1), stands)
    expected, found = (
        attend(given.attention, given.query, given.attention.prepare(states, given.mask), shape.first)
        for states in (given.states, other)
    )
    for one, two in zip(expected, found, strict=True):
        assert torch.equal(one, two)


@every
@pytest.mark.parametrize("heads", [1, 2])
def test_selected_keys_are_the_rows_named(score, scope, heads):
    given = case(score, scope, heads, Shape([4, 1, 3], 2, 1, 2, 2, 2, 1, 3, seed=6))
    index = torch.tensor([2, 0, 2, 1, 1])
    attention, keys = given.attention, given.attention.prepare(given.states, given.mask)
    selected = keys.select(index)
    assert isinstance(selected, Keys)
    for found, expected in zip(
        selected, attention.prepare(given.states[index], given.mask[index]), strict=True
    ):
        torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    for found, expected in zip(
        attend(attention, given.query[index], selected), attend(attention, given.query, keys), strict=True
    ):
        same(found, expected[index])
