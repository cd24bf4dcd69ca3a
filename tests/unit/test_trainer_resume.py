"""Resuming: after any update, the rest of training is the same as without interruption, bit for bit."""

import dataclasses
import functools
import io
import math
import random
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import pytest
import torch
from recorder import Recorder, Report
from replayer import Replayer
from tiny import copy_batches, tiny_model

from nmt.config.training import TrainingConfig
from nmt.data.batching import TrainingBatches
from nmt.model.translation import DropoutRates, TranslationModel
from nmt.training.graphs import UpdateGraphs
from nmt.training.precision import choose_precision
from nmt.training.train_state import TrainState
from nmt.training.trainer import Trainer

FP32 = choose_precision("fp32", torch.device("cpu"))
DROPOUT = DropoutRates(units=0.3, words=0.2)
MAX_TOKENS, OTHER_MAX_TOKENS = 18, 30
CASES: dict[str, dict[str, Any]] = {
    "plain": {"ema": 0.0},
    "average": {"ema": 0.9},
    "accumulated": {"ema": 0.9, "accumulate": 2},
    "scheduled": {"ema": 0.0, "accumulate": 2, "teacher_forcing": 0.5},
}


def batches(max_tokens: int = MAX_TOKENS, batches_per_update: int = 1) -> TrainingBatches:
    return copy_batches(pairs=20, max_tokens=max_tokens, batches_per_update=batches_per_update)


def sizes(epoch: int, max_tokens: int = MAX_TOKENS, batches_per_update: int = 1) -> list[int]:
    """Tokens of the updates of an epoch."""
    return [micro_batches.tokens for micro_batches, _ in batches(max_tokens, batches_per_update).epoch(epoch)]


class Saver(Recorder):
    """Saves what a checkpoint contains, in serialised form; its scores depend on the weights."""

    trainer: Trainer
    file: bytes = b""
    by_weights = True

    def validate(self, state: TrainState) -> dict[str, float]:
        scores = super().validate(state)
        if self.by_weights:
            weights = torch.cat(
                [parameter.detach().flatten() for parameter in self.trainer.model.parameters()]
            )
            scores |= {"bleu": float(weights.abs().sum()), "loss": float(weights.norm())}
        return scores

    def validated(self, state: TrainState, selected: str) -> None:
        super().validated(state, selected)
        self.keep()

    def save(self, state: TrainState) -> None:
        super().save(state)
        self.keep()

    def keep(self) -> None:
        file = io.BytesIO()
        torch.save({"model": self.trainer.model.state_dict(), "training": self.trainer.state_dict()}, file)
        self.file = file.getvalue()


def begin(callbacks: Saver, max_tokens: int = MAX_TOKENS, seed: int = 1, **settings: object) -> Trainer:
    for generator in (random.seed, np.random.seed, torch.manual_seed):
        generator(seed)
    config = TrainingConfig(**({"epochs": 2, "warmup_steps": 2, "log_every": 3} | settings))
    model: TranslationModel = tiny_model(10, 10, seed=seed, dropout=DROPOUT)
    callbacks.trainer = Trainer(model, batches(max_tokens, config.accumulate), config, FP32, callbacks)
    return callbacks.trainer


def resume(file: bytes, callbacks: Saver, max_tokens: int = MAX_TOKENS, **settings: object) -> Trainer:
    """A new process: another seed, other initial weights, and then the state from the file."""
    trainer = begin(callbacks, max_tokens, seed=99, **settings)
    saved = torch.load(io.BytesIO(file), weights_only=True)
    trainer.model.load_state_dict(saved["model"])
    trainer.model.eval()
    trainer.load_state_dict(saved["training"])
    return trainer


class Outcome(NamedTuple):
    """Everything that must not depend on interruptions."""

    weights: list[torch.Tensor]
    average: list[torch.Tensor]
    moments: dict[int, dict[str, torch.Tensor]]
    train_state: dict[str, Any]
    draws: list[float]
    reports: list[Report]
    steps: list[int]
    validations: list[tuple[int, bool]]


def copied(trainer: Trainer) -> list[torch.Tensor]:
    return [parameter.detach().clone() for parameter in trainer.model.parameters()]


def averages(found: Outcome) -> bool:
    return not all(map(torch.equal, found.average, found.weights))


def outcome(trainer: Trainer, attempts: Sequence[Saver]) -> Outcome:
    state = dataclasses.asdict(trainer.state)
    assert state.pop("seconds") > 0
    with trainer.average.applied():
        average = copied(trainer)
    return Outcome(
        copied(trainer),
        average,
        trainer.train_step.state_dict()["optimizer"]["state"],
        state,
        [random.random(), float(np.random.rand()), float(torch.rand(1))],
        [report for callbacks in attempts for report in callbacks.reports],
        [step for callbacks in attempts for step in callbacks.steps],
        [validation for callbacks in attempts for validation in callbacks.validations],
    )


@functools.cache
def uninterrupted(case: str) -> Outcome:
    callbacks = Saver()
    trainer = begin(callbacks, **CASES[case])
    trainer.run()
    return outcome(trainer, [callbacks])


def interrupted(case: str, stops: Sequence[int]) -> Outcome:
    """The same training by several processes."""
    callbacks = Saver(stop_after=stops[0])
    trainer = begin(callbacks, **CASES[case])
    trainer.run()
    attempts = [callbacks]
    for stop in [*stops[1:], None]:
        assert trainer.state.step == callbacks.stop_after
        callbacks = Saver(stop_after=stop)
        trainer = resume(attempts[-1].file, callbacks, **CASES[case])
        attempts.append(callbacks)
        trainer.run()
    return outcome(trainer, attempts)


def same(found: Outcome, expected: Outcome) -> None:
    for name in ("weights", "average", "moments"):
        torch.testing.assert_close(getattr(found, name), getattr(expected, name), rtol=0, atol=0)
    for name in ("train_state", "draws", "reports", "steps", "validations"):
        assert getattr(found, name) == getattr(expected, name), name


# ---------------------------------------------------------------- exact


def test_the_cases_are_what_they_should_be():
    first = len(sizes(0))
    assert 5 < first < 12
    assert uninterrupted("plain").validations[0][0] == first
    halves = (first + 1) // 2
    for case in ("accumulated", "scheduled"):
        assert uninterrupted(case).validations[0][0] == halves
        assert len(uninterrupted(case).steps) > halves + 2
    for case in ("average", "scheduled"):
        others = zip(uninterrupted(case).reports, uninterrupted("plain").reports, strict=False)
        assert any(one != other for one, other in others) == (case == "scheduled")
    assert averages(uninterrupted("average"))
    assert not averages(uninterrupted("plain"))
    assert len({scores["bleu"] for scores in uninterrupted("average").train_state["history"]}) == 2


@pytest.mark.parametrize(
    "stop", ["first", "second", "in a report", "epoch's end", "after it", "last but one"]
)
@pytest.mark.parametrize("case", CASES)
def test_stopped_after_any_update(case, stop):
    expected = uninterrupted(case)
    end, total = expected.validations[0][0], len(expected.steps)
    steps = {"first": 1, "second": 2, "in a report": 4, "epoch's end": end, "after it": end + 1}
    same(interrupted(case, [steps.get(stop, total - 1)]), expected)


@pytest.mark.parametrize("case", CASES)
def test_stopped_after_every_update(case):
    expected = uninterrupted(case)
    same(interrupted(case, range(1, len(expected.steps))), expected)


def test_these_tests_see_a_difference():
    """Without the random states, for example, dropout differs."""
    callbacks = Saver(stop_after=2)
    begin(callbacks, **CASES["plain"]).run()
    other = Saver()
    trainer = resume(callbacks.file, other, **CASES["plain"])
    torch.manual_seed(5)
    trainer.run()
    assert other.reports[-1] != uninterrupted("plain").reports[-1]


def test_killed_between_two_saves():
    """Updates after the last save are repeated, with the same result."""
    expected, settings = uninterrupted("average"), CASES["average"] | {"save_every": 4}
    callbacks = Saver(stop_after=5)
    trainer = begin(callbacks, **settings)
    callbacks.save = lambda state: state.step == 5 or Saver.save(callbacks, state)
    trainer.run()
    other = Saver()
    trainer = resume(callbacks.file, other, **settings)
    assert trainer.state.step == 4
    trainer.run()
    callbacks.steps, callbacks.reports = callbacks.steps[:4], [w for w in callbacks.reports if w.step <= 4]
    same(outcome(trainer, [callbacks, other]), expected)


@pytest.mark.parametrize("stop", [1, 4, 9])
def test_with_graphs(monkeypatch, stop):
    """A resumed process captures anew; batches are padded the same whether captured or not."""
    recorders: list[Replayer] = []

    def make_graphs(config: object, device: torch.device, processes: object, parameters: Any) -> UpdateGraphs:
        recorders.append(Replayer())
        return UpdateGraphs(recorders[-1], device, parameters)

    monkeypatch.setattr("nmt.training.step.make_graphs", make_graphs)
    settings = {"ema": 0.9, "accumulate": 2, "epochs": 4}
    callbacks = Saver()
    trainer = begin(callbacks, **settings)
    trainer.run()
    expected = outcome(trainer, [callbacks])
    first, second = Saver(stop_after=stop), Saver()
    begin(first, **settings).run()
    trainer = resume(first.file, second, **settings)
    trainer.run()
    same(outcome(trainer, [first, second]), expected)
    replays = [recorder.events.count("replay") for recorder in recorders if recorder.events]
    assert replays[0] > replays[-1] > 0


# ---------------------------------------------------------------- with other settings


def stopped(stop: int, **settings: object) -> bytes:
    callbacks = Saver(stop_after=stop)
    begin(callbacks, **settings).run()
    return callbacks.file


def test_another_batch_size_waits_for_the_next_epoch():
    """No pair is seen twice or skipped, even if training is stopped again in the same epoch."""
    file = stopped(2, log_every=1)
    again = Saver(stop_after=4)
    trainer = resume(file, again, OTHER_MAX_TOKENS, log_every=1)
    expected = [*sizes(0)[2:], *sizes(1, OTHER_MAX_TOKENS)]
    assert sizes(1, OTHER_MAX_TOKENS) != sizes(1)
    assert trainer.total == 2 + len(expected)
    trainer.run()
    last = Saver()
    trainer = resume(again.file, last, OTHER_MAX_TOKENS, log_every=1)
    assert trainer.total == 2 + len(expected)
    state = trainer.run()
    assert [report.tokens for report in again.reports + last.reports] == expected
    assert (state.step, state.max_tokens) == (trainer.total, OTHER_MAX_TOKENS)
    assert [step for step, _ in last.validations] == [len(sizes(0)), trainer.total]


def test_another_accumulation_waits_for_the_next_epoch():
    file = stopped(2, log_every=1)
    callbacks = Saver()
    trainer = resume(file, callbacks, log_every=1, accumulate=3)
    state = trainer.run()
    assert [report.tokens for report in callbacks.reports] == [*sizes(0)[2:], *sizes(1, batches_per_update=3)]
    assert (trainer.total, state.batches_per_update) == (state.step, 3)
    assert callbacks.steps == list(range(3, trainer.total + 1))


@pytest.mark.parametrize("stop", [3, None])
def test_more_epochs_extend_the_plan(stop):
    """In the middle of training, or after it was complete."""
    callbacks = Saver(stop_after=stop)
    before = begin(callbacks)
    before.run()
    other = Saver()
    trainer = resume(callbacks.file, other, epochs=3)
    assert trainer.total == before.total + len(sizes(2))
    state = trainer.run()
    assert other.steps == list(range((stop or before.total) + 1, trainer.total + 1))
    ends = [len(sizes(0)), before.total, trainer.total]
    assert [scores["step"] for scores in state.history] == ends
    assert (state.step, state.epoch, state.batch) == (trainer.total, 2, len(sizes(2)))


def test_more_steps_extend_the_plan():
    file = stopped(4, max_steps=4)
    callbacks = Saver()
    state = resume(file, callbacks, max_steps=6).run()
    assert callbacks.steps == [5, 6]
    assert [scores["step"] for scores in state.history] == [4, 6]


@pytest.mark.parametrize("limits", [{}, {"max_steps": 3}, {"epochs": 1}])
def test_what_is_done_is_not_done_again(limits):
    """Nothing is done either if fewer steps or epochs are set than are already done."""
    first = Saver()
    begin(first).run()
    callbacks = Saver()
    state = resume(first.file, callbacks, **limits).run()
    assert callbacks.steps == callbacks.validations == callbacks.saves == []
    assert len(state.history) == 2


def scripted(stop: int | None = None) -> Saver:
    callbacks = Saver({"bleu": [1.0, 3.0, 2.0, 2.0, 2.0, 9.0, 1.0]}, stop_after=stop)
    callbacks.by_weights = False
    return callbacks


@pytest.mark.parametrize("stop", [1, 2, 3, 4])
def test_patience_is_remembered(stop):
    """The best at update 2, then two worse ones before or after resuming."""
    settings = {"validate_every": 1, "patience": 3}
    first = scripted(stop)
    begin(first, **settings).run()
    second = scripted()
    state = resume(first.file, second, **settings).run()
    assert (state.step, state.best_step, state.best, state.validations_without_improvement) == (
        5,
        2,
        3.0,
        3,
    )
    validations = [(1, True), (2, True), (3, False), (4, False), (5, False)]
    assert first.validations + second.validations == validations
    assert second.validations == validations[stop:]


def test_without_patience_it_stays_done_and_with_more_it_continues():
    settings = {"validate_every": 1, "max_steps": 6}
    first = scripted()
    begin(first, patience=3, **settings).run()
    second = scripted()
    assert resume(first.file, second, patience=3, **settings).run().step == 5
    assert second.steps == []
    third = scripted()
    state = resume(first.file, third, patience=4, **settings).run()
    assert third.validations == [(6, True)]
    assert (state.best, state.validations_without_improvement) == (9.0, 0)


def test_an_older_state_that_repeats_the_average():
    """Until the checkpoint's weights were used for it, the training state had a second copy."""
    first, second = Saver(stop_after=5), Saver()
    begin(first, **CASES["average"]).run()
    saved = torch.load(io.BytesIO(first.file), weights_only=True)
    saved["training"]["average"]["average"] = list(saved["model"].values())
    file = io.BytesIO()
    torch.save(saved, file)
    trainer = resume(file.getvalue(), second, **CASES["average"])
    trainer.run()
    same(outcome(trainer, [first, second]), uninterrupted("average"))


@pytest.mark.parametrize(("then", "now"), [(0.0, 0.9), (0.9, 0.0)])
def test_an_average_that_comes_or_goes_leaves_training_alone(then, now):
    """Only the saved weights differ: training itself is the same as without EMA."""
    callbacks = Saver()
    trainer = resume(stopped(3, ema=then), callbacks, ema=now)
    trainer.run()
    found, expected = outcome(trainer, [callbacks]), uninterrupted("plain")
    torch.testing.assert_close(found.weights, expected.weights, rtol=0, atol=0)
    assert averages(found) == bool(now)


def test_another_metric_compares_with_what_the_best_checkpoint_had_of_it():
    """Not with a value of the old metric."""
    script = {"bleu": [9.0, 8.0, 7.0, 6.0], "chrf": [3.0, 2.0, 4.0, 5.0], "loss": [1.0, 1.0, 1.0, 1.0]}

    def scripted(stop: int | None = None) -> Saver:
        callbacks = Saver(script, stop_after=stop)
        callbacks.by_weights = False
        return callbacks

    first, second = scripted(2), scripted()
    begin(first, validate_every=1, max_steps=4).run()
    assert (
        resume(first.file, scripted(), validate_every=1, max_steps=4).state.validations_without_improvement
        == 1
    )
    trainer = resume(first.file, second, validate_every=1, max_steps=4, metric="chrf")
    assert (trainer.state.best, trainer.state.best_step, trainer.state.validations_without_improvement) == (
        3.0,
        1,
        0,
    )
    state = trainer.run()
    assert first.validations + second.validations == [(1, True), (2, False), (3, True), (4, True)]
    assert (state.best, state.best_step) == (5.0, 4)


def test_a_metric_that_the_run_does_not_have_yet_starts_from_nothing():
    """A run that is older than a metric can be resumed with it: the first validation is the best."""
    script = {"bleu": [9.0, 8.0, 7.0], "chrf": [5.0, 4.0, 3.0], "loss": [1.0, 1.0, 1.0]}
    first, second = (Saver(script, stop_after=stop) for stop in (1, None))
    first.by_weights = second.by_weights = False
    begin(first, validate_every=1, max_steps=3).run()
    saved = torch.load(io.BytesIO(first.file), weights_only=True)
    for scores in saved["training"]["train_state"]["history"]:
        del scores["chrf"]
    older = io.BytesIO()
    torch.save(saved, older)
    trainer = resume(older.getvalue(), second, validate_every=1, max_steps=3, metric="chrf")
    assert math.isnan(trainer.state.best)
    state = trainer.run()
    assert (state.best, state.best_step) == (4.0, 2)
