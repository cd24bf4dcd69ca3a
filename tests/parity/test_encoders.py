"""Embeddings, positions and the convolutional encoder against plain Python."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import padded_mask, random

from nmt.config.model import EncoderConfig, ModelConfig
from nmt.model.embedding import TokenEmbedding, sinusoids
from nmt.model.encoders.convolutional import ConvolutionalEncoder
from nmt.model.encoders.encoded import state_at_end
from nmt.model.encoders.recurrent import RecurrentEncoder
from nmt.model.encoders.self_attention import SelfAttentionEncoder

Vector = list[float]


# ---------------------------------------------------------------- embeddings


def test_embeddings_are_rows_of_the_table():
    embedding, tokens = TokenEmbedding(9, 4, 0, 0.5, 0.5).eval(), torch.tensor([[3, 0, 8], [1, 1, 0]])
    for b, row in enumerate(tokens.tolist()):
        for j, token in enumerate(row):
            assert torch.equal(embedding(tokens)[b, j], embedding.table.weight[token])
    assert torch.equal(embedding(tokens[:, 1]), embedding(tokens)[:, 1])
    assert (embedding(tokens)[0, 1] == 0).all()


@pytest.mark.parametrize(("units", "tokens"), [(0.3, 0.0), (0.0, 0.2), (0.3, 0.2)])
def test_training_drops_units_and_entire_tokens(units, tokens):
    """Kept units are scaled up, so that the mean is unchanged."""
    torch.manual_seed(0)
    embedding = TokenEmbedding(3, 50, 0, units, tokens).double()
    torch.nn.init.ones_(embedding.table.weight)
    found = embedding(torch.ones(40, 50, dtype=torch.long))
    dropped = (found == 0).all(dim=-1)
    assert dropped.double().mean().item() == pytest.approx(tokens, abs=0.03)
    assert (found[~dropped] == 0).double().mean().item() == pytest.approx(units, abs=0.01)
    scale = math.prod(1 / (1 - round(p * 2**16) / 2**16) for p in (units, tokens))
    torch.testing.assert_close(found[found != 0], torch.full_like(found[found != 0], scale))


@pytest.mark.parametrize("size", [2, 6, 64])
def test_sinusoids_are_the_formula(size):
    positions = torch.tensor([0, 1, 2, 7, 100, 511])
    found = sinusoids(positions, size, like=torch.zeros((), dtype=torch.float64))
    assert found.dtype == torch.float64
    for p, vector in zip(positions.tolist(), found.tolist(), strict=True):
        for i in range(size // 2):
            angle = p / 10000 ** (2 * i / size)
            wanted = pytest.approx([math.sin(angle), math.cos(angle)], abs=1e-6 * (1 + p))  # float32
            assert vector[2 * i : 2 * i + 2] == wanted


# ---------------------------------------------------------------- convolutions


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def affine(weight: list[Vector], bias: Vector, x: Vector) -> Vector:
    return [sum(w * v for w, v in zip(row, x, strict=True)) + b for row, b in zip(weight, bias, strict=True)]


def convolved(filters: list[list[Vector]], bias: Vector, states: list[Vector], j: int) -> Vector:
    """One position of a convolution: filters [out][in][k]; zero outside the sentence."""
    outputs = []
    for one, b in zip(filters, bias, strict=True):
        total, middle = b, len(one[0]) // 2
        for unit, taps in enumerate(one):
            for i, tap in enumerate(taps):
                if 0 <= j + i - middle < len(states):
                    total += tap * states[j + i - middle][unit]
        outputs.append(total)
    return outputs


def naive_convolutions(encoder: ConvolutionalEncoder, embedded: list[Vector]) -> list[Vector]:
    """Gehring et al. 2017, §3.1 to §3.3, over one sentence."""
    weights = {name: value.tolist() for name, value in encoder.state_dict().items()}
    positions = weights["position.weight"]
    states = []
    for j, vector in enumerate(embedded):
        position = positions[min(j, len(positions) - 1)]
        summed = [e + p for e, p in zip(vector, position, strict=True)]
        states.append(affine(weights["input_projection.weight"], weights["input_projection.bias"], summed))
    for k in range(len(encoder.layers)):
        filters, bias = weights[f"layers.{k}.weight"], weights[f"layers.{k}.bias"]
        after = []
        for j, x in enumerate(states):
            mixed, M = convolved(filters, bias, states, j), len(x)
            after.append([(x[m] + mixed[m] * sigmoid(mixed[M + m])) * math.sqrt(0.5) for m in range(M)])
        states = after
    return states


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    layers=st.integers(1, 3),
    kernel=st.sampled_from([1, 3, 5]),
    positions=st.integers(1, 7),
    seed=st.integers(0, 10**6),
)
def test_convolutional_encoder_is_the_papers(lengths, layers, kernel, positions, seed):
    torch.manual_seed(seed)
    config = EncoderConfig(size=4, embedding=3, layers=layers, kernel=kernel, positions=positions)
    encoder = ConvolutionalEncoder(ModelConfig(encoder=config), dropout=0.4).double().eval()
    mask = padded_mask(lengths)
    embedded = random(*mask.shape, 3, seed=seed)  # non-zero padding must have no effect
    encoded = encoder(embedded, mask)
    assert torch.equal(encoded.mask, mask)
    for b, length in enumerate(lengths):
        expected = naive_convolutions(encoder, embedded[b, :length].tolist())
        for j, state in enumerate(expected):
            assert encoded.states[b, j].tolist() == pytest.approx(state, abs=1e-9)
        assert (encoded.states[b, length:] == 0).all()
        assert torch.equal(encoded.last[b], encoded.states[b, length - 1])


# ---------------------------------------------------------------- common to all encoders

ENCODERS = {
    "recurrent": RecurrentEncoder,
    "convolutional": ConvolutionalEncoder,
    "self_attention": SelfAttentionEncoder,
}


def test_state_at_end_is_that_of_the_last_real_token():
    states = random(3, 4, 2)
    found = state_at_end(states, padded_mask([4, 1, 2]))
    assert torch.equal(found, torch.stack((states[0, 3], states[1, 0], states[2, 1])))


@pytest.mark.parametrize("kind", ENCODERS)
def test_dropout_is_for_training_only(kind):
    config = EncoderConfig(type=kind, size=6, embedding=5, layers=2, heads=2, feedforward=7)
    encoder, mask = (
        ENCODERS[kind](ModelConfig(encoder=config), dropout=0.5).double(),
        padded_mask([3, 2]),
    )
    embedded = random(2, 3, 5)
    assert not torch.equal(encoder(embedded, mask).states, encoder(embedded, mask).states)
    encoder.eval()
    assert torch.equal(encoder(embedded, mask).states, encoder(embedded, mask).states)


@pytest.mark.parametrize("kind", ["convolutional", "self_attention"])
def test_positions_after_the_last_one_share_its_embedding(kind):
    """From there on a token gets the same vector at every position; before, a different one at each."""
    config = EncoderConfig(size=6, embedding=5, kernel=1, positions=3, heads=2, feedforward=7)
    encoder = ENCODERS[kind](ModelConfig(encoder=config)).double().eval()
    states = encoder(random(1, 1, 5).expand(1, 6, 5), padded_mask([6])).states[0]
    torch.testing.assert_close(states[2:], states[2].expand(4, 6), atol=1e-12, rtol=0)
    assert (states[0] - states[2]).abs().max() > 1e-3
    assert (states[1] - states[2]).abs().max() > 1e-3


def test_given_lengths_are_used_instead_of_counting_the_mask(monkeypatch):
    encoder = RecurrentEncoder(ModelConfig(encoder=EncoderConfig(size=6, embedding=5))).double().eval()
    embedded, mask = random(3, 4, 5, seed=1), padded_mask([4, 2, 1])
    expected = encoder(embedded, mask)
    monkeypatch.setattr(torch.Tensor, "sum", lambda *_, **__: pytest.fail("the mask was counted"))
    found = encoder(embedded, mask, torch.tensor([4, 2, 1]))
    assert torch.equal(found.states, expected.states)
    assert torch.equal(found.last, expected.last)
