"""The training loop, watched by an observer that records what it is told."""

import dataclasses
from dataclasses import dataclass, field

import pytest
import torch
from tiny import TINY, copy_batches, tiny_model, with_decoder

from nmt.config import EncoderConfig, TrainingConfig
from nmt.data.batches import TrainingBatches
from nmt.training.loop import Progress, Trainer, Window
from nmt.training.precision import choose_precision
from nmt.training.schedule import learning_rate

FP32 = choose_precision("fp32", torch.device("cpu"))


@dataclass
class Recorder:
    """Gives scripted scores and keeps what the loop tells it."""

    scores: dict[str, list[float]] = field(default_factory=dict)
    steps: list[int] = field(default_factory=list)
    windows: list[tuple[int, float, int, float, float]] = field(default_factory=list)
    validations: list[tuple[int, bool]] = field(default_factory=list)

    def updated(self, progress: Progress) -> None:
        self.steps.append(progress.step)

    def reported(self, progress: Progress, window: Window) -> None:
        assert window.seconds > 0
        norm = float(window.gradient_norm)
        self.windows.append((progress.step, window.loss, window.tokens, norm, window.rate))

    def validate(self, progress: Progress) -> dict[str, float]:
        scripted = {name: values[len(self.validations)] for name, values in self.scores.items()}
        return {"loss": 0.0, "bleu": float(progress.step)} | scripted

    def validated(self, progress: Progress, improved: bool) -> None:
        assert progress.history[-1]["step"] == progress.step
        self.validations.append((progress.step, improved))


def trainer(
    observer: Recorder, batches: TrainingBatches | None = None, dropout: float = 0.0, **settings: object
) -> Trainer:
    """By default 20 pairs in 7 batches an epoch, 2 epochs, no warm-up to speak of."""
    config = TrainingConfig(**({"epochs": 2, "warmup_steps": 2, "log_every": 3} | settings))
    model = tiny_model(10, 10, dataclasses.replace(TINY, dropout=dropout))
    return Trainer(model, batches or copy_batches(pairs=20, budget=18), config, FP32, observer)


def run(scores: dict[str, list[float]] | None = None, **settings: object) -> tuple[Progress, Recorder]:
    observer = Recorder(scores or {})
    return trainer(observer, **settings).run(), observer


def counts() -> tuple[int, int]:
    """Batches of the first epoch and of both."""
    batches = copy_batches(pairs=20, budget=18)
    return batches.count(1), batches.count(2)


def test_steps_and_validations_by_default():
    first, both = counts()
    assert 3 < first < both
    progress, observer = run()
    assert observer.steps == list(range(1, both + 1))
    assert [step for step, _ in observer.validations] == [first, both]
    assert (progress.step, progress.epoch) == (both, 1)


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
    tokens = [batch.tokens for epoch in range(2) for batch in loop.batches.epoch(epoch)][:8]
    loop.run()
    assert [window[0] for window in observer.windows] == [3, 6, 8]
    assert [window[2] for window in observer.windows] == [sum(tokens[:3]), sum(tokens[3:6]), sum(tokens[6:])]
    for _, loss, _, norm, _ in observer.windows:
        assert 0 < loss < 10
        assert norm > 0


def test_patience():
    bleu = {"bleu": [1.0, 3.0, 2.0, 3.0, 9.0]}
    progress, observer = run(bleu, validate_every=1, patience=2, max_steps=5)
    assert observer.validations == [(1, True), (2, True), (3, False), (4, False)]  # a draw is no better
    assert (progress.best, progress.best_step, progress.stale, progress.step) == (3.0, 2, 2, 4)
    progress, _ = run(bleu, validate_every=1, patience=3, max_steps=5)
    assert (progress.best, progress.best_step, progress.stale) == (9.0, 5, 0)


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
    loop.optimizer.register_step_pre_hook(lambda optimizer, *_: rates.append(optimizer.param_groups[0]["lr"]))
    loop.run()
    assert rates == [learning_rate(step, 8, loop.config) for step in range(1, 9)]
    assert [window[-1] for window in observer.windows] == rates


@pytest.mark.parametrize("limit", [0.0, 0.01, 1e6])
def test_clipping(limit):
    """The gradient that the optimiser sees has the length asked for at most; 0 is no limit."""
    loop = trainer(Recorder(), clip_norm=limit)
    _, norm = loop.update(next(loop.batches.epoch(0)))
    seen = torch.cat([parameter.grad.flatten() for parameter in loop.model.parameters()]).norm()
    assert float(norm) > 0.1
    assert float(seen) == pytest.approx(0.01 if limit == 0.01 else float(norm), rel=1e-4)


def test_the_gradient_is_per_token():
    """Twice the same sentences, in one batch, give the gradient of once."""
    sentences = [[4, 5, 6], [7, 8]]
    gradients = []
    for times in (1, 2):
        batches = TrainingBatches(sentences * times, sentences * times, 1000, seed=1)
        loop = trainer(Recorder(), batches, clip_norm=0.0)
        loop.update(next(batches.epoch(0)))
        gradients.append([parameter.grad for parameter in loop.model.parameters()])
    torch.testing.assert_close(*gradients)


def test_gradients_do_not_pile_up():
    """With weights that stay as they are, the same batch has the same gradient again."""
    loop = trainer(Recorder(), clip_norm=0.0, weight_decay=0.0)
    loop.optimizer.param_groups[0]["lr"] = 0.0
    batch = next(loop.batches.epoch(0))
    norms = [float(loop.update(batch)[1]) for _ in range(2)]
    assert norms[0] == norms[1] > 0


def test_the_same_seed_gives_the_same_weights_bit_for_bit():
    def weights(seed: int) -> dict[str, torch.Tensor]:
        loop = trainer(Recorder(), dropout=0.3, max_steps=6)
        torch.manual_seed(seed)
        loop.run()
        return loop.model.state_dict()

    one, two, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(value, two[name]) for name, value in one.items())
    assert not torch.equal(one["vocabulary.weight"], other["vocabulary.weight"])  # other dropout


def test_a_copy_task_is_learnt():
    """Two to five symbols, copied: seconds of training, and almost no mistake on other draws."""
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
        for batch in copy_batches(pairs=200, budget=256, seed=99).epoch(0):
            logits, _ = model(batch.source, batch.source_mask, batch.previous, batch.target_mask)
            right += int((logits.argmax(dim=-1) == batch.target[batch.target_mask]).sum())
            total += batch.tokens
    assert right / total > 0.95
