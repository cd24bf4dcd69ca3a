"""Ancestral sampling: one random hypothesis per sentence.

Shapes: B sentences, N rows, V vocabulary.
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from nmt.config.decoding import DecodingConfig
from nmt.decoding.hypothesis import Hypothesis, dead_end_error, nan_error
from nmt.decoding.interface import Answer, Integers, Query, SearchModel, SearchOptions, StateT, Step
from nmt.decoding.search import Search
from nmt.decoding.sources import Sources, Special
from nmt.errors import ConfigError

_COLDEST = 1e-6  # lower temperatures would be the same as greedy, and could overflow


def sample(
    model: SearchModel[StateT],
    sources: Sources,
    config: DecodingConfig,
    special: Special,
    options: SearchOptions,
    generators: Sequence[np.random.Generator],
    temperature: float = 1.0,
) -> list[Hypothesis]:
    """Ancestral sampling: draw each token from the model's distribution over the allowed tokens.

    Args:
        model, sources, config, special, options: as for `beam_search`; the beam size does not count.
        generators: a random generator for each sentence, so that a sample does not depend on the other
            sentences of the batch, nor on the device.
        temperature: divides the log-probabilities before sampling; approaches greedy search towards 0.

    Returns:
        B hypotheses; log-probabilities and scores are those of the model, at temperature 1 and without
        renormalising over the allowed tokens.

    Raises:
        ConfigError: if a setting is out of range, such as a temperature below 1e-6.
        NmtError: as for `beam_search`.
    """
    check_temperature(temperature)
    tiny = np.finfo(np.float32).tiny

    def choose(step: Step[Any], query: Query, sentences: Integers) -> Answer:
        # Gumbel-max trick: argmax(log p + g) is distributed as p, where −g is the logarithm of an
        # exponential variable.
        predicted = step.log_probabilities()
        V = predicted.shape[1]
        draws = [generators[sentence].standard_exponential(V, np.float32) for sentence in sentences.tolist()]
        drawn = predicted / np.float32(temperature) - np.log(np.maximum(draws, tiny))
        drawn[:, query.banned] = -np.inf
        tokens = drawn.argmax(axis=1)[:, None]  # NaN wins
        values = np.take_along_axis(predicted, tokens, axis=1)
        if np.isnan(values).any():
            raise nan_error()
        if not (np.take_along_axis(drawn, tokens, axis=1) > -np.inf).all():
            raise dead_end_error()
        attention = step.attention.numpy().mean(axis=1) if query.attention else None
        return Answer(values, tokens, np.zeros(0, np.float32), attention)

    search = Search(model, sources, replace(config, beam_size=1, patience=None), special, options, choose)
    while search.active:
        search.step()
    return [group[0] for group in search.hypotheses(range(len(sources.limits)))]


def check_temperature(temperature: float) -> None:
    """Check a sampling temperature.

    Raises:
        ConfigError: if it is below 1e-6 or not finite.
    """
    if not _COLDEST <= temperature < math.inf:
        raise ConfigError(
            f"temperature={temperature:g}: must be at least {_COLDEST:g} and finite; for the most probable "
            "tokens, use greedy search"
        )
