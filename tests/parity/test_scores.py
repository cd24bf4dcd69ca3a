"""Every score against its equation in plain Python, and the scores against one another."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import SCORES, NaiveAttention, attend, case, make, random, shapes
from torch import Tensor

from nmt.config.model import AttentionConfig
from nmt.model.attention.scores.score import merge_heads, split_heads


def values(score: str, query: Tensor, states: Tensor, **parameters: Tensor) -> Tensor:
    """A single-head score with the given parameters, [B, T, S]."""
    config = AttentionConfig(score=score, size=4, positions=states.shape[1])
    module = make(config, query.shape[2], states.shape[2]).score
    module.load_state_dict(parameters)
    return module(query, module.prepare(states)).squeeze(1)


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-9, rtol=0)


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize("score", SCORES)
@settings(max_examples=12, deadline=None)
@given(shape=shapes)
def test_each_score_is_its_equation(score, heads, shape):
    given = case(score, "global", heads, shape)
    naive = NaiveAttention(given.attention, given.config)
    module = given.attention.score
    found = module(given.query, module.prepare(given.states))
    expected = torch.tensor(
        [
            [[[naive.score(k, s, h, j) for j, h in enumerate(states)] for s in queries] for k in range(heads)]
            for queries, states in zip(given.query.tolist(), given.states.tolist(), strict=True)
        ],
        dtype=torch.float64,
    )
    if score == "gaussian":  # without ‖s‖² / 2w², the same for an entire row
        found, expected = found - found[..., :1], expected - expected[..., :1]
    same(found, expected)


def test_gaussian_leaves_out_the_querys_own_length_and_nothing_else():
    query, states = random(2, 3, 4, seed=1), random(2, 5, 4, seed=2)
    key, log_width = random(4, 4, seed=3), torch.full((1, 1, 1), -0.4, dtype=torch.float64)
    found = values("gaussian", query, states, **{"key.weight": key, "log_width": log_width})
    distances = torch.cdist(query, states @ key.T).square() - query.square().sum(-1, keepdim=True)
    same(found, -distances / (2 * math.exp(-0.4) ** 2))


def test_gaussian_attention_is_nadaraya_watson():
    config = AttentionConfig(score="gaussian")
    attention = make(config, 3, 3)
    query, states = random(2, 3, 3, seed=1), random(2, 5, 3, seed=2)
    width = attention.score.log_width.exp().item()
    kernel = torch.exp(-torch.cdist(query, attention.score.key(states)).square() / (2 * width**2))
    regression = (kernel @ states) / kernel.sum(-1, keepdim=True)
    keys = attention.prepare(states, torch.ones(2, 5, dtype=torch.bool))
    contexts, _ = attend(attention, query, keys)
    same(contexts, regression)


@pytest.mark.parametrize("heads", [1, 2, 3])
def test_concat_is_additive_with_its_matrices_in_one(heads):
    query, states = random(2, 3, 5, seed=1), random(2, 4, 7, seed=2)
    additive, concat = (
        make(AttentionConfig(score=score, size=6, heads=heads), 5, 7 * heads).score
        for score in ("additive", "concat")
    )
    states = states.repeat(1, 1, heads)
    both = torch.cat((additive.query.weight, additive.key.weight), dim=1)
    concat.load_state_dict({"both.weight": both, "energy": additive.energy})
    found, expected = (score(query, score.prepare(states)) for score in (concat, additive))
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


def test_general_with_the_identity_is_dot():
    query, states = random(2, 3, 4, seed=1), random(2, 5, 4, seed=2)
    identity = torch.eye(4, dtype=torch.float64)
    expected = values("dot", query, states)
    same(values("general", query, states, **{"key.weight": 2 * identity}), expected)  # stored as √4 W
    parameters = {"query.weight": identity, "key.weight": identity}
    same(values("scaled_dot", query, states, **parameters), expected / 2)  # √4


@settings(max_examples=50, deadline=None)
@given(scale=st.floats(1e-3, 1e3), log_strength=st.floats(-2, 5), seed=st.integers(0, 10**6))
def test_cosine_hears_directions_alone_and_is_at_most_its_strength(scale, log_strength, seed):
    query, states = random(2, 3, 4, seed=seed), random(2, 5, 4, seed=seed + 1)
    parameters = {
        "key.weight": random(4, 4, seed=seed + 2),
        "log_strength": torch.full((1, 1, 1), log_strength, dtype=torch.float64),
    }
    found = values("cosine", query, states, **parameters)
    same(values("cosine", scale * query, states / scale, **parameters), found)
    same(values("cosine", -query, states, **parameters), -found)
    strength = math.exp(log_strength)
    assert (found.abs() <= strength * (1 + 1e-12)).all()
    matched = states[:, :1] @ parameters["key.weight"].T  # a query equal to its key
    same(values("cosine", matched, states, **parameters)[:, 0, 0] / strength, torch.ones(2).double())


def test_cosine_has_a_gradient_where_a_key_is_zero():
    module = make(AttentionConfig(score="cosine"), 3, 3).score
    query, states = random(1, 2, 3, seed=1).requires_grad_(), random(1, 4, 3, seed=2)
    states[:, 2:] = 0  # as encoders leave padding
    states.requires_grad_()
    module(query, module.prepare(states))[..., :2].sum().backward()
    assert all(torch.isfinite(x.grad).all() for x in (query, states, *module.parameters()))


@pytest.mark.parametrize("heads", [1, 2])
@pytest.mark.parametrize("S", [2, 4, 6])
def test_location_knows_the_query_and_the_position_alone(S, heads):
    module = make(AttentionConfig(score="location", positions=4, heads=heads), 3, 4).score
    query = random(2, 3, 3, seed=1)
    found, other = (module(query, module.prepare(random(2, S, 4, seed=seed))) for seed in (2, 3))
    assert found.shape == (2, heads, 3, S)
    assert torch.equal(found, other)
    assert torch.isfinite(found[..., :4]).all()
    assert (found[..., 4:] == -math.inf).all()


@pytest.mark.parametrize("heads", [1, 2, 3, 4])
def test_head_k_has_the_kth_slice(heads):
    vectors = random(2, 5, 12, seed=1)
    split = split_heads(vectors, heads)
    for k, units in enumerate(vectors.chunk(heads, dim=2)):
        assert torch.equal(split[:, k], units)
    assert torch.equal(merge_heads(split), vectors)
