"""A stored checkpoint of format 1: every later version can read it, translate with it and resume from it.

It is of `experiment=debug` on sentences of three words, with sizes of 4 and 8, after 30 updates. What is
expected of it was computed by earlier versions, in float32 with torch 2.13 on a CPU; the losses without
dropout, whose random numbers may change.
"""

import math
from pathlib import Path

import pytest
import torch
from recorder import Recorder

from nmt.config.decoding import DecodingConfig
from nmt.config.training import TrainingConfig
from nmt.data.batching import TrainingBatches
from nmt.data.ragged import ragged
from nmt.decoding.torch_model import TorchModel
from nmt.decoding.translator import Translator
from nmt.model.translation import DropoutRates
from nmt.runs.checkpoint import load_checkpoint, load_for_resuming
from nmt.training.precision import choose_precision
from nmt.training.trainer import Trainer

KEPT = Path(__file__).parents[1] / "data" / "format-1" / "last"
CPU = torch.device("cpu")
PAIRS = {
    "Radha was hungry.": "राधा भुकेली होती.",
    "She was hungry": "ती भुकेली होती",
    "Is Meena ill?": "मीना आजारी आहे का?",
}
LOG_PROBABILITIES = [-58.20235, -43.73998, -52.19073]
LOSSES = [3.79120, 3.79075, 3.77967, 3.75696]


def test_it_translates():
    checkpoint = load_checkpoint(KEPT, CPU)
    assert checkpoint.progress["step"] == 30
    translator = Translator(
        TorchModel(checkpoint.model), checkpoint.source, checkpoint.target, DecodingConfig()
    )
    forced = translator.align(list(PAIRS), list(PAIRS.values()), attention=True)
    assert [one.target.text for one in forced] == list(PAIRS.values())
    assert [one.log_probability for one in forced] == pytest.approx(LOG_PROBABILITIES, abs=1e-3)
    assert all(one.attention.sum(axis=-1) == pytest.approx(1, abs=1e-5) for one in forced)


def test_it_can_be_resumed():
    checkpoint, state = load_for_resuming(KEPT, CPU, DropoutRates())
    checkpoint.model.train()
    sources = [checkpoint.source.encode(text) for text in PAIRS]
    targets = [checkpoint.target.encode(text) for text in PAIRS.values()]
    config = TrainingConfig(epochs=100, max_steps=34, learning_rate=0.03, log_every=1)
    callbacks = Recorder()
    precision = choose_precision("fp32", CPU)
    trainer = Trainer(
        checkpoint.model,
        TrainingBatches(ragged(sources), ragged(targets), 64, seed=1),
        config,
        precision,
        callbacks,
    )
    trainer.load_state_dict(state)
    state = trainer.state
    assert (state.step, state.best_step, len(state.history)) == (30, 15, 2)
    trainer.run()
    assert callbacks.steps == [31, 32, 33, 34]
    assert [report.loss for report in callbacks.reports] == pytest.approx(LOSSES, abs=1e-3)
    assert all(math.isfinite(report.gradient_norm) for report in callbacks.reports)
