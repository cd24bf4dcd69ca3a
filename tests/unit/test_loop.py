"""The training loop, with an observer that records its callbacks."""

import dataclasses
import logging
import math

import pytest
import torch
from observer import Recorder
from tiny import TINY, copy_batches, epoch_of, tiny_model, with_decoder
from torch.optim.optimizer import register_optimizer_step_pre_hook

from nmt.config.model import EncoderConfig
from nmt.config.training import TrainingConfig
from nmt.data.batches import TrainingBatches
from nmt.model.translation import DropoutRates
from nmt.training.precision import choose_precision
from nmt.training.schedule import learning_rate
from nmt.training.train_state import TrainState
from nmt.training.trainer import Trainer

FP32 = choose_precision("fp32", torch.device("cpu"))


def trainer(
    observer: Recorder, batches: TrainingBatches | None = None, dropout: float = 0.0, **settings: object
) -> Trainer:
    """By default 20 pairs in 7 batches per epoch, 2 epochs, almost no warm-up."""
    config = TrainingConfig(**({"epochs": 2, "warmup_steps": 2, "log_every": 3} | settings))
    model = tiny_model(10, 10, dropout=DropoutRates(dropout))
    batches = batches or copy_batches(pairs=20, budget=18, block=config.accumulate)
    return Trainer(model, batches, config, FP32, observer)


def run(scores: dict[str, list[float]] | None = None, **settings: object) -> tuple[TrainState, Recorder]:
    observer = Recorder(scores or {})
    return trainer(observer, **settings).run(), observer


def counts() -> tuple[int, int]:
    """Batches of the first epoch and of both."""
    batches = copy_batches(pairs=20, budget=18)
    first, second = (len(epoch_of(batches, epoch)) for epoch in range(2))
    return first, first + second


def test_steps_and_validations_by_default():
    first, both = counts()
    assert 3 < first < both
    progress, observer = run()
    assert observer.steps == list(range(1, both + 1))
    assert [step for step, _ in observer.validations] == [first, both]
    assert (progress.step, progress.epoch, progress.batch) == (both, 1, both - first)
    assert progress.seconds > 0
    assert observer.saves == []


def test_max_steps_stops_and_the_last_step_is_validated_once():
    first, both = counts()
    for limit in (2, first, both, both + 100):
        progress, observer = run(max_steps=limit)
        assert progress.step == min(limit, both)
        assert [step for step, _ in observer.validations] == sorted({min(first, limit), min(limit, both)})


def test_validating_every_so_many_steps():
    progress, observer = run(validate_every=4, max_steps=9)
    assert [step for step, _ in observer.validations] == [4, 8, 9]
    assert [scores["step"] for scores in progress.history] == [4, 8, 9]
    _, observer = run(validate_every=4, max_steps=8)
    assert [step for step, _ in observer.validations] == [4, 8]


def test_windows_cover_every_token_once():
    observer = Recorder()
    loop = trainer(observer, max_steps=8)
    tokens = [batch.tokens for epoch in range(2) for batch in epoch_of(loop.batches, epoch)][:8]
    loop.run()
    assert [window.step for window in observer.windows] == [3, 6, 8]
    expected = [sum(tokens[:3]), sum(tokens[3:6]), sum(tokens[6:])]
    assert [window.tokens for window in observer.windows] == expected
    for _, loss, _, norm, _ in observer.windows:
        assert 0 < loss < 10
        assert norm > 0


def test_patience():
    bleu = {"bleu": [1.0, 3.0, 2.0, 3.0, 9.0], "loss": [1.0, 2.0, 1.0, 3.0, 1.0]}
    progress, observer = run(bleu, validate_every=1, patience=2, max_steps=5)
    assert observer.validations == [(1, True), (2, True), (3, False), (4, False)]
    assert (progress.best, progress.best_step, progress.validations_without_improvement, progress.step) == (
        3.0,
        2,
        2,
        4,
    )
    progress, _ = run(bleu, validate_every=1, patience=3, max_steps=5)
    assert (progress.best, progress.best_step, progress.validations_without_improvement) == (9.0, 5, 0)


def test_stopping_early_is_logged_also_when_nothing_is_left_to_do(monkeypatch, caplog):
    lines, logger = [], logging.getLogger("nmt")
    handler = logging.Handler()
    monkeypatch.setattr(handler, "emit", lambda record: lines.append(record.getMessage()))
    monkeypatch.setattr(logger, "handlers", [handler])
    caplog.set_level("INFO", logger="nmt")
    loop = trainer(Recorder({"bleu": [3.0, 2.0, 1.0, 9.0]}), validate_every=1, patience=2, max_steps=4)
    loop.run()
    loop.run()
    expected = "stopped early after step 3: no improvement in the last 2 validations (training.patience=2)"
    assert lines == [expected] * 2


def test_patience_goes_by_chrf_and_loss_where_bleu_sees_nothing():
    scores = {
        "bleu": [0.0] * 6,
        "chrf": [1.0, 5.0, 5.0, 4.0, 5.0, 6.0],
        "loss": [6.0, 5.0, 4.0, 3.0, 4.5, 1.0],
    }
    progress, observer = run(scores, validate_every=1, patience=3, max_steps=6)
    assert observer.validations == [(1, True), (2, True), (3, True), (4, False), (5, False), (6, True)]
    assert (progress.best, progress.best_step, progress.validations_without_improvement) == (0.0, 6, 0)
    progress, _ = run(scores, validate_every=1, patience=2, max_steps=6)
    assert (progress.best_step, progress.validations_without_improvement, progress.step) == (3, 2, 5)


def test_of_equal_checkpoints_the_newest_is_kept_but_patience_runs_out():
    progress, observer = run({"bleu": [3.0] * 4}, validate_every=1, patience=3, max_steps=6)
    assert observer.validations == [(1, True), (2, True), (3, True), (4, True)]
    assert (progress.best, progress.best_step, progress.validations_without_improvement, progress.step) == (
        3.0,
        4,
        3,
        4,
    )


def test_a_model_that_has_diverged_is_not_kept():
    scores = {"bleu": [0.0] * 4, "loss": [5.0, math.nan, math.inf, math.nan]}
    progress, observer = run(scores, validate_every=1, max_steps=4)
    assert [improved for _, improved in observer.validations] == [True, False, False, False]
    assert (progress.best_step, progress.validations_without_improvement) == (1, 3)


@pytest.mark.parametrize(("metric", "best_step"), [("bleu", 2), ("chrf", 3), ("loss", 4)])
def test_best_by_each_metric(metric, best_step):
    scores = {"bleu": [1.0, 4.0, 2.0, 3.0], "chrf": [1.0, 2.0, 4.0, 3.0], "loss": [4.0, 3.0, 2.0, 1.0]}
    progress, observer = run(scores, validate_every=1, max_steps=4, metric=metric)
    assert progress.best_step == best_step
    assert abs(progress.best) == scores[metric][best_step - 1]
    assert max(step for step, improved in observer.validations if improved) == best_step


def test_every_step_has_its_learning_rate():
    observer = Recorder()
    loop = trainer(observer, max_steps=8, log_every=1)
    rates = []
    hook = register_optimizer_step_pre_hook(
        lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"])
    )
    loop.run()
    hook.remove()
    assert rates == [learning_rate(step, 8, loop.config) for step in range(1, 9)]
    assert [window.rate for window in observer.windows] == rates


# ---------------------------------------------------------------- gradient accumulation


@pytest.mark.parametrize("k", [2, 3, 100])
def test_accumulating_makes_fewer_updates_and_no_update_of_two_epochs(k):
    first, both = counts()
    observer = Recorder()
    loop = trainer(observer, accumulate=k, log_every=1)
    tokens = [[batch.tokens for batch in epoch_of(loop.batches, epoch)] for epoch in range(2)]
    progress = loop.run()
    assert loop.total == progress.step == math.ceil(first / k) + math.ceil((both - first) / k)
    expected = [sum(part[i : i + k]) for part in tokens for i in range(0, len(part), k)]
    assert [window.tokens for window in observer.windows] == expected
    assert [step for step, _ in observer.validations] == [math.ceil(first / k), progress.step]
    assert progress.batch == both - first


# ---------------------------------------------------------------- saving and stopping


def test_saving_between_validations():
    _, observer = run(validate_every=4, save_every=2, max_steps=9)
    assert [step for step, _ in observer.validations] == [4, 8, 9]
    assert observer.saves == [2, 6]  # a validation saves too


@pytest.mark.parametrize("stop", [1, 4, 5])
def test_stopping_saves_and_leaves(stop):
    """After update 4, the validation that is due comes first."""
    observer = Recorder(stop_after=stop)
    progress = trainer(observer, validate_every=4, max_steps=9).run()
    assert progress.step == stop
    assert observer.steps == list(range(1, stop + 1))
    assert observer.saves == [stop]
    assert [step for step, _ in observer.validations] == [4][: stop // 4]


@pytest.mark.parametrize("way", ["validated", "save_every", "stopping"])
def test_what_is_saved_is_the_average(way):
    """The model has the EMA weights whenever it is saved, and its own weights after training."""
    seen = []

    class Saver(Recorder):
        def save(self, progress: TrainState) -> None:
            seen.append(weights())

        def validated(self, progress: TrainState, improved: bool) -> None:
            self.save(progress)

    def weights() -> list[torch.Tensor]:
        return [parameter.detach().clone() for parameter in loop.model.parameters()]

    settings = {"validated": {"validate_every": 2}, "save_every": {"validate_every": 99, "save_every": 2}}
    observer = Saver(stop_after=2)
    loop = trainer(observer, ema=0.5, **settings.get(way, {"validate_every": 99}))
    loop.run()
    with loop.average.applied():
        expected = weights()
    assert len(seen) == (1 if way == "stopping" else 2)
    for found in seen:
        assert all(map(torch.equal, found, expected))
    assert not all(map(torch.equal, weights(), expected))


def test_updates_that_are_left_out_are_counted():
    """Skipped updates count as steps, but do not enter the training loss."""
    observer = Recorder()
    loop = trainer(observer, max_steps=6)
    bad = {2, 5, 6}
    calls = []

    def spoil(model, inputs, outputs):
        calls.append(outputs)
        return (outputs[0] * math.nan, outputs[1]) if len(calls) in bad else outputs

    loop.model.register_forward_hook(spoil)
    tokens = [batch.tokens for batch in epoch_of(loop.batches, 0)][:6]
    progress = loop.run()
    assert (progress.step, progress.skipped) == (6, 3)
    assert [window.tokens for window in observer.windows] == [tokens[0] + tokens[2], tokens[3]]
    assert all(0 < window.loss < 10 for window in observer.windows)


# ---------------------------------------------------------------- results


def test_the_same_seed_gives_the_same_weights_bit_for_bit():
    def weights(seed: int) -> dict[str, torch.Tensor]:
        loop = trainer(Recorder(), dropout=0.3, max_steps=6)
        torch.manual_seed(seed)
        loop.run()
        return loop.model.state_dict()

    one, two, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert not torch.equal(one["vocabulary.weight"], other["vocabulary.weight"])  # different dropout


def test_a_copy_task_is_learnt():
    """Copying two to five symbols: learned in seconds, almost without errors on new samples."""
    encoder = EncoderConfig(size=32, embedding=16)
    config = with_decoder(TINY, size=32, embedding=16, readout=16)
    config = dataclasses.replace(config, encoder=encoder, initial_range=0.1)
    batches = copy_batches(pairs=1500, budget=256)
    model = tiny_model(10, 10, config)
    settings = TrainingConfig(epochs=12, learning_rate=0.01, warmup_steps=20, label_smoothing=0.0)
    Trainer(model, batches, settings, FP32, Recorder()).run()
    model.eval()
    right = total = 0
    with torch.inference_mode():
        for batch in epoch_of(copy_batches(pairs=200, budget=256, seed=99), 0):
            logits, _ = model(batch.source, batch.source_mask, batch.previous, batch.target_mask)
            right += int((logits.argmax(dim=-1) == batch.target[batch.target_mask]).sum())
            total += batch.tokens
    assert right / total > 0.95
