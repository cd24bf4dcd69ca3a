"""An ensemble of search models in NumPy against that of the same models in PyTorch."""

import dataclasses
import math

import numpy as np
import pytest
from test_ensemble import KINDS
from test_prepared import MODELS
from tiny import ENGLISH, MARATHI, tiny_config, tiny_model, tiny_tokenizers

from nmt.config.decoding import DecodingConfig
from nmt.decoding.search_ensemble import SearchEnsemble, log_mean
from nmt.decoding.torch_model import TorchModel
from nmt.decoding.translator import Translator
from nmt.model.inference.ensemble import Ensemble
from nmt.model.inference.prepared import PreparedModel

WITHOUT_ATTENTION = [kind for kind in MODELS if "style=vector" in kind]


@pytest.mark.parametrize("kinds", [KINDS, WITHOUT_ATTENTION[:1] * 2], ids=["all", "without attention"])
@pytest.mark.parametrize(
    "changes", [{}, {"beam_size": 1}, {"method": "sample"}], ids=["beam", "greedy", "sample"]
)
def test_results_are_those_of_the_ensemble_in_pytorch(kinds, changes):
    tokenizers = tiny_tokenizers()
    sizes = [len(one) for one in tokenizers]
    models = [PreparedModel(tiny_model(*sizes, tiny_config(kind), i)) for i, kind in enumerate(kinds)]
    config = DecodingConfig(beam_size=4, max_length_factor=1.0, max_length_extra=4)
    config = dataclasses.replace(config, **changes)
    ensembles = TorchModel(Ensemble(models)), SearchEnsemble([TorchModel(model) for model in models])
    expected, found = (Translator(one, *tokenizers, config) for one in ensembles)
    assert found.heads == expected.heads == int(kinds is KINDS)
    nbest = min(3, config.beam_size)
    for one, other in zip(
        [*found.translate(ENGLISH, nbest, attention=True), found.align(ENGLISH, MARATHI, attention=True)],
        [
            *expected.translate(ENGLISH, nbest, attention=True),
            expected.align(ENGLISH, MARATHI, attention=True),
        ],
        strict=True,
    ):
        for translation, same in zip(one, other, strict=True):
            assert (translation.target, translation.finished) == (same.target, same.finished)
            assert translation.log_probability == pytest.approx(same.log_probability, abs=1e-5)
            assert translation.attention.shape == same.attention.shape
            assert translation.attention == pytest.approx(same.attention, abs=1e-6)
    assert found.align(ENGLISH, MARATHI)[0].attention is None


def test_the_mean_of_probabilities():
    values = np.array([[0.5, 0.25, 0.0], [0.1, 0.25, 0.0]], np.float32)
    with np.errstate(divide="ignore"):
        values = np.log(values)
    assert log_mean(list(values)) == pytest.approx([math.log(0.3), math.log(0.25), -math.inf])
    for size in (1, 2, 3, 5, 7):
        assert log_mean([np.zeros(2, np.float32)] * size).tolist() == [0.0, 0.0]
    assert np.isnan(log_mean([np.array([math.nan], np.float32), np.zeros(1, np.float32)])).all()
