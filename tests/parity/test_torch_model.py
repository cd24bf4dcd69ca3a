"""The adapter to PyTorch: on a GPU as on a CPU, and without making the host wait; and that results do not
depend on what else is in a batch.
"""

import dataclasses

import numpy as np
import pytest
import torch
from test_prepared import MODELS
from tiny import ENGLISH, tiny_config, tiny_model, tiny_tokenizers
from without_sync import WithoutSync

from nmt.config.decoding import DecodingConfig
from nmt.data.tokenizer import EOS
from nmt.decoding import torch_model
from nmt.decoding.arrays import ArrayAttention, ArrayStep
from nmt.decoding.interface import Query, Rows
from nmt.decoding.torch_model import DeviceAttention, DeviceStep, TorchModel
from nmt.decoding.translator import Translator
from nmt.model.inference.ensemble import Ensemble
from nmt.model.inference.prepared import PreparedModel
from nmt.model.inference.search_state import SearchState, Siblings

# ---------------------------------------------------------------- on a GPU


@pytest.mark.parametrize("heads", [0, 3])
@pytest.mark.parametrize("levels", [1, 40, 10**6])
def test_a_step_on_a_device_is_that_in_memory(monkeypatch, levels, heads):
    """With ties, banned and named tokens, and attention; one transfer, if there are no ties."""
    generator = torch.Generator().manual_seed(levels)
    predicted = -torch.randint(0, levels, (5, 700), generator=generator).float()
    predicted[4, 7:] = -torch.inf
    weights = torch.rand(5, heads, 4, generator=generator)
    on_device = DeviceStep(predicted, None, DeviceAttention(weights))
    in_memory = ArrayStep(predicted.numpy(), None, ArrayAttention(weights.numpy()))
    transfers, array = [], torch_model._array
    monkeypatch.setattr(torch_model, "_array", lambda tensor: transfers.append(tensor) or array(tensor))
    bans, named = (np.array([2, 2]), np.array([0, 5])), (np.array([0, 4, 2]), np.array([1, 8, 5]))
    for attention in (False, True):
        query = Query(6, np.array([1, 3]), bans, named, attention)
        found, expected = on_device.read(query), in_memory.read(query)
        for one, other in zip(found[:3], expected[:3], strict=True):
            assert np.array_equal(one, other)
        assert (found.attention is not None) == attention
        if attention:
            assert found.attention == pytest.approx(expected.attention)
    assert len(transfers) == 2 or levels < 10**6
    assert np.array_equal(on_device.log_probabilities(), predicted.numpy())
    kept = on_device.attention.concatenate([on_device.attention.select(np.array([1, 3]))]).numpy()
    assert np.array_equal(kept, torch.cat((weights, weights[[1, 3]])).numpy())


@pytest.mark.parametrize("overrides", MODELS)
def test_a_step_does_not_make_the_host_wait(monkeypatch, overrides):
    """Its operations, as they are on a GPU."""
    monkeypatch.setattr(SearchState, "distinct", lambda state: (state.selected(), Siblings(None)))
    monkeypatch.setattr(torch_model, "_array", lambda tensor: np.zeros(tensor.shape, np.float32))
    prepared = PreparedModel(tiny_model(23, 29, tiny_config(overrides)))
    model = TorchModel(Ensemble([prepared, prepared]))
    source = np.array([[5, 6, 7, 8, EOS], [9, 10, EOS, 0, 0]])
    state = model.encode(source, source > 0)
    first = Rows(np.array([2, 2]), np.arange(2), np.ones(2, np.int64), None, 3)
    second = Rows(np.array([5, 6, 7, 8, 9]), np.array([0, 0, 0, 1, 1]), np.array([3, 2]), None, 3)
    third = Rows(np.array([5, 6]), np.array([3, 4]), np.array([2]), np.array([1]), 3)
    with WithoutSync():
        for rows in (first, second, third):
            state = model.step(state, rows).state


# ---------------------------------------------------------------- batches

NEIGHBOUR = " ".join(["The dog sees the small cats in the village."] * 25)


@pytest.mark.parametrize("overrides", MODELS)
def test_results_do_not_depend_on_the_batch(overrides):
    """Alone, together, in another order, and beside a long neighbour: the same n best, scores to 1e-5."""
    tokenizers = tiny_tokenizers()
    assert len(tokenizers[0].encode(NEIGHBOUR)) > 200
    model = TorchModel(
        PreparedModel(tiny_model(*(len(one) for one in tokenizers), tiny_config(overrides), 5))
    )
    config = DecodingConfig(beam_size=4, max_length_factor=1.0, max_length_extra=4, max_length=12)
    together = Translator(model, *tokenizers, dataclasses.replace(config, batch_tokens=10**6))
    alone = Translator(model, *tokenizers, dataclasses.replace(config, batch_tokens=1))
    expected = alone.translate(ENGLISH, 3, attention=True)
    for found in (
        together.translate(ENGLISH, 3, attention=True),
        together.translate(ENGLISH[::-1], 3, attention=True)[::-1],
        together.translate([NEIGHBOUR, *ENGLISH], 3, attention=True)[1:],
    ):
        for group, others in zip(found, expected, strict=True):
            for one, other in zip(group, others, strict=True):
                assert (one.target, one.finished) == (other.target, other.finished)
                assert one.score == pytest.approx(other.score, abs=1e-5)
                assert one.log_probabilities == pytest.approx(other.log_probabilities, abs=1e-5)
                assert one.attention == pytest.approx(other.attention, abs=1e-5)
