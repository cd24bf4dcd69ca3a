"""The bridges against their equations, sentence by sentence in plain Python."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import padded_mask, random
from torch import nn

from nmt.model.decoders.bridge import Bridge
from nmt.model.encoders.encoded import Encoded
from nmt.model.pooling import POOLINGS, Pooling

Vector = list[float]


def times(matrix: list[Vector], vector: Vector) -> Vector:
    return [sum(w * x for w, x in zip(row, vector, strict=True)) for row in matrix]


def averaged(scores: Vector, states: list[Vector]) -> Vector:
    """Σ_j α_j h_j with α = softmax(scores)."""
    alphas = [math.exp(score) / sum(math.exp(other) for other in scores) for score in scores]
    return [sum(alpha * h[m] for alpha, h in zip(alphas, states, strict=True)) for m in range(len(states[0]))]


def pooled_state(pooling: Pooling, kind: str, states: list[Vector], last: Vector) -> Vector:
    """x of one sentence, given its real states only."""
    weights = {name: value.tolist() for name, value in pooling.state_dict().items()}
    if kind == "last":
        return last
    if kind == "backward":
        return last[len(last) // 2 :]
    if kind == "mean":
        return [sum(h[m] for h in states) / len(states) for m in range(len(last))]
    if kind == "attention_pooling":  # Raffel and Ellis 2015, eq. 3 and 5
        w, (b,) = weights["energy.weight"], weights["energy.bias"]
        return averaged([math.tanh(times(w, h)[0] + b) for h in states], states)
    keys = [times(weights["key.weight"], h) for h in states]  # stored as √M W
    scores = [sum(q * k for q, k in zip(last, key, strict=True)) / math.sqrt(len(last)) for key in keys]
    context = averaged(scores, states)  # Luong et al. 2015, general
    return [math.tanh(value) for value in times(weights["combine.weight"], context + last)]


@pytest.mark.parametrize("kind", POOLINGS)
@settings(max_examples=20, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=3),
    M=st.integers(1, 4),
    H=st.integers(1, 3),
    layers=st.integers(1, 3),
    seed=st.integers(0, 10**6),
)
def test_bridge_is_its_equation(kind, lengths, M, H, layers, seed):
    """The initial state of layer l is its part of tanh(W x + b)."""
    torch.manual_seed(seed)
    M = 2 * M if kind == "backward" else M
    bridge = Bridge(kind, M, H, layers).double()
    for parameter in bridge.parameters():
        nn.init.uniform_(parameter, -1, 1)
    mask = padded_mask(lengths)
    states, last = random(*mask.shape, M, seed=seed), random(len(lengths), M, seed=seed + 1)
    first = bridge(Encoded(states, mask, last))  # non-zero padding states must have no effect
    assert [layer.shape for layer in first] == [(len(lengths), H)] * layers
    W, b = bridge.project.weight.tolist(), bridge.project.bias.tolist()
    for row, length in enumerate(lengths):
        x = pooled_state(bridge.pooling, kind, states[row, :length].tolist(), last[row].tolist())
        expected = [math.tanh(value + shift) for value, shift in zip(times(W, x), b, strict=True)]
        for number, layer in enumerate(first):
            wanted = expected[number * H : (number + 1) * H]
            assert layer[row].tolist() == pytest.approx(wanted, abs=1e-9)


@pytest.mark.parametrize("kind", POOLINGS)
def test_what_stands_on_padding_does_not_matter(kind):
    bridge, mask = Bridge(kind, 6, 4, 1).double(), padded_mask([4, 2])
    states, last = random(2, 4, 6), random(2, 6, seed=1)
    other = states.clone()
    other[1, 2:] = 1e6
    one, two = (bridge(Encoded(given_states, mask, last))[0] for given_states in (states, other))
    assert torch.equal(one, two)


@pytest.mark.parametrize("kind", POOLINGS)
def test_gradients_are_finite_differences(kind):
    bridge, mask = Bridge(kind, 4, 2, 2).double(), padded_mask([4, 2])
    states, last = random(2, 4, 4).requires_grad_(), random(2, 4, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda h, x: bridge(Encoded(h, mask, x)), (states, last))
