"""Which precision is chosen, and that training in it works: weights stay float32, the loss stays finite."""

import math
from contextlib import nullcontext

import pytest
import torch
from tiny import copy_batches, epoch_of, micro_batches, tiny_model

from nmt.config.training import TrainingConfig
from nmt.data.batches import Batch
from nmt.errors import ConfigError
from nmt.model.translation import TranslationModel
from nmt.training.precision import LossScale, Precision, choose_precision
from nmt.training.step import TrainStep
from nmt.training.totals import Reading

CPU = torch.device("cpu")
needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


@pytest.mark.parametrize(("name", "dtype"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_choices_on_a_cpu(name, dtype):
    precision = choose_precision(name, CPU)
    assert (precision.device, precision.dtype, precision.scales) == (CPU, dtype, False)
    assert precision.loss_scale().state_dict() == {}


@pytest.mark.parametrize(("has_bf16", "dtype"), [(True, torch.bfloat16), (False, torch.float16)])
def test_auto_on_a_gpu_takes_what_it_has(monkeypatch, has_bf16, dtype):
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: has_bf16)
    precision = choose_precision("auto", torch.device("cuda", 0))
    assert precision.dtype == dtype
    assert precision.scales  # in bf16 too: autocast runs cuDNN's recurrent layers in fp16


@pytest.mark.parametrize(
    ("device", "units", "instructions", "dtype"),
    [
        ("cpu", 256, True, torch.bfloat16),
        ("cpu", 255, True, torch.float32),
        ("cpu", 256, False, torch.float32),
        ("mps:0", 256, True, torch.float32),
    ],
)
def test_auto_without_cuda(monkeypatch, device, units, instructions, dtype):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: instructions)
    assert choose_precision("auto", torch.device(device), units).dtype == dtype


@pytest.mark.parametrize("device", ["cpu", "mps:0"])
def test_fp16_is_for_cuda_only(device):
    with pytest.raises(ConfigError, match=rf"training\.precision=fp16.*on {device[:3]} use fp32 or bf16"):
        choose_precision("fp16", torch.device(device))


@pytest.mark.parametrize(("name", "inside"), [("fp32", torch.float32), ("bf16", torch.bfloat16)])
def test_autocast_sets_the_type_of_products(name, inside):
    matrix = torch.eye(2)
    with choose_precision(name, CPU).autocast():
        assert (matrix @ matrix).dtype == inside


def make(precision: Precision, **settings: object) -> tuple[TranslationModel, TrainStep]:
    model = tiny_model(10, 10).to(precision.device).train()
    return model, TrainStep(model, TrainingConfig(**settings), precision)


def once(train_step: TrainStep, batch: Batch, step: int = 0, steps: int = 10) -> Reading:
    """One update, and its totals only."""
    train_step.totals.restart()
    train_step.update(micro_batches(batch), 0.01, step, steps)
    return train_step.totals.read()


def train(precision: Precision, steps: int = 10) -> tuple[TranslationModel, list[float]]:
    """A few updates of a tiny model; the model and the loss per token of each."""
    model, train_step = make(precision)
    losses = []
    for step, batch in zip(range(steps), epoch_of(copy_batches(pairs=80, max_tokens=64), 0), strict=False):
        found = once(train_step, batch, step=step, steps=steps)
        losses.append(found.nll / found.tokens)
        assert math.isfinite(found.gradient_norm)
        assert not found.skipped
    return model, losses


def test_bf16_trains_on_a_cpu():
    _, expected = train(choose_precision("fp32", CPU))
    model, found = train(choose_precision("bf16", CPU))
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert found == pytest.approx(expected, rel=0.02)
    assert found != expected  # it did run in the other precision
    assert found[-1] < found[0]


def test_the_loss_scale_follows_the_gradients():
    """As `torch.amp.GradScaler`, with the same state."""
    scale, other = LossScale(CPU, enabled=True), torch.amp.GradScaler("cpu")
    other.scale(torch.ones(()))  # which creates its state
    weight = torch.ones(1, requires_grad=True)
    optimizer = torch.optim.SGD([weight], lr=0.0)
    for gradient in (1.0, math.inf, math.nan, 1.0):
        weight.grad = torch.full((1,), gradient)
        other.step(optimizer)
        other.update()
        scale.update(torch.tensor(float(not math.isfinite(gradient))))
        assert scale.state_dict() == other.state_dict()
    assert float(scale.value) == 16384
    again = LossScale(CPU, enabled=True)
    again.load_state_dict(scale.state_dict())
    assert again.state_dict() == scale.state_dict()
    none = LossScale(CPU, enabled=False)
    none.load_state_dict(scale.state_dict())
    none.update(torch.ones(()))
    assert (float(none.value), none.state_dict()) == (1.0, {})


class Unrounded(Precision):
    """Loss scaling, but products in float32."""

    def autocast(self) -> nullcontext[None]:
        return nullcontext()


def test_scaled_losses_give_the_same_update():
    """The scale cancels out, also in the norm; a power of two is exact."""
    found = []
    for precision in (choose_precision("fp32", CPU), Unrounded(CPU, torch.float16)):
        model, train_step = make(precision, clip_norm=0.01)
        reading = once(train_step, epoch_of(copy_batches(pairs=20, max_tokens=64), 0)[0])
        found.append((reading, model.state_dict()))
    (plain, weights), (scaled, others) = found
    assert scaled == plain
    torch.testing.assert_close(others, weights, rtol=0, atol=0)


@needs_gpu
@pytest.mark.parametrize("name", ["fp32", "bf16", "fp16"])
def test_precisions_agree_on_a_gpu(name):
    _, expected = train(choose_precision("fp32", CPU))
    model, found = train(choose_precision(name, torch.device("cuda", 0)))
    assert all(parameter.dtype == torch.float32 for parameter in model.parameters())
    assert found == pytest.approx(expected, rel=0.02)


@needs_gpu
def test_fp16_gradients_are_unscaled_before_they_are_clipped():
    """Otherwise the norm would include the loss scale (initially 65,536), and clipping stop all learning."""
    norms = []
    for name in ("fp32", "fp16"):
        precision = choose_precision(name, torch.device("cuda", 0))
        model, train_step = make(precision, clip_norm=0.01)
        batch = epoch_of(copy_batches(pairs=20, max_tokens=64), 0)[0]
        norms.append(once(train_step, batch).gradient_norm)
        gradients = [parameter.grad for parameter in model.parameters()]
        clipped = torch.cat([gradient.flatten() for gradient in gradients]).norm()
        assert float(clipped) == pytest.approx(0.01, rel=1e-2)
    assert norms[1] == pytest.approx(norms[0], rel=0.02)


@needs_gpu
def test_an_fp16_overflow_skips_the_update():
    precision = choose_precision("fp16", torch.device("cuda", 0))
    model, train_step = make(precision)
    train_step.load_state_dict(
        train_step.state_dict() | {"scaler": train_step.state_dict()["scaler"] | {"scale": 2.0**40}}
    )
    before = {name: value.clone() for name, value in model.state_dict().items()}
    assert once(train_step, epoch_of(copy_batches(pairs=20, max_tokens=64), 0)[0]).skipped == 1
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert train_step.state_dict()["scaler"]["scale"] < 2.0**40
