"""Attention scopes: the masked softmax, local windows, hard attention and its gradient."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import SCOPES, SCORES, attend, case, padded_mask, random, shapes
from torch import nn

from nmt.config.model import AttentionConfig
from nmt.model.attention.layer import Attention
from nmt.model.attention.scopes import SCOPES as MODULES
from nmt.model.attention.scopes import HardScope, LocalMonotonicScope, LocalPredictiveScope, masked_softmax

# ---------------------------------------------------------------- the masked softmax


@settings(max_examples=100, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=4),
    heads=st.integers(1, 3),
    T=st.integers(1, 4),
    scale=st.sampled_from([0.0, 1.0, 1e4]),
    padding=st.sampled_from([0.0, 1e300, math.inf, math.nan]),
    seed=st.integers(0, 10**6),
)
def test_masked_softmax(lengths, heads, T, scale, padding, seed):
    mask = padded_mask(lengths)[:, None, None, :]
    scores = scale * random(len(lengths), heads, T, max(lengths), seed=seed)
    scores = scores.masked_fill(~mask, padding)
    weights = masked_softmax(scores, mask)
    assert (weights.masked_select(~mask) == 0).all()  # exactly
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]), atol=1e-12, rtol=0)
    for b, length in enumerate(lengths):
        alone = scores[b, ..., :length].softmax(dim=-1)
        torch.testing.assert_close(weights[b, ..., :length], alone, atol=1e-12, rtol=0)


@settings(max_examples=50, deadline=None)
@given(kept=st.lists(st.lists(st.booleans(), min_size=5, max_size=5), min_size=2, max_size=2))
def test_a_mask_may_have_any_shape_that_expands(kept):
    mask = torch.tensor(kept)
    mask[:, 3] = True  # one position in each row
    scores = random(2, 5, seed=1)
    expected = masked_softmax(scores, mask)
    rows = [scores[b][mask[b]].softmax(dim=-1) for b in range(2)]
    torch.testing.assert_close(expected[mask], torch.cat(rows), atol=1e-12, rtol=0)
    assert torch.equal(masked_softmax(scores.unsqueeze(1), mask.unsqueeze(1)).squeeze(1), expected)
    every = masked_softmax(scores, mask[0])  # one mask for both rows
    assert torch.equal(every, masked_softmax(scores, mask[0].expand(2, 5)))


@pytest.mark.parametrize("length", [500, 10_000, 100_000])
def test_a_row_of_any_length_sums_to_one(length):
    """Also if all scores are equal, so that rounding errors accumulate instead of cancelling out."""
    scores = torch.full((50, length), -1.0) * torch.linspace(0, 1, 50)[:, None]
    scores[:, 0] = 0
    mask = torch.ones(1, length, dtype=torch.bool)
    weights = masked_softmax(scores, mask)
    assert (weights.double().sum(dim=-1) - 1).abs().max() < 2e-6
    exact = masked_softmax(scores.double(), mask)
    torch.testing.assert_close(weights.double(), exact, rtol=2e-6, atol=0)


def test_one_real_token_gets_everything():
    weights = masked_softmax(torch.tensor([[[-700.0, 900.0]]]), torch.tensor([[[True, False]]]))
    assert weights.tolist() == [[[1.0, 0.0]]]


# ---------------------------------------------------------------- windows


@settings(max_examples=50, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=3),
    window=st.integers(1, 3),
    first=st.integers(0, 12),
    T=st.integers(1, 3),
)
def test_local_m_sees_exactly_the_positions_around_the_step(lengths, window, first, T):
    scope = LocalMonotonicScope(2, AttentionConfig(window=window))
    mask = padded_mask(lengths)
    scores = random(len(lengths), 2, T, max(lengths), seed=first)
    weights = scope(scores, random(len(lengths), T, 2, seed=1), mask, first)
    for b, length in enumerate(lengths):
        for t in range(T):
            centre = min(first + t, length - 1)  # beyond the end: centred at the last token
            seen = [j < length and abs(j - centre) <= window for j in range(max(lengths))]
            assert (weights[b, :, t] > 0).tolist() == [seen, seen]
            alone = scores[b, :, t, seen].softmax(dim=-1)
            torch.testing.assert_close(weights[b, :, t, seen], alone, atol=1e-12, rtol=0)


@settings(max_examples=50, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 12), min_size=1, max_size=3),
    window=st.integers(1, 3),
    seed=st.integers(0, 10**6),
)
def test_local_p_is_exactly_zero_outside_its_window_and_nowhere_within(lengths, window, seed):
    torch.manual_seed(seed)
    scope = LocalPredictiveScope(3, AttentionConfig(window=window)).double()
    nn.init.uniform_(scope.centre.weight, -4, 4)
    mask, query = padded_mask(lengths), random(len(lengths), 4, 3, seed=seed)
    weights = scope(random(len(lengths), 2, 4, max(lengths), seed=seed + 1), query, mask, 0)
    W, v = (
        weight / math.sqrt(3) for weight in (scope.hidden.weight, scope.centre.weight[0])
    )  # stored as √3 W
    fractions = torch.sigmoid(torch.tanh(query @ W.T) @ v)  # [B, T]
    for b, length in enumerate(lengths):
        for t, fraction in enumerate(fractions[b].tolist()):
            centre = (length - 1) * fraction
            seen = [j < length and abs(j - centre) <= window for j in range(max(lengths))]
            assert (weights[b, :, t] > 0).tolist() == [seen, seen]


def test_local_p_favours_the_centre_by_a_gaussian_of_half_the_window():
    scope = LocalPredictiveScope(2, AttentionConfig(window=4)).double()
    nn.init.zeros_(scope.centre.weight)  # σ(0) = ½: the middle, position 5 of 0 … 10
    weights = scope(torch.zeros(1, 1, 1, 11).double(), torch.ones(1, 1, 2).double(), padded_mask([11]), 0)
    found = weights[0, 0, 0] / weights[0, 0, 0, 5]
    kernel = [math.exp(-((j - 5) ** 2) / 8) if 1 <= j <= 9 else 0.0 for j in range(11)]  # σ = 2
    assert found.tolist() == pytest.approx(kernel, abs=1e-12)


@pytest.mark.parametrize("size", [64, 1024])
def test_one_update_leaves_the_predicted_position_free(size):
    """Adam changes every weight by about the learning rate; stored as W and v instead of √Q W and √Q v, the
    changes would add up.
    """
    torch.manual_seed(1)
    scope = LocalPredictiveScope(size, AttentionConfig())
    nn.init.uniform_(scope.hidden.weight, -0.1, 0.1)
    nn.init.uniform_(scope.centre.weight, -0.1, 0.1)
    query, mask, positions = torch.randn(1, 1, size), padded_mask([101]), torch.arange(101.0)

    def position():
        return (scope(torch.zeros(1, 1, 1, 101), query, mask, 0) * positions).sum()

    before = position()
    optimizer = torch.optim.Adam(scope.parameters(), lr=3e-3)
    before.backward()
    optimizer.step()
    moved = (before - position()).item()
    assert 0 < moved < 15  # of 100 positions


def test_local_p_finds_its_position_in_float32_under_mixed_precision():
    """In bfloat16, numbers above 256 have a spacing of two."""
    torch.manual_seed(3)
    scope = LocalPredictiveScope(16, AttentionConfig(window=3))
    nn.init.normal_(scope.centre.weight, std=4.0)
    query, scores = torch.randn(2, 5, 16), torch.zeros(2, 1, 5, 300)
    mask = torch.ones(2, 300, dtype=torch.bool)
    expected = scope(scores, query, mask, 0)
    with torch.autocast("cpu", torch.bfloat16):
        mixed = scope(scores, query, mask, 0)
    torch.testing.assert_close(mixed, expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize("scope", SCOPES)
def test_the_location_score_has_a_position_in_every_window(scope):
    """A window beyond the last position with a score would have nothing to attend to."""
    config = AttentionConfig(score="location", scope=scope, positions=2, window=1)
    attention = Attention(2, 2, config).double()
    if isinstance(attention.scope, LocalPredictiveScope):
        nn.init.constant_(attention.scope.hidden.weight, 9)
        nn.init.constant_(attention.scope.centre.weight, 9)  # the end of the sentence
    keys = attention.prepare(random(1, 9, 2, seed=1), padded_mask([9]))
    weights = attention.weights(torch.ones(1, 8, 2).double(), keys)
    torch.testing.assert_close(weights.sum(-1), torch.ones(1, 1, 8).double(), atol=1e-12, rtol=0)
    assert (weights[..., 2:] == 0).all()


# ---------------------------------------------------------------- hard attention


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize("score", SCORES)
@settings(max_examples=10, deadline=None)
@given(shape=shapes)
def test_hard_attention_is_one_at_the_best_real_position(score, heads, shape):
    given = case(score, "hard", heads, shape)
    attention, keys = given.attention, given.attention.prepare(given.states, given.mask)
    weights = attention.eval().weights(given.query, keys)
    scores = attention.score(given.query, keys.keys).tolist()
    for b, length in enumerate(shape.lengths):
        for k in range(heads):
            for t in range(shape.T):
                row = scores[b][k][t]
                best = max(range(length), key=lambda j, row=row: row[j])
                assert weights[b, k, t].tolist() == [float(j == best) for j in range(max(shape.lengths))]
    trained = attention.train().weights(given.query, keys)
    torch.testing.assert_close(trained, weights, atol=1e-12, rtol=0)
    contexts, _ = attend(attention.eval(), given.query, keys)
    for k, (found, units) in enumerate(
        zip(contexts.chunk(heads, -1), keys.states.chunk(heads, -1), strict=True)
    ):
        best = weights[:, k].argmax(dim=-1, keepdim=True).expand_as(found)
        assert torch.equal(found, units.gather(1, best))


@pytest.mark.parametrize("heads", [1, 2, 3])
@pytest.mark.parametrize("score", SCORES)
@settings(max_examples=10, deadline=None)
@given(shape=shapes)
def test_hard_attention_trains_by_the_gradient_of_the_soft_weights(score, heads, shape):
    gradients = []
    for scope in ("hard", "global"):
        given = case(score, scope, heads, shape)
        inputs = (given.query.requires_grad_(), given.states.requires_grad_())
        inputs = (*inputs, *given.attention.score.parameters())
        weights = given.attention.train().weights(given.query, given.attention.prepare(*given[3:]))
        upstream = random(*weights.shape, seed=shape.seed + 2)
        gradients.append(torch.autograd.grad((weights * upstream).sum(), inputs, allow_unused=True))
    for found, expected in zip(*gradients, strict=True):
        assert (found is None) == (expected is None)  # with the location score the states get none
        if found is not None:
            torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)
    assert gradients[0][0] is not None


def test_hard_attention_has_a_gradient_in_training_alone():
    scores, mask = random(2, 1, 3, 4, seed=1).requires_grad_(), padded_mask([4, 2])
    scope = HardScope(2, AttentionConfig())
    assert not scope.eval()(scores, random(2, 3, 2, seed=2), mask, 0).requires_grad
    upstream = random(2, 1, 3, 4, seed=3)
    (scope.train()(scores, random(2, 3, 2, seed=2), mask, 0) * upstream).sum().backward()
    assert (scores.grad[1, ..., 2:] == 0).all()
    assert (scores.grad[0] != 0).all()


def test_every_scope_is_tested():
    assert set(SCOPES) == set(MODULES)
