"""The training loop, with callbacks that record their calls."""

import dataclasses
import logging
import math

import pytest
import torch
from recorder import Recorder
from tiny import TINY, copy_batches, epoch_of, tiny_model, with_decoder
from torch.optim.optimizer import register_optimizer_step_pre_hook

from nmt.config.model import EncoderConfig
from nmt.config.training import TrainingConfig
from nmt.data.batching import TrainingBatches
from nmt.errors import NmtError
from nmt.model.translation import DropoutRates
from nmt.training.precision import choose_precision
from nmt.training.schedule import learning_rate
from nmt.training.train_state import TrainState
from nmt.training.trainer import Trainer

FP32 = choose_precision("fp32", torch.device("cpu"))


def trainer(
    callbacks: Recorder, batches: TrainingBatches | None = None, dropout: float = 0.0, **settings: object
) -> Trainer:
    """By default 20 pairs in 7 batches per epoch, 2 epochs, almost no warm-up."""
    config = TrainingConfig(**({"epochs": 2, "warmup_steps": 2, "log_every": 3} | settings))
    model = tiny_model(10, 10, dropout=DropoutRates(dropout))
    batches = batches or copy_batches(pairs=20, max_tokens=18, batches_per_update=config.accumulate)
    return Trainer(model, batches, config, FP32, callbacks)


def run(scores: dict[str, list[float]] | None = None, **settings: object) -> tuple[TrainState, Recorder]:
    callbacks = Recorder(scores or {})
    return trainer(callbacks, **settings).run(), callbacks


def counts() -> tuple[int, int]:
    """Batches of the first epoch and of both."""
    batches = copy_batches(pairs=20, max_tokens=18)
    first, second = (len(epoch_of(batches, epoch)) for epoch in range(2))
    return first, first + second


def test_steps_and_validations_by_default():
    first, both = counts()
    assert 3 < first < both
    state, callbacks = run()
    assert callbacks.steps == list(range(1, both + 1))
    assert [step for step, _ in callbacks.validations] == [first, both]
    assert (state.step, state.epoch, state.batch) == (both, 1, both - first)
    assert state.seconds > 0
    assert callbacks.saves == []


def test_max_steps_stops_and_the_last_step_is_validated_once():
    first, both = counts()
    for limit in (2, first, both, both + 100):
        state, callbacks = run(max_steps=limit)
        assert state.step == min(limit, both)
        assert [step for step, _ in callbacks.validations] == sorted({min(first, limit), min(limit, both)})


def test_validating_every_so_many_steps():
    state, callbacks = run(validate_every=4, max_steps=9)
    assert [step for step, _ in callbacks.validations] == [4, 8, 9]
    assert [scores["step"] for scores in state.history] == [4, 8, 9]
    _, callbacks = run(validate_every=4, max_steps=8)
    assert [step for step, _ in callbacks.validations] == [4, 8]


def test_reports_cover_every_token_once():
    callbacks = Recorder()
    loop = trainer(callbacks, max_steps=8)
    tokens = [batch.tokens for epoch in range(2) for batch in epoch_of(loop.batches, epoch)][:8]
    loop.run()
    assert [report.step for report in callbacks.reports] == [3, 6, 8]
    expected = [sum(tokens[:3]), sum(tokens[3:6]), sum(tokens[6:])]
    assert [report.tokens for report in callbacks.reports] == expected
    for _, loss, _, norm, _ in callbacks.reports:
        assert 0 < loss < 10
        assert norm > 0


def test_patience():
    bleu = {"bleu": [1.0, 3.0, 2.0, 3.0, 9.0], "loss": [1.0, 2.0, 1.0, 3.0, 1.0]}
    state, callbacks = run(bleu, validate_every=1, patience=2, max_steps=5)
    assert callbacks.validations == [(1, True), (2, True), (3, False), (4, False)]
    assert (state.best, state.best_step, state.validations_without_improvement, state.step) == (
        3.0,
        2,
        2,
        4,
    )
    state, _ = run(bleu, validate_every=1, patience=3, max_steps=5)
    assert (state.best, state.best_step, state.validations_without_improvement) == (9.0, 5, 0)


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
    state, callbacks = run(scores, validate_every=1, patience=3, max_steps=6)
    assert callbacks.validations == [(1, True), (2, True), (3, True), (4, False), (5, False), (6, True)]
    assert (state.best, state.best_step, state.validations_without_improvement) == (0.0, 6, 0)
    state, _ = run(scores, validate_every=1, patience=2, max_steps=6)
    assert (state.best_step, state.validations_without_improvement, state.step) == (3, 2, 5)


def test_of_equal_checkpoints_the_newest_is_kept_but_patience_runs_out():
    state, callbacks = run({"bleu": [3.0] * 4}, validate_every=1, patience=3, max_steps=6)
    assert callbacks.validations == [(1, True), (2, True), (3, True), (4, True)]
    assert (state.best, state.best_step, state.validations_without_improvement, state.step) == (
        3.0,
        4,
        3,
        4,
    )


def test_a_model_that_has_diverged_is_not_kept():
    scores = {"bleu": [0.0] * 4, "loss": [5.0, math.nan, math.inf, math.nan]}
    state, callbacks = run(scores, validate_every=1, max_steps=4)
    assert [improved for _, improved in callbacks.validations] == [True, False, False, False]
    assert (state.best_step, state.validations_without_improvement) == (1, 3)


@pytest.mark.parametrize(("metric", "best_step"), [("bleu", 2), ("chrf", 3), ("loss", 5), ("bleu+chrf", 4)])
def test_best_by_each_metric(metric, best_step):
    scores = {
        "bleu": [1.0, 4.0, 2.0, 3.5, 3.0],
        "chrf": [1.0, 2.0, 4.0, 3.5, 3.0],
        "loss": [5.0, 4.0, 3.0, 2.0, 1.0],
    }
    state, callbacks = run(scores, validate_every=1, max_steps=5, metric=metric)
    assert state.best_step == best_step
    assert abs(state.best) == sum(scores[name][best_step - 1] for name in metric.split("+"))
    assert max(step for step, improved in callbacks.validations if improved) == best_step


@pytest.mark.parametrize(
    ("scores", "settings", "best_step"),
    [
        ({"bleu": [38.0, 40.0, 39.0, 38.1]}, {}, 4),  # 4.75 % below the best
        ({"bleu": [38.0, 40.0, 39.0, 37.9]}, {}, 2),  # 5.25 %
        ({"bleu": [38.0, 40.0, 39.0, 37.9]}, {"prefer_last": 0.06}, 4),
        ({"bleu": [38.0, 40.0, 39.0, 39.9]}, {"prefer_last": 0.0}, 2),
        ({"bleu": [38.0, 40.0, 39.0, 38.1], "loss": [2.0, 2.0, 2.0, math.nan]}, {}, 2),
        ({"bleu": [38.0, 40.0, 39.0, 38.1], "loss": [2.0, 2.0, 2.0, math.inf]}, {}, 2),
        ({"loss": [2.0, 1.0, 1.5, 1.04]}, {"metric": "loss"}, 4),
        ({"loss": [2.0, 1.0, 1.5, 1.06]}, {"metric": "loss"}, 2),
        ({"bleu": [38.0, 40.0, 39.0, 39.9]}, {"patience": 1}, 2),  # stopped early, so not complete
    ],
)
def test_the_last_checkpoint_of_a_complete_training_if_it_is_close_to_the_best(scores, settings, best_step):
    state, callbacks = run(scores, validate_every=1, max_steps=4, **settings)
    assert state.best_step == best_step
    assert max(step for step, selected in callbacks.validations if selected) == best_step
    assert state.best == scores[settings.get("metric", "bleu")][best_step - 1]
    assert state.validations_without_improvement == state.step - 2


def test_every_step_has_its_learning_rate():
    callbacks = Recorder()
    loop = trainer(callbacks, max_steps=8, log_every=1)
    lrs = []
    hook = register_optimizer_step_pre_hook(
        lambda optimizer, *_: lrs.append(float(optimizer.param_groups[0]["lr"]))
    )
    loop.run()
    hook.remove()
    expected = [learning_rate(step, 8, loop.config) for step in range(1, 9)]
    assert lrs == pytest.approx(expected, rel=1e-6)
    assert [report.lr for report in callbacks.reports] == expected


# ---------------------------------------------------------------- gradient accumulation


@pytest.mark.parametrize("k", [2, 3, 100])
def test_accumulating_makes_fewer_updates_and_no_update_of_two_epochs(k):
    first, both = counts()
    callbacks = Recorder()
    loop = trainer(callbacks, accumulate=k, log_every=1)
    tokens = [[batch.tokens for batch in epoch_of(loop.batches, epoch)] for epoch in range(2)]
    state = loop.run()
    assert loop.total == state.step == math.ceil(first / k) + math.ceil((both - first) / k)
    expected = [sum(epoch[i : i + k]) for epoch in tokens for i in range(0, len(epoch), k)]
    assert [report.tokens for report in callbacks.reports] == expected
    assert [step for step, _ in callbacks.validations] == [math.ceil(first / k), state.step]
    assert state.batch == both - first


# ---------------------------------------------------------------- saving and stopping


def test_saving_between_validations():
    _, callbacks = run(validate_every=4, save_every=2, max_steps=9)
    assert [step for step, _ in callbacks.validations] == [4, 8, 9]
    assert callbacks.saves == [2, 6]  # a validation saves too


@pytest.mark.parametrize("stop", [1, 4, 5])
def test_stopping_saves_and_leaves(stop):
    """After update 4, the validation that is due comes first."""
    callbacks = Recorder(stop_after=stop)
    state = trainer(callbacks, validate_every=4, max_steps=9).run()
    assert state.step == stop
    assert callbacks.steps == list(range(1, stop + 1))
    assert callbacks.saves == [stop]
    assert [step for step, _ in callbacks.validations] == [4][: stop // 4]


@pytest.mark.parametrize("reason", ["validated", "save_every", "stopping"])
def test_what_is_saved_is_the_average(reason):
    """The model has the EMA weights whenever it is saved, and its own weights after training."""
    seen = []

    class Saver(Recorder):
        def save(self, state: TrainState) -> None:
            seen.append(weights())

        def validated(self, state: TrainState, selected: str) -> None:
            self.save(state)

    def weights() -> list[torch.Tensor]:
        return [parameter.detach().clone() for parameter in loop.model.parameters()]

    settings = {"validated": {"validate_every": 2}, "save_every": {"validate_every": 99, "save_every": 2}}
    callbacks = Saver(stop_after=2)
    loop = trainer(callbacks, ema=0.5, **settings.get(reason, {"validate_every": 99}))
    loop.run()
    with loop.average.applied():
        expected = weights()
    assert len(seen) == (1 if reason == "stopping" else 2)
    for found in seen:
        assert all(map(torch.equal, found, expected))
    assert not all(map(torch.equal, weights(), expected))


def spoiled(loop: Trainer, bad: set[int]) -> None:
    """The loss of these updates is NaN."""
    calls = []

    def spoil(decoder, inputs, outputs):
        calls.append(outputs)
        return (outputs[0] * math.nan, outputs[1]) if len(calls) in bad else outputs

    loop.model.decoder.register_forward_hook(spoil)


def test_updates_that_are_left_out_are_counted():
    """Skipped updates count as steps, but do not enter the training loss."""
    callbacks = Recorder()
    loop = trainer(callbacks, max_steps=6)
    spoiled(loop, {2, 5, 6})
    tokens = [batch.tokens for batch in epoch_of(loop.batches, 0)][:6]
    state = loop.run()
    assert (state.step, state.skipped) == (6, 3)
    assert [report.tokens for report in callbacks.reports] == [tokens[0] + tokens[2], tokens[3]]
    assert all(0 < report.loss < 10 for report in callbacks.reports)


def test_too_many_left_out_in_a_row_are_an_end():
    """Noticed at the next report."""
    loop = trainer(Recorder(), max_steps=8, max_skipped=3)
    spoiled(loop, {1, 2, 4, 5, 6})
    with pytest.raises(NmtError, match=r"^step 6: 3 updates in a row .* not finite") as caught:
        loop.run()
    for key in ("resume", "training.learning_rate", "training.precision=fp32"):
        assert key in str(caught.value)
    assert "\n" not in str(caught.value)
    assert loop.state.skipped == 5


@pytest.mark.parametrize(("bad", "most", "step"), [({2}, 1, 3), ({2, 3, 4, 5}, 4, 6), ({1, 2}, 2, 3)])
def test_the_row_goes_on_over_reports_and_counts_when_it_has_ended(bad, most, step):
    loop = trainer(Recorder(), max_steps=8, max_skipped=most)
    spoiled(loop, bad)
    with pytest.raises(NmtError, match=f"^step {step}: {most} updates in a row"):
        loop.run()
    loop = trainer(Recorder(), max_steps=8, max_skipped=most + 1)
    spoiled(loop, bad)
    assert loop.run().skipped == len(bad)


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
    batches = copy_batches(pairs=1500, max_tokens=256)
    model = tiny_model(10, 10, config)
    settings = TrainingConfig(epochs=12, learning_rate=0.01, warmup_steps=20, label_smoothing=0.0)
    Trainer(model, batches, settings, FP32, Recorder()).run()
    model.eval()
    right = total = 0
    with torch.inference_mode():
        for batch in epoch_of(copy_batches(pairs=200, max_tokens=256, seed=99), 0):
            logits, _ = model(batch.source, batch.source_mask, batch.previous, batch.target_mask)
            right += int((logits.argmax(dim=-1) == batch.target[batch.target_mask]).sum())
            total += batch.tokens
    assert right / total > 0.95
