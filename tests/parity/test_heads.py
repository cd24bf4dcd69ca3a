"""Multi-head attention against separate single-head attentions and PyTorch's own; mapped values."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from naive import SCORES, Case, attend, case, make, padded_mask, random, shapes
from torch import Tensor, nn

from nmt.config.model import AttentionConfig
from nmt.model.attention.layer import Attention, average, average_mapped, mapped_values


def same(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


def one_head(given: Case, k: int) -> tuple[Attention, Tensor, Tensor]:
    """Head k as a single-head attention, with its query and states."""
    heads, score = given.config.heads, given.config.score
    parameters = {name: value.chunk(heads)[k] for name, value in given.attention.score.state_dict().items()}
    query, states = given.query, given.states
    if score == "scaled_dot":  # its query is already projected
        query = given.attention.score.query(query)
        parameters["query.weight"] = torch.eye(query.shape[2] // heads).double()
    if score not in ("additive", "concat", "location"):
        query = query.chunk(heads, dim=-1)[k]
    if score == "dot":
        states = states.chunk(heads, dim=-1)[k]
    config = AttentionConfig(score=score, size=given.config.size // heads, positions=given.config.positions)
    attention = make(config, query.shape[2], states.shape[2])
    attention.score.load_state_dict(parameters)
    return attention, query, states


@pytest.mark.parametrize("heads", [2, 3, 4])
@pytest.mark.parametrize("score", SCORES)
@settings(max_examples=8, deadline=None)
@given(shape=shapes)
def test_heads_are_attentions_computed_apart(score, heads, shape):
    given = case(score, "global", heads, shape)
    keys = given.attention.prepare(given.states, given.mask)
    contexts, weights = attend(given.attention, given.query, keys)
    values = given.attention.value(given.states).chunk(heads, dim=-1)
    apart = []
    for k in range(heads):
        attention, query, states = one_head(given, k)
        alone = attention.weights(query, attention.prepare(states, given.mask))
        same(weights[:, k : k + 1], alone)
        apart.append(alone.squeeze(1) @ values[k])
    same(contexts, torch.cat(apart, dim=-1))


@pytest.mark.parametrize("heads", [1, 2, 4])
def test_scaled_dot_with_heads_is_torchs_multi_head_attention(heads):
    attention = make(AttentionConfig(score="scaled_dot", heads=heads), 8, 8)
    reference = nn.MultiheadAttention(8, heads, bias=False, batch_first=True).double()
    identity = torch.eye(8).double()
    value = identity if attention.value is None else attention.value.weight
    parts = (attention.score.query.weight, attention.score.key.weight, value)
    reference.load_state_dict({"in_proj_weight": torch.cat(parts), "out_proj.weight": identity})
    query, states, mask = random(2, 3, 8, seed=1), random(2, 5, 8, seed=2), padded_mask([5, 3])
    expected = reference(query, states, states, key_padding_mask=~mask, average_attn_weights=False)
    for found, wanted in zip(
        attend(attention, query, attention.prepare(states, mask)), expected, strict=True
    ):
        same(found, wanted)


@settings(max_examples=60, deadline=None)
@given(
    heads=st.integers(1, 4),
    sizes=st.tuples(*(st.integers(1, 4) for _ in range(5))),
    seed=st.integers(0, 10**6),
)
def test_a_map_of_the_average_is_the_average_of_what_is_mapped(heads, sizes, seed):
    B, T, S, X, units = sizes
    weights = random(B, heads, T, S, seed=seed)  # any numbers: both sides are linear
    states, matrix = random(B, S, heads * units, seed=seed + 1), random(X, heads * units, seed=seed + 2)
    contexts = average(weights, states)
    by_heads = [weights[:, k] @ states[..., k * units : (k + 1) * units] for k in range(heads)]
    same(contexts, torch.cat(by_heads, dim=-1))
    values = mapped_values(states, matrix, heads)
    assert values.shape == (B, heads * S, X)
    same(average_mapped(weights, values), F.linear(contexts, matrix))
