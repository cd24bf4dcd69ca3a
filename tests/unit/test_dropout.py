"""Dropout with cheap random numbers."""

import pytest
import torch
from torch import nn

from nmt.model.dropout import Dropout, noise
from nmt.model.embedding import TokenEmbedding


@pytest.mark.parametrize("p", [0.1, 0.4, 0.9])
def test_units_are_dropped_independently_with_the_probability_given(p):
    torch.manual_seed(0)
    factors = noise(torch.empty(400, 501), p)
    dropped = (factors == 0).double()
    deviation = (p * (1 - p) / dropped.numel()) ** 0.5
    assert dropped.mean().item() == pytest.approx(p, abs=4 * deviation)
    kept = factors[factors != 0]
    assert (kept == kept[0]).all()
    assert kept[0].item() == pytest.approx(1 / (1 - p), rel=1e-3)
    for lag in (1, 2, 3, 4, 5, 501):  # four units share a random number
        flat = dropped.flatten()
        together = (flat[lag:] * flat[:-lag]).mean().item()
        assert together == pytest.approx(p * p, abs=5 * p / len(flat) ** 0.5)
    halves = dropped.flatten()[:200400].view(-1, 4).mean(dim=0)  # each of the four
    assert halves.tolist() == pytest.approx([p] * 4, abs=8 * deviation)


def test_gradient_and_value_use_the_same_units():
    torch.manual_seed(0)
    units = torch.randn(30, 7, requires_grad=True)
    found = Dropout(0.5).train()(units)
    found.sum().backward()
    assert 0 < (found == 0).sum() < units.numel()
    torch.testing.assert_close(found, units * units.grad)


def test_word_dropout_drops_entire_embeddings_and_scales_the_others():
    torch.manual_seed(0)
    embedding = TokenEmbedding(9, 5, 0, 0.0, 0.25).train()
    tokens = torch.randint(1, 9, (50, 80))
    found = embedding(tokens)
    dropped = (found == 0).all(dim=-1)
    assert torch.equal(dropped, (found == 0).any(dim=-1))
    assert dropped.double().mean().item() == pytest.approx(0.25, abs=0.03)
    torch.testing.assert_close(found[~dropped], embedding.table(tokens)[~dropped] / 0.75)
    assert torch.equal(embedding.eval()(tokens), embedding.table(tokens))


def test_nothing_is_dropped_or_drawn_in_evaluation_or_with_probability_zero():
    units, before = torch.randn(3, 5), torch.get_rng_state()
    assert Dropout(0.5).eval()(units) is units
    assert Dropout(0.0).train()(units) is units
    assert torch.equal(torch.get_rng_state(), before)


def test_the_seed_decides():
    torch.manual_seed(3)
    first = noise(torch.empty(5, 5), 0.5)
    assert not torch.equal(noise(torch.empty(5, 5), 0.5), first)
    torch.manual_seed(3)
    assert torch.equal(noise(torch.empty(5, 5), 0.5), first)


def test_a_probability_next_to_one_still_has_a_finite_scale():
    torch.manual_seed(0)
    assert noise(torch.empty(10**6), 1 - 1e-9).isfinite().all()


def test_everything_that_is_dropped_is_dropped_by_this_class():
    """None of PyTorch's, which is slow on a CPU, is left in a model."""
    from tiny import tiny_config, tiny_model

    for overrides in ("", "decoder.style=luong decoder.layers=2", "decoder.style=transformer"):
        model = tiny_model(9, 9, tiny_config(overrides))
        assert not [module for module in model.modules() if type(module) is nn.Dropout]
