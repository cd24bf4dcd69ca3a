"""First weights: their ranges, what is zero, and that the seed decides them."""

import dataclasses

import pytest
import torch
from tiny import TINY, tiny_model, with_decoder

from nmt.data.tokenizer import PAD

TIED = with_decoder(TINY, tie_embeddings=True)
ORTHOGONAL = dataclasses.replace(TINY, initialisation="orthogonal")


def test_uniform_fills_its_range():
    config = dataclasses.replace(TINY, initial_range=0.25)
    values = torch.cat([value.flatten() for value in tiny_model(300, 300, config).state_dict().values()])
    assert values.abs().max() <= 0.25
    assert values.max() > 0.249
    assert values.min() < -0.249
    assert values.mean().abs() < 0.01
    assert values.std() == pytest.approx(0.5 / 12**0.5, rel=0.02)


@pytest.mark.parametrize("config", [TINY, TIED, ORTHOGONAL])
def test_embeddings_of_padding_are_zero_and_no_others(config):
    model = tiny_model(30, 40, config)
    for embedding, size in ((model.encoder.embedding, 30), (model.embedding, 40)):
        zero = (embedding.weight == 0).all(dim=1)
        assert zero.tolist() == [index == PAD for index in range(size)]


@pytest.mark.parametrize(
    "config",
    [
        with_decoder(ORTHOGONAL, layers=2),
        with_decoder(ORTHOGONAL, style="luong"),
        dataclasses.replace(ORTHOGONAL, encoder=dataclasses.replace(TINY.encoder, layers=2)),
    ],
)
def test_orthogonal_recurrences(config):
    """Every gate's recurrent matrix: encoder layers and directions, decoder layers."""
    model = tiny_model(30, 30, config)
    recurrent = [
        weight for name, weight in model.encoder.rnn.named_parameters() if name.startswith("weight_hh")
    ]
    assert len(recurrent) == 2 * config.encoder.layers
    cells = [model.decoder.recurrence.lowest, *model.decoder.recurrence.upper]
    recurrent += [cell.hidden.weight for cell in cells]
    for weight in recurrent:
        for gate in weight.split(weight.shape[1]):
            assert gate.shape == (weight.shape[1], weight.shape[1])
            torch.testing.assert_close(gate @ gate.T, torch.eye(len(gate)), atol=1e-5, rtol=0)


def test_orthogonal_leaves_the_rest_as_the_paper_has_it():
    """Bahdanau et al. 2015, appendix B.1; only recurrent weights and zeros are not Gaussian."""
    config = dataclasses.replace(ORTHOGONAL, attention=dataclasses.replace(TINY.attention, size=60))
    model = tiny_model(300, 300, config)
    weights = model.state_dict()
    assert all((value == 0).all() for name, value in weights.items() if "bias" in name)
    assert (model.decoder.attention.score.energy.weight == 0).all()
    for name in ("query", "key"):
        assert weights[f"decoder.attention.score.{name}.weight"].std() == pytest.approx(0.001, rel=0.1)
    for name in ("vocabulary.weight", "encoder.embedding.weight", "encoder.rnn.weight_ih_l0"):
        assert weights[name].std() == pytest.approx(0.01, rel=0.1)


@pytest.mark.parametrize("config", [TINY, ORTHOGONAL])
def test_the_seed_decides(config):
    one, two, other = (tiny_model(30, 30, config, seed=seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert not torch.equal(one["vocabulary.weight"], other["vocabulary.weight"])
