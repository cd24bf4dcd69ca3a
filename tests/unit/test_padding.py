"""Batches padded to a shape: padding changes neither the loss nor the update."""

import math

import pytest
import torch
from every_model import MODELS, small_batch, small_model
from tiny import micro_batches

from nmt.config.training import TrainingConfig
from nmt.data.batches import Batch
from nmt.data.padding import Shape, pad_batch, shape_of
from nmt.data.tokenizer import EOS, PAD
from nmt.training.objective import Objective
from nmt.training.precision import choose_precision
from nmt.training.step import TrainStep

FP32 = choose_precision("fp32", torch.device("cpu"))
SHAPES = [Shape(4, 6, 7, 16), Shape(4, 6, 7, 28), Shape(6, 9, 8, 20), Shape(7, 6, 9, 63), Shape(5, 8, 7, 16)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("links", [False, True])
def test_the_shape_and_what_is_in_it(shape, links):
    batch = small_batch(links)
    padded = pad_batch(batch, shape)
    assert shape_of(batch) == Shape(4, 6, 7, 16)
    assert shape_of(padded) == shape
    assert (padded.tokens, padded.source_lengths) == (batch.tokens, None)
    assert padded.target_mask.sum() == batch.tokens
    rows, steps = padded.positions
    assert torch.equal(rows[:16], batch.positions[0])
    assert torch.equal(steps[:16], batch.positions[1])
    assert not padded.target_mask[rows[16:], steps[16:]].any()
    assert (padded.target[padded.positions][16:] == PAD).all()
    for name, filler in (("source", PAD), ("source_mask", 0), ("target", PAD), ("previous", PAD)):
        old, new = getattr(batch, name), getattr(padded, name)
        assert new.dtype == old.dtype
        assert torch.equal(new[:4, : old.shape[1]], old)
        assert (new[:4, old.shape[1] :] == filler).all()
    assert (padded.source[4:, 0] == EOS).all()
    assert (padded.source_mask[4:].sum(dim=1) == 1).all()
    if links:
        assert padded.alignment.shape == (shape.rows, shape.target, shape.source)
        assert torch.equal(padded.alignment[:4, :7, :6], batch.alignment)
        assert padded.alignment.sum() == batch.alignment.sum()


@pytest.mark.parametrize("shape", [Shape(3, 6, 7, 16), Shape(4, 6, 7, 15)])
def test_a_smaller_shape_is_our_mistake(shape):
    with pytest.raises(AssertionError):
        pad_batch(small_batch(), shape)


def sums(model_name: str, batch: Batch) -> list[torch.Tensor]:
    model = small_model(model_name, double=True)
    config = TrainingConfig(guided_alignment=0.0 if batch.alignment is None else 0.5)
    found = Objective(model, config)(batch, 1.0)
    found.objective.backward()
    gradients = [one.grad for one in model.parameters() if one.grad is not None]
    return [found.objective.detach(), found.nll, *gradients]


@pytest.mark.parametrize("model", MODELS)
def test_it_changes_no_loss_and_no_gradient(model):
    links = model != "seq2seq"  # which has no attention to guide
    batch = small_batch(links)
    expected = sums(model, batch)
    for shape in SHAPES[1:]:
        torch.testing.assert_close(sums(model, pad_batch(batch, shape)), expected, rtol=1e-6, atol=1e-6)
    assert float(expected[0]) > 1


@pytest.mark.parametrize("model", MODELS)
def test_it_changes_no_weight(model):
    found = []
    for shape in (None, SHAPES[2]):
        batch = small_batch()
        weights = small_model(model)
        train_step = TrainStep(weights, TrainingConfig(), FP32)
        train_step.update(micro_batches(batch if shape is None else pad_batch(batch, shape)), 1e-2, 0, 9)
        reading = train_step.totals.read()
        assert reading.tokens == 16
        assert math.isfinite(reading.nll)
        found.append([reading.nll, reading.gradient_norm])
        gradients = [one.grad for one in weights.parameters() if one.grad is not None]
        found[-1].append(torch.cat([one.flatten() for one in gradients]))
    torch.testing.assert_close(found[1], found[0], rtol=1e-5, atol=1e-6)
