"""Initial weights: ranges, zeros, parameters that keep their own initial value, and the seed."""

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from tiny import tiny_config, tiny_model
from torch import Tensor, nn

from nmt.data.tokenizer import PAD
from nmt.model.attention.scores.cosine import CosineScore
from nmt.model.attention.scores.gaussian import GaussianScore
from nmt.model.cells import GATES
from nmt.model.initialise import empty_model
from nmt.model.translation import TranslationModel

KINDS = ("uniform", "orthogonal", "xavier")
CELLS = ("gru", "lstm", "gru_reset_before")


def build(overrides: str, vocabulary: int = 30, seed: int = 1) -> TranslationModel:
    return tiny_model(vocabulary, vocabulary + 10, tiny_config(overrides), seed)


def check_uniform(values: Tensor, limit: float, slack: float = 0.1) -> None:
    """All within the limit, with the range, mean and standard deviation of a uniform distribution."""
    assert values.abs().max() <= limit
    assert values.max() > (1 - slack) * limit
    assert values.min() < (slack - 1) * limit
    assert values.mean().abs() < slack * limit
    assert values.std().item() == pytest.approx(limit / 3**0.5, rel=slack)


@pytest.mark.parametrize(
    "overrides",
    [
        "",
        "encoder.cell=lstm decoder.cell=lstm attention.coverage=true attention.heads=3",
        "encoder.cell=gru_reset_before decoder.cell=gru_reset_before bridge=backward",
        "decoder.style=luong attention.score=location bridge=attention_pooling",
        "encoder.type=convolutional decoder.style=vector",
    ],
)
def test_uniform_fills_its_range(overrides):
    model = build(f"initial_range=0.25 {overrides}", vocabulary=300)
    values = torch.cat([value.flatten() for value in model.state_dict().values()])
    check_uniform(values, 0.25, slack=0.02)
    for value in model.parameters():
        if value.numel() >= 100:
            check_uniform(value, 0.25, slack=0.25)
        assert (value != 0).sum() >= value.numel() - value.shape[-1]  # all but the padding embedding


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("more", ["", "decoder.tie_embeddings=true", "decoder.style=transformer"])
def test_embeddings_of_padding_are_zero_and_no_others(kind, more):
    model = build(f"initialisation={kind} {more}")
    for embedding, size in ((model.source, 30), (model.target, 40)):
        zero = (embedding.table.weight == 0).all(dim=1)
        assert zero.tolist() == [index == PAD for index in range(size)]


# ---------------------------------------------------------------- orthogonal


@pytest.mark.parametrize(
    "more",
    [
        "decoder.layers=2",
        "decoder.style=luong",
        "decoder.style=vector",
        "encoder.layers=2",
        "encoder.layers=2 encoder.bidirectional=false",
    ],
)
@pytest.mark.parametrize("encoder", CELLS)
@pytest.mark.parametrize("decoder", CELLS)
def test_orthogonal_recurrences(more, encoder, decoder):
    """Every gate's recurrent matrix: encoder layers and directions, decoder layers."""
    config = tiny_config(f"initialisation=orthogonal encoder.cell={encoder} decoder.cell={decoder} {more}")
    model = tiny_model(30, 30, config)
    directions = 2 if config.encoder.bidirectional else 1
    for rnn, cell, count in (
        (model.encoder.rnn, encoder, config.encoder.layers * directions),
        (model.decoder.recurrence.rnn, decoder, config.decoder.layers),
    ):
        recurrent = [weight for name, weight in rnn.named_parameters() if name.startswith("weight_hh")]
        assert len(recurrent) == count
        for weight in recurrent:
            gates = weight.split(weight.shape[1])
            assert len(gates) == GATES[cell]
            for gate in gates:
                torch.testing.assert_close(gate @ gate.T, torch.eye(weight.shape[1]), atol=1e-5, rtol=0)
            assert not torch.equal(gates[0], gates[1])


@pytest.mark.parametrize("cell", CELLS)
def test_orthogonal_leaves_the_rest_as_the_paper_has_it(cell):
    """Bahdanau et al. 2015, appendix B.1; only recurrent weights and zeros are not Gaussian."""
    model = build(
        f"initialisation=orthogonal attention.size=60 encoder.cell={cell} decoder.cell={cell}", vocabulary=300
    )
    weights = model.state_dict()
    assert all((value == 0).all() for name, value in weights.items() if "bias" in name)
    assert (model.decoder.attention.score.energy == 0).all()
    for name in ("query", "key"):
        assert weights[f"decoder.attention.score.{name}.weight"].std() == pytest.approx(0.001, rel=0.1)
    for name in (
        "vocabulary.weight",
        "source.table.weight",
        "target.table.weight",
        "encoder.rnn.weight_ih_l0",
        "decoder.recurrence.rnn.weight_ih_l0",
        "decoder.value.weight",
        "decoder.readout.linear.weight",
        "decoder.bridge.project.weight",
    ):
        assert weights[name].std() == pytest.approx(0.01, rel=0.1), name
        assert weights[name].abs().max() > 0.022, name  # Gaussian: the tails are there


# ---------------------------------------------------------------- xavier


@pytest.mark.parametrize(
    "overrides",
    [
        "encoder.cell=lstm decoder.cell=lstm",
        "decoder.style=luong",
        "encoder.type=convolutional encoder.size=20",
        "encoder.type=self_attention decoder.style=transformer decoder.feedforward=40",
    ],
)
def test_xavier_keeps_each_matrix_within_its_limit(overrides):
    """Glorot and Bengio 2010, eq. 16: ±√(6 / (inputs + outputs)); biases 0, embeddings N(0, 1 / size)."""
    model = build(f"initialisation=xavier {overrides}", vocabulary=300)
    norms = {
        id(value) for part in model.modules() if isinstance(part, nn.LayerNorm) for value in part.parameters()
    }
    for name, value in model.named_parameters():
        if id(value) in norms:
            continue
        if "table" in name or "position" in name:
            assert value.std().item() == pytest.approx(value.shape[1] ** -0.5, rel=0.1), name
        elif value.ndim == 1:
            assert (value == 0).all(), name
        elif value.numel() >= 100:
            taps = math.prod(value.shape[2:])  # kernel positions of a convolution multiply fan-in and fan-out
            check_uniform(value, (6 / (sum(value.shape[:2]) * taps)) ** 0.5, slack=0.2)


# ---------------------------------------------------------------- parameters with their own initial value


@pytest.mark.parametrize(
    ("kind", "style"),
    [
        *((kind, "decoder.style=bahdanau") for kind in KINDS),
        *((kind, "decoder.style=transformer") for kind in KINDS if kind != "orthogonal"),
    ],
)
def test_normalisations_begin_as_they_are(kind, style):
    model = build(f"initialisation={kind} encoder.type=self_attention {style}")
    norms = [part for part in model.modules() if isinstance(part, nn.LayerNorm)]
    assert len(norms) == (3 if "bahdanau" in style else 3 + 4)
    for norm in norms:
        assert (norm.weight == 1).all()
        assert (norm.bias == 0).all()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("heads", [1, 3])
def test_strength_and_width_begin_as_they_are_and_their_keys_do_not(kind, heads):
    """β = 10 and w = 1; the key projection is initialised like that of any other score."""
    scores = {}
    for score in ("cosine", "gaussian", "general"):
        model = build(f"initialisation={kind} attention.score={score} attention.heads={heads}")
        scores[score] = model.decoder.attention.score
    assert isinstance(scores["cosine"], CosineScore)
    assert isinstance(scores["gaussian"], GaussianScore)
    assert scores["cosine"].log_strength.flatten().tolist() == pytest.approx([math.log(10)] * heads)
    assert scores["gaussian"].log_width.flatten().tolist() == [0.0] * heads
    for name in ("cosine", "gaussian"):
        spread = scores["general"].key.weight.std().item()
        assert scores[name].key.weight.std().item() == pytest.approx(spread, rel=0.2)


@pytest.mark.parametrize("kind", KINDS)
def test_the_seed_decides(kind):
    one, two, other = (build(f"initialisation={kind}", seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert not torch.equal(one["vocabulary.weight"], other["vocabulary.weight"])


# ---------------------------------------------------------------- without weights

EVERY = (
    "",
    "encoder.cell=lstm decoder.cell=lstm encoder.layers=2 attention.coverage=true attention.heads=3",
    "decoder.style=luong attention.score=location bridge=attention_pooling",
    "decoder.style=luong attention.score=gaussian",
    "attention.score=cosine decoder.tie_embeddings=true",
    "encoder.type=convolutional decoder.style=vector",
    "encoder.type=self_attention decoder.style=transformer decoder.lexical=true",
    "encoder.cell=gru_reset_before decoder.cell=gru_reset_before bridge=backward",
    "encoder.cell=lstm decoder.cell=lstm decoder.style=luong decoder.bias=false bridge=copy",
)


@pytest.mark.parametrize("overrides", EVERY)
def test_an_empty_model_is_the_same_but_for_its_weights(overrides):
    state = torch.get_rng_state()
    empty = empty_model(tiny_config(overrides), 30, 40, PAD)
    assert torch.equal(torch.get_rng_state(), state)
    full = build(overrides)
    assert str(empty) == str(full)
    shapes, expected = (
        {name: (value.shape, value.dtype) for name, value in model.state_dict().items()}
        for model in (empty, full)
    )
    assert shapes == expected
    assert {value.device.type for value in empty.state_dict().values()} == {"meta"}
    weights = nn.Linear(3, 2).weight  # afterwards initialisation works as before
    assert not weights.is_meta
    assert weights.std() > 0


PROGRAM = f"""
import sys
from tiny import tiny_config
from nmt.model.initialise import empty_model
for overrides in {EVERY!r}:
    empty_model(tiny_config(overrides), 30, 40, 0)
print(*[name for name in ("torch._dynamo", "sympy") if name in sys.modules])
"""


def test_an_empty_model_needs_no_compiler():
    """Its import takes longer than that of PyTorch."""
    paths = os.pathsep.join([str(Path(__file__).parents[1]), *sys.path])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        env=os.environ | {"PYTHONPATH": paths},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout == "\n"
