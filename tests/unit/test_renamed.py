"""Names of weights and training state in checkpoints of format 1."""

from dataclasses import fields

import pytest
import torch
from tiny import TINY, tiny_config, tiny_model

from nmt.runs.renamed import rename_state, rename_weights
from nmt.training.train_state import RunningMetrics, TrainState

TRANSFORMER = tiny_config("encoder.type=self_attention decoder.style=transformer decoder.layers=2")
CONVOLUTIONAL = tiny_config("encoder.type=convolutional")
LOCAL, LOCATION = tiny_config("attention.scope=local_p"), tiny_config("attention.score=location")
OLD_AND_NEW = [
    (TRANSFORMER, "encoder.enter.weight", "encoder.input_projection.weight"),
    (TRANSFORMER, "encoder.layers.0.feedforward.widen.bias", "encoder.layers.0.feedforward.fc1.bias"),
    (TRANSFORMER, "decoder.enter.bias", "decoder.input_projection.bias"),
    (TRANSFORMER, "decoder.layers.1.itself.key.weight", "decoder.layers.1.self_attention.key.weight"),
    (TRANSFORMER, "decoder.layers.0.itself_norm.bias", "decoder.layers.0.self_attention_norm.bias"),
    (TRANSFORMER, "decoder.layers.1.source.out.weight", "decoder.layers.1.cross_attention.out.weight"),
    (TRANSFORMER, "decoder.layers.0.source_norm.weight", "decoder.layers.0.cross_attention_norm.weight"),
    (TRANSFORMER, "decoder.layers.1.feedforward.narrow.weight", "decoder.layers.1.feedforward.fc2.weight"),
    (TRANSFORMER, "source.table.weight", "source.table.weight"),
    (CONVOLUTIONAL, "encoder.enter.weight", "encoder.input_projection.weight"),
    (CONVOLUTIONAL, "encoder.position.weight", "encoder.position.weight"),
    (LOCAL, "decoder.attention.span.hidden.weight", "decoder.attention.scope.hidden.weight"),
    (LOCATION, "decoder.attention.score.place.weight", "decoder.attention.score.position.weight"),
    (
        tiny_config("bridge=luong_pooling"),
        "decoder.bridge.summary.key.weight",
        "decoder.bridge.pooling.key.weight",
    ),
    (tiny_config("decoder.lexical=true"), "lexical.vote.weight", "lexical.output.weight"),
]


@pytest.mark.parametrize(("config", "old", "new"), OLD_AND_NEW, ids=[old for _, old, _ in OLD_AND_NEW])
def test_each_old_name_is_that_of_a_weight(config, old, new):
    weight = torch.zeros(1)
    assert rename_weights({old: weight}) == {new: weight}
    assert new in tiny_model(23, 23, config).state_dict()


def test_present_names_stay():
    for config in (TINY, TRANSFORMER, CONVOLUTIONAL):
        weights = tiny_model(23, 23, config).state_dict()
        assert list(rename_weights(weights)) == list(weights)


def test_the_training_state_is_read_under_its_present_names():
    saved = {
        "progress": {"step": 7, "budget": 640, "block": 3, "stale": 2, "history": []},
        "window": {"likelihood": 1.5, "tokens": 4},
        "optimizer": {},
    }
    found = rename_state(saved)
    state = TrainState(**found["train_state"])
    assert (state.step, state.max_tokens, state.batches_per_update) == (7, 640, 3)
    assert state.validations_without_improvement == 2
    assert (RunningMetrics(**found["running_metrics"]).nll, found["optimizer"]) == (1.5, {})
    assert {item.name for item in fields(TrainState)} >= found["train_state"].keys()
