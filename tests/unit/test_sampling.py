"""The distribution that tokens are drawn from, against loops over its definition."""

import math

import numpy as np
import pytest

from nmt.config.decoding import SamplingConfig
from nmt.decoding.sampling import random_generators
from nmt.decoding.truncation import draw, probabilities


def expected(log_probabilities, temperature, top_k, top_p):
    """One row: temperature, then the k most probable, then the nucleus; normalised."""
    powers = [math.exp(value / temperature) for value in log_probabilities]
    p = [power / sum(powers) for power in powers]
    ranked = sorted(p, reverse=True)
    if top_k is not None:
        p = [one if one >= ranked[min(top_k, len(p)) - 1] else 0.0 for one in p]
        p = [one / sum(p) for one in p]
        ranked = sorted(p, reverse=True)
    mass, least = 0.0, 0.0
    for one in ranked:
        mass, least = mass + one, one
        if mass >= top_p:
            break
    kept = [one if one >= least else 0.0 for one in p]
    return [one / sum(kept) for one in kept]


@pytest.mark.parametrize("temperature", [0.5, 1.0, 1.7])
@pytest.mark.parametrize("top_k", [None, 1, 4, 100])
@pytest.mark.parametrize("top_p", [1e-9, 0.3, 0.8, 1.0])
def test_the_distribution_is_the_defined_one(temperature, top_k, top_p):
    logits = np.random.default_rng(3).normal(scale=2.0, size=(20, 12))
    rows = (logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))).astype(np.float32)
    rows[1, [2, 5]] = -np.inf
    rows[2] = -np.inf
    rows[2, 7] = -3.0
    found = probabilities(rows, SamplingConfig(temperature, top_k, top_p))
    assert found.dtype == np.float32
    assert (found.max(axis=1) == 1).all()
    for row, values in zip(rows, found, strict=True):
        assert values / values.sum() == pytest.approx(expected(row, temperature, top_k, top_p), abs=1e-6)


def test_equally_probable_tokens_are_kept_together():
    """So that nothing depends on how they are sorted."""
    row = np.log(np.array([[0.1, 0.3, 0.2, 0.3, 0.1]], np.float32))
    for config, kept in (
        (SamplingConfig(top_k=1), [1, 3]),
        (SamplingConfig(top_k=3), [1, 2, 3]),
        (SamplingConfig(top_k=4), [0, 1, 2, 3, 4]),
        (SamplingConfig(top_p=0.2), [1, 3]),
        (SamplingConfig(top_p=0.9), [0, 1, 2, 3, 4]),
        (SamplingConfig(top_k=3, top_p=0.7), [1, 3]),  # 0.6 / 0.8 of what the three have
    ):
        assert np.flatnonzero(probabilities(row, config)[0]).tolist() == kept, config


def test_cold_sampling_keeps_the_most_probable():
    row = np.log(np.array([[0.2, 0.5, 0.3, 1e-30]], np.float32))
    assert probabilities(row, SamplingConfig(temperature=1e-6)).tolist() == [[0.0, 1.0, 0.0, 0.0]]


def test_a_draw_is_the_first_token_whose_sum_is_above_the_number():
    weights = np.array([0.0, 2.0, 0.0, 1.0, 1.0, 0.0])
    uniform = np.array([0.0, 0.49, 0.5, 0.74, 0.75, np.nextafter(1.0, 0.0)])
    assert draw(weights.cumsum(), uniform).tolist() == [1, 1, 3, 3, 4, 4]
    for scale in (1e-8, 1 / 3, 7.0, 1 + 2**-52):  # never past the last one
        assert draw((weights * scale).cumsum(), uniform[-1:]).tolist() == [4]


def test_random_numbers_depend_on_seed_sentence_and_number():
    keys = [(seed, np.array(source)) for seed, source in ((1, [5, 3]), (2, [5, 3]), (1, [3]), (1, [3, 5]))]
    found = [[one.random(4).tolist() for one in random_generators(*key, 3)] for key in keys]
    assert len({tuple(numbers) for draws in found for numbers in draws}) == 3 * len(keys)
    for key, draws in zip(keys, found, strict=True):
        assert [one.random(4).tolist() for one in random_generators(*key, 1)] == draws[:1]
