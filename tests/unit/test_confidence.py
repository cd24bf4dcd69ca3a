"""The calibration of confidence: what it learns from data whose probabilities are known."""

import json
import math

import numpy as np
import pytest

from nmt.data.text import CharSpan
from nmt.data.tokenizer import Tokens
from nmt.decoding.result import Translation
from nmt.errors import RunError
from nmt.evaluation.confidence import (
    UNCALIBRATED,
    Calibration,
    Curve,
    calibrate,
    fit,
    rank_correlation,
    right_words,
    word_log_probabilities,
)


def test_the_curve_is_what_was_observed():
    """Probabilities p that hold with probability p²."""
    random = np.random.default_rng(0)
    p = random.uniform(0.05, 1, 20_000)
    curve = fit(np.log(p).tolist(), (random.uniform(size=len(p)) < p**2).astype(float).tolist())
    assert list(curve.values) == sorted(curve.values)
    assert list(curve.at) == sorted(curve.at)
    for one in (0.2, 0.4, 0.6, 0.8, 0.95):
        assert curve(math.log(one)) == pytest.approx(one**2, abs=0.04)
    assert (curve(0.0), curve(-1e9)) == (1.0, 0.0)
    below = [curve(x) for x in np.linspace(-8, 0, 100)]
    assert below == sorted(below)
    assert curve.of_each(np.linspace(-8, 0, 100).tolist()) == below


def test_it_never_falls_where_the_observations_do():
    at = np.linspace(-3, -1, 100)
    curve = fit(at.tolist(), (at < -2).astype(float).tolist())
    assert curve.values == (0.0, 0.5, 1.0)
    assert curve(-2.0) == pytest.approx(0.5)


@pytest.mark.parametrize("observed", [([-1.0], [0.25]), ([0.0, 0.0], [1.0, 0.0])])
def test_few_observations(observed):
    curve = fit(*observed)
    assert 0 <= curve(-0.5) <= 1


def test_without_calibration_it_is_a_probability():
    assert UNCALIBRATED.word(math.log(0.3)) == pytest.approx(0.3)
    assert UNCALIBRATED.sentence(0.1) == 1.0
    assert UNCALIBRATED.word.of_each([math.log(0.3), 0.1]) == [UNCALIBRATED.word(math.log(0.3)), 1.0]


def test_words_are_right_as_often_as_in_a_reference():
    found = ["a", "a", "b", "c"]
    assert right_words(found, [["a", "b"]]) == [True, False, True, False]
    assert right_words(found, [["a", "b"], ["a", "a", "c"]]) == [True, True, True, True]


def translation(text: str, logs: list[float]) -> Translation:
    """One subword per character, and end-of-sentence."""
    offsets = [CharSpan(i, i + 1) for i in range(len(text))]
    tokens = Tokens(text, list(range(len(text))), list(text), offsets)
    return Translation(tokens, tokens, sum(logs), sum(logs), None, True, logs)


def test_words_and_sentences_of_translations():
    one = translation("ab c", [-1, -2, -0.5, -3, -4])
    assert word_log_probabilities(one) == [-3, -3.5]  # the space belongs to the next word
    found = calibrate([one, translation("", [])], [["ab d"], ["x"]])
    assert found.word.at == pytest.approx((-6.5, -3.25, 0))
    assert found.word.values == (0, 0.5, 1)
    assert found.sentence.at == pytest.approx((-4.2, -2.1, 0))
    assert 0 < found.sentence.values[1] < 1


def test_a_set_without_words(tmp_path):
    """As translated by a model that has learnt nothing: its confidence is the probability."""
    calibrate([translation("", [-0.5])], [["x"]]).save(tmp_path / "confidence.json")
    found = Calibration.load(tmp_path / "confidence.json")
    assert found.word(math.log(0.3)) == pytest.approx(0.3)
    assert found.sentence(-0.5) <= 0.5


def test_rank_correlation():
    assert rank_correlation([1, 2, 3], [10, 20, 30]) == pytest.approx(1)
    assert rank_correlation([1, 2, 3], [30, 20, -5]) == pytest.approx(-1)
    assert rank_correlation([1, 2, 2, 3], [1, 3, 2, 4]) == pytest.approx(0.9486833)  # ties share a rank
    assert math.isnan(rank_correlation([1, 1], [1, 2]))


def test_a_file(tmp_path):
    path = tmp_path / "confidence.json"
    assert Calibration.load(path) == UNCALIBRATED
    found = Calibration(fit([-2.0, -1.0], [0.2, 0.9]), Curve((-1.0, 0.0), (0.5, 1.0)))
    found.save(path)
    assert Calibration.load(path) == found


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content.pop("word"),
        lambda content: content["word"].update(confidence=[0.5]),
        lambda content: content["word"].update(confidence=[0.5, 2.0]),
        lambda content: content["word"].update(log_probability=[0.0, -1.0]),
        lambda content: content["word"].update(log_probability=["nan", "x"]),
        lambda content: content["word"].update(log_probability=[float("nan"), 0.0]),
        lambda content: content.update(word=3),
    ],
)
def test_a_corrupt_file_is_refused(tmp_path, change):
    path = tmp_path / "confidence.json"
    Calibration(Curve((-1.0, 0.0), (0.5, 1.0)), Curve((-1.0, 0.0), (0.5, 1.0))).save(path)
    content = json.loads(path.read_text())
    change(content)
    path.write_text(json.dumps(content))
    with pytest.raises(RunError, match=r"confidence\.json: corrupt"):
        Calibration.load(path)
