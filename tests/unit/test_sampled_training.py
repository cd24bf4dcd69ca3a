"""Training with sub-word sampling: the planned number of updates, and resuming bit for bit."""

import io
import math
from typing import Any

import pytest
import torch
from recorder import Recorder
from tiny import ENGLISH, MARATHI, tiny_model, tiny_tokenizers

from nmt.config.training import TrainingConfig
from nmt.data.batching import TrainingBatches
from nmt.data.ragged import ragged
from nmt.data.subword_sampling import SampledPairs
from nmt.model.translation import DropoutRates
from nmt.training.precision import choose_precision
from nmt.training.train_state import TrainState
from nmt.training.trainer import Trainer

FP32 = choose_precision("fp32", torch.device("cpu"))
TOKENIZERS = tiny_tokenizers()
EPOCHS = 5


class Saver(Recorder):
    """Keeps what a checkpoint contains."""

    trainer: Trainer
    file: bytes = b""

    def save(self, state: TrainState) -> None:
        super().save(state)
        file = io.BytesIO()
        torch.save({"model": self.trainer.model.state_dict(), "training": self.trainer.state_dict()}, file)
        self.file = file.getvalue()


def begin(callbacks: Saver, each: int, sampled: bool = True, seed: int = 1) -> Trainer:
    """On few pairs of very different lengths, so that epochs have different numbers of batches."""
    torch.manual_seed(seed)
    sides = [
        ragged(one.encode_all(texts * 4)) for one, texts in zip(TOKENIZERS, (ENGLISH, MARATHI), strict=True)
    ]
    pairs = SampledPairs(*sides, TOKENIZERS, "bpe", 0.4, None, 1, EPOCHS) if sampled else None
    batches = TrainingBatches(*sides, 64, 1, batches_per_update=each, sampled=pairs)
    model = tiny_model(*map(len, TOKENIZERS), seed=seed, dropout=DropoutRates(0.2))
    config = TrainingConfig(epochs=EPOCHS, accumulate=each, warmup_steps=2, log_every=1, ema=0.9, rdrop=1.0)
    callbacks.trainer = Trainer(model, batches, config, FP32, callbacks)
    return callbacks.trainer


def outcome(trainer: Trainer, callbacks: Saver) -> list[Any]:
    reports = callbacks.reports
    return [[one.detach().clone() for one in trainer.model.parameters()], reports, trainer.total]


@pytest.mark.parametrize("each", [1, 3])
def test_every_epoch_is_trained_and_the_last_update_is_known(each):
    callbacks = Saver()
    trainer = begin(callbacks, each)
    planned = trainer.total
    counts = [len(trainer.batches.plan(epoch).batches) for epoch in range(EPOCHS)]
    assert len(set(counts)) > 1
    assert planned == EPOCHS * math.ceil(counts[0] / each)
    trainer = begin(callbacks, each)
    state = trainer.run()
    ends = [sum(math.ceil(count / each) for count in counts[: k + 1]) for k in range(EPOCHS)]
    assert [step for step, _ in callbacks.validations] == ends
    assert state.step == trainer.total == ends[-1]
    assert callbacks.reports[-1].lr < 0.1 * max(report.lr for report in callbacks.reports)


@pytest.mark.parametrize("each", [1, 3])
def test_a_resumed_training_is_the_same_bit_for_bit(each):
    """Stopped and resumed many times on its way."""
    whole = Saver()
    trainer = begin(whole, each)
    trainer.run()
    expected = outcome(trainer, whole)
    part, reports = Saver(stop_after=1), []
    begin(part, each).run()
    for stop in (*range(1, trainer.total, 8 if each == 1 else 3)[1:], None):
        reports += part.reports
        saved = torch.load(io.BytesIO(part.file), weights_only=True)
        part = Saver(stop_after=stop)
        again = begin(part, each, seed=9)
        again.model.load_state_dict(saved["model"])
        again.load_state_dict(saved["training"])
        again.run()
    weights, last, total = outcome(again, part)
    torch.testing.assert_close(weights, expected[0], rtol=0, atol=0)
    assert [*reports, *last] == expected[1]
    assert total == expected[2]


def test_without_sampling_the_plan_never_changes():
    callbacks = Saver()
    trainer = begin(callbacks, 2, sampled=False)
    totals = []
    callbacks.updated = lambda state: totals.append(trainer.total)  # type: ignore[method-assign]
    trainer.run()
    assert set(totals) == {trainer.total}
    assert len(totals) == trainer.total
