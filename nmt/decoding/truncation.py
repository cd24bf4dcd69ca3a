"""The distribution that a token of a sample is drawn from: p', of three steps, each of which may do nothing.

    temperature T    p'(y) ∝ p(y)^(1/T)
    top-k            p'(y) = 0 except for the k most probable tokens (Fan et al. 2018)
    nucleus, top-p   p'(y) = 0 except for the fewest most probable tokens that together have at least the
                     probability P after the steps before (Holtzman et al. 2020)

Tokens that are as probable as the last one kept are kept too, so nothing depends on the order of tokens.

Shapes: N rows, V vocabulary.
"""

import numpy as np
from numpy.typing import NDArray

from nmt.config.decoding import SamplingConfig
from nmt.errors import ConfigError

_COLDEST = 1e-6  # lower temperatures would be the same as greedy, and could overflow
Floats = NDArray[np.float32]


def check_sampling(config: SamplingConfig) -> None:
    """Check the settings of sampling.

    Raises:
        ConfigError: if one is out of range.
    """
    if not _COLDEST <= config.temperature < np.inf:
        raise ConfigError(
            f"temperature={config.temperature:g}: must be at least {_COLDEST:g} and finite; for the most "
            "probable tokens, use greedy search"
        )
    if config.top_k is not None and config.top_k < 1:
        raise ConfigError(f"top_k={config.top_k}: must be at least 1")
    if not 0 < config.top_p <= 1:
        raise ConfigError(f"top_p={config.top_p:g}: must be above 0 and at most 1")
    if config.seed < 0:
        raise ConfigError(f"seed={config.seed}: must be at least 0")


def probabilities(log_probabilities: Floats, config: SamplingConfig) -> Floats:
    """The distribution to draw from, [N, V], not normalised: the largest of each row is 1.

    Args:
        log_probabilities: [N, V]; minus infinity for what must not be drawn. Each row has a finite one.
        config: temperature, top-k and top-p.
    """
    highest = log_probabilities.max(axis=1, keepdims=True)
    found: Floats = np.exp((log_probabilities - highest) / np.float32(config.temperature))
    V = found.shape[1]
    if config.top_k is not None and config.top_k < V:
        least = np.partition(found, V - config.top_k, axis=1)[:, V - config.top_k, None]
        found[found < least] = 0.0
    if config.top_p < 1.0:
        found[found < _least_of_nucleus(found, config.top_p)] = 0.0
    return found


def _least_of_nucleus(values: Floats, top_p: float) -> Floats:
    """The smallest probability in the nucleus of each row, [N, 1]; the rows need not be normalised."""
    descending = -np.sort(-values, axis=1)
    sums = descending.cumsum(axis=1, dtype=np.float64)
    reached = sums >= top_p * sums[:, -1:]  # true from the last token of the nucleus on
    least: Floats = np.take_along_axis(descending, reached.argmax(axis=1)[:, None], axis=1)
    return least


def draw(values: NDArray[np.float64], uniform: NDArray[np.float64]) -> NDArray[np.int64]:
    """Tokens by the inverse of the cumulative distribution.

    Args:
        values: [V], cumulative sums of probabilities that need not be normalised; the last is above 0.
        uniform: [M], random numbers in [0, 1).

    Returns:
        [M], for each u the first token whose sum is above u times the total: none with probability 0.
    """
    tokens: NDArray[np.int64] = np.searchsorted(values, uniform * values[-1], side="right")
    return tokens
