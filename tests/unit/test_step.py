"""One update: its gradient, what it leaves unchanged, and error messages."""

import io
import math
from collections.abc import Sequence
from typing import Any

import pytest
import torch
from tiny import SOURCES, TARGETS, micro_batches, tiny_model

from nmt.alignment.words import Link
from nmt.config.training import TrainingConfig
from nmt.data.batches import Batch, collate
from nmt.errors import NmtError
from nmt.model.translation import TranslationModel
from nmt.training.precision import Precision, choose_precision
from nmt.training.schedule import teacher_forcing_ratio
from nmt.training.step import TrainStep
from nmt.training.totals import Reading

CPU = torch.device("cpu")
FP32 = choose_precision("fp32", CPU)
LINKS: list[list[Link]] = [[(0, 0), (4, 1)], [(1, 5), (0, 2), (1, 2)], []]
BATCH = collate(SOURCES, TARGETS)  # 3 pairs of 3, 7 and 2 target tokens


def make(model: TranslationModel | None = None, **settings: object) -> tuple[TranslationModel, TrainStep]:
    model = tiny_model(23, 23) if model is None else model
    return model.train(), TrainStep(model, TrainingConfig(**settings), FP32)


def once(train_step: TrainStep, *batches: Batch, step: int = 0, lr: float = 1e-3) -> Reading:
    """One update, and its totals only; the skipped ones are those in a row."""
    train_step.totals.restart()
    train_step.update(micro_batches(*(batches or (BATCH,))), lr, step, 100)
    return train_step.totals.read()


def gradients(model: TranslationModel) -> list[torch.Tensor]:
    return [parameter.grad.clone() for parameter in model.parameters()]


def through_a_file(state: dict[str, Any]) -> dict[str, Any]:
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


# ---------------------------------------------------------------- which gradient


@pytest.mark.parametrize("groups", [([0], [1], [2]), ([0, 2], [1]), ([2], [1, 0])])
@pytest.mark.parametrize("guided", [0.0, 0.7])
@pytest.mark.parametrize("clip_norm", [0.0, 0.05])
def test_several_batches_are_one_big_batch(groups, guided, clip_norm):
    """They have 3, 7 and 2 tokens, so a mean of means would differ."""

    def batch(chosen: Sequence[int]) -> Batch:
        links = [LINKS[i] for i in chosen] if guided else None
        return collate([SOURCES[i] for i in chosen], [TARGETS[i] for i in chosen], links)

    found = []
    for batches in ([batch([0, 1, 2])], [batch(group) for group in groups]):
        model, train_step = make(guided_alignment=guided, clip_norm=clip_norm)
        update = once(train_step, *batches)
        found.append((gradients(model), update))
    (together, one), (summed, several) = found
    torch.testing.assert_close(summed, together, rtol=0, atol=1e-6)
    assert one.tokens == several.tokens == 12
    assert several.nll == pytest.approx(one.nll, rel=1e-6)
    assert several.gradient_norm == pytest.approx(one.gradient_norm, rel=1e-6)
    assert max(float(gradient.abs().max()) for gradient in together) > 1e-3


def test_guiding_changes_the_gradient():
    """Otherwise the test above would not prove it."""
    found = []
    for weight in (0.0, 0.7):
        model, train_step = make(guided_alignment=weight)
        once(train_step, collate(SOURCES, TARGETS, LINKS))
        found.append(torch.cat([gradient.flatten() for gradient in gradients(model)]))
    assert float((found[0] - found[1]).norm()) > 0.01


def test_the_gradient_is_per_token():
    """A batch with every sentence twice has the same gradient as with every sentence once."""
    found = []
    for times in (1, 2):
        model, train_step = make(clip_norm=0.0)
        once(train_step, collate(SOURCES * times, TARGETS * times))
        found.append(gradients(model))
    torch.testing.assert_close(*found)


@pytest.mark.parametrize("limit", [0.0, 0.01, 1e6])
def test_clipping(limit):
    """The norm of the gradient passed to the optimizer is at most the limit; 0 means no limit."""
    model, train_step = make(clip_norm=limit)
    norm = once(train_step).gradient_norm
    seen = torch.cat([gradient.flatten() for gradient in gradients(model)]).norm()
    assert norm > 0.1
    assert float(seen) == pytest.approx(0.01 if limit == 0.01 else norm, rel=1e-4)


def test_gradients_do_not_pile_up():
    """With unchanged weights, the same batch has the same gradient again."""
    _, train_step = make(clip_norm=0.0)
    norms = [once(train_step, step=step, lr=0.0).gradient_norm for step in range(2)]
    assert norms[0] == norms[1] > 0


def test_the_step_decides_how_often_the_teacher_speaks():
    _, train_step = make(teacher_forcing=0.2)
    ratios = []
    train_step._objective.register_forward_pre_hook(lambda _, arguments: ratios.append(arguments[1]))
    for step in (0, 49, 99):
        once(train_step, step=step)
    config = TrainingConfig(teacher_forcing=0.2)
    assert ratios == [teacher_forcing_ratio(step + 1, 100, config) for step in (0, 49, 99)]
    assert (ratios[0], ratios[2]) == pytest.approx((1, 0.2))


# ---------------------------------------------------------------- NaN and infinity


class Spoiler:
    """While it is on, a model's loss or gradient is multiplied by a factor."""

    def __init__(self, model: TranslationModel, what: str, factor: float) -> None:
        self.on, self.what, self.factor = False, what, factor
        model.decoder.register_forward_hook(self.spoil_loss)
        next(model.encoder.parameters()).register_hook(self.spoil_gradient)

    def spoil_loss(self, decoder: torch.nn.Module, inputs: Any, outputs: Any) -> Any:
        return (outputs[0] * self.factor, outputs[1]) if self.on and self.what == "loss" else None

    def spoil_gradient(self, gradient: torch.Tensor) -> torch.Tensor | None:
        return gradient * self.factor if self.on and self.what == "gradient" else None


def everything(model: TranslationModel, train_step: TrainStep) -> dict[str, Any]:
    """What an update changes."""
    with train_step.average.applied():
        average = {name: value.clone() for name, value in model.state_dict().items()}
    moments = train_step.state_dict()["optimizer"]["state"]
    return {"model": model.state_dict(), "average": average, "moments": moments}


@pytest.mark.parametrize("what", ["loss", "gradient"])
@pytest.mark.parametrize("factor", [math.nan, math.inf])
def test_an_update_that_is_not_finite_changes_nothing(what, factor):
    model, train_step = make()
    spoiler = Spoiler(model, what, factor)
    assert once(train_step).skipped_in_a_row == 0
    before = through_a_file(everything(model, train_step))
    spoiler.on = True
    update = once(train_step)
    assert (update.skipped, update.skipped_in_a_row, update.longest) == (1, 1, 1)
    assert (update.tokens, update.nll) == (0, 0.0)
    assert what == "loss" or not math.isfinite(update.gradient_norm)
    after = everything(model, train_step)
    for name in ("model", "average", "moments"):
        torch.testing.assert_close(after[name], before[name], rtol=0, atol=0)
    spoiler.on = False
    assert once(train_step).skipped_in_a_row == 0
    assert all(parameter.isfinite().all() for parameter in model.parameters())
    assert not torch.equal(model.target.table.weight, before["model"]["target.table.weight"])


def test_one_bad_batch_of_several_spoils_the_update():
    model, train_step = make()
    spoiler, calls = Spoiler(model, "loss", math.nan), []
    before = through_a_file(model.state_dict())

    def spoil_the_second(*_: object) -> None:
        calls.append(1)
        spoiler.on = len(calls) == 2

    model.decoder.register_forward_pre_hook(spoil_the_second)
    assert once(train_step, BATCH, BATCH, BATCH).skipped_in_a_row == 1
    assert len(calls) == 3
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


def test_skipped_updates_are_counted():
    """Those in a row from zero after a finite update; the most in a row since the totals were restarted."""
    model, train_step = make()
    spoiler = Spoiler(model, "loss", math.nan)
    found = []
    for bad in (True, True, False, True):
        spoiler.on = bad
        train_step.update(micro_batches(BATCH), 1e-3, 0, 100)
        found.append(train_step.totals.read())
    assert [one.skipped for one in found] == [1, 2, 2, 3]
    assert [one.skipped_in_a_row for one in found] == [1, 2, 0, 1]
    assert [one.longest for one in found] == [1, 2, 2, 2]
    assert [one.tokens for one in found] == [0, 0, 12, 12]
    assert found[3].nll == found[2].nll > 0
    train_step.totals.restart()
    assert train_step.totals.read()._replace(gradient_norm=0) == Reading(0, 0, 0, 3, 1, 0)


# ---------------------------------------------------------------- memory

ON_A_CPU = (
    "[enforce fail at alloc_cpu.cpp:124] err == 0. DefaultCPUAllocator: can't allocate memory: you tried to "
    "allocate 4000000000000 bytes. Error code 12 (Cannot allocate memory)"
)


def failing(error: BaseException) -> tuple[TranslationModel, TrainStep]:
    def fail(*_: object) -> None:
        raise error

    model, train_step = make()
    model.encoder.register_forward_hook(fail)
    return model, train_step


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB.\nGPU 0 has …"),
        RuntimeError(ON_A_CPU),
        MemoryError(),
    ],
    ids=["GPU", "CPU", "Python"],
)
@pytest.mark.parametrize("swapped", [False, True])
def test_too_little_memory_says_for_what(error, swapped):
    _, train_step = failing(error)
    sides = (TARGETS, SOURCES) if swapped else (SOURCES, TARGETS)
    small, large = collate([[5]], [[6]]), collate(*sides)
    with pytest.raises(NmtError) as caught:
        once(train_step, large, small, step=7)
    said = str(caught.value)
    tokens = 13 if swapped else 12
    # six tokens and end-of-sentence, on either side
    expected = f"step 8: out of memory with a batch of 3 pairs, {tokens} target tokens, longest sentence 7 "
    assert said.startswith(expected)
    for key in ("training.batch_tokens", "training.accumulate"):
        assert key in said
    assert "\n" not in said
    assert caught.value.__cause__ is error


def test_one_pair_too_large_for_the_memory_cannot_be_divided():
    _, train_step = failing(MemoryError())
    with pytest.raises(NmtError) as caught:
        once(train_step, collate([[5] * 40], [[6]]))
    assert str(caught.value).endswith(
        "a batch of 1 pair, 2 target tokens, longest sentence 41 tokens; start a new run with shorter pairs "
        "only: data.max_tokens=20"
    )


def test_a_real_allocation_that_fails_is_recognised():
    """The message is torch's, and may change with its version."""

    def grab(*_: object) -> None:
        torch.empty(2**60, dtype=torch.uint8)

    model, train_step = make()
    model.encoder.register_forward_hook(grab)
    with pytest.raises(NmtError, match="step 1: out of memory"):
        once(train_step)


@pytest.mark.parametrize(
    "error",
    [RuntimeError("mat1 and mat2 shapes cannot be multiplied (3x4 and 5x6)"), ValueError("x"), NmtError("y")],
)
def test_other_errors_come_through_as_they_are(error):
    _, train_step = failing(error)
    with pytest.raises(type(error)) as caught:
        once(train_step)
    assert caught.value is error
    assert error.__cause__ is None


# ---------------------------------------------------------------- resuming


def test_resuming_is_exact():
    """Four updates, or two, saving and loading, and two more."""
    model, train_step = make()
    for step in range(4):
        once(train_step, step=step)
    half, before = make()
    for step in range(2):
        once(before, step=step)
    saved = through_a_file({"model": half.state_dict(), "train_step": before.state_dict()})
    other, after = make(tiny_model(23, 23, seed=5))
    other.load_state_dict(saved["model"])
    after.load_state_dict(saved["train_step"])
    for step in range(2, 4):
        once(after, step=step)
    torch.testing.assert_close(other.state_dict(), model.state_dict(), rtol=0, atol=0)


def test_settings_are_those_of_now_and_moments_those_of_then():
    model, before = make(beta2=0.9, weight_decay=0.2)
    once(before)
    saved = through_a_file(before.state_dict())
    _, after = make(model, beta2=0.95, weight_decay=0.1)
    after.load_state_dict(saved)
    found = after.state_dict()["optimizer"]
    (group,) = found["param_groups"]
    assert (group["betas"], group["weight_decay"]) == ((0.9, 0.95), 0.1)
    torch.testing.assert_close(found["state"], saved["optimizer"]["state"], rtol=0, atol=0)
    once(after)
    assert {int(state["step"]) for state in after.state_dict()["optimizer"]["state"].values()} == {2}


def test_precision_may_change():
    """fp32 has no loss scaling: its state is restored, and not required."""
    fp16 = Precision(CPU, torch.float16)
    model, plain = make()
    once(plain)
    scaling = TrainStep(model, TrainingConfig(), fp16)
    scaling.load_state_dict(through_a_file(plain.state_dict()))
    assert scaling.state_dict()["scaler"]["scale"] == 65536
    other = through_a_file(scaling.state_dict())
    other["scaler"]["scale"] = 8.0
    again = TrainStep(model, TrainingConfig(), fp16)
    again.load_state_dict(other)
    assert again.state_dict()["scaler"]["scale"] == 8.0
    plain.load_state_dict(other)
    assert once(plain).skipped_in_a_row == 0
