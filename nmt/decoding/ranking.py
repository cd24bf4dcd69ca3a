"""The score of a hypothesis: its log-probability normalised by its length, and a penalty for source pieces
that have received little attention.

Shapes: K hypotheses, S source length; leading dimensions of any number.
"""

import numpy as np

from nmt.config.decoding import DecodingConfig
from nmt.decoding.hypothesis import Doubles
from nmt.decoding.interface import Booleans, Integers
from nmt.errors import ConfigError

_LEAST = 1e-6  # attention; the penalty of a piece that has received none is finite


def length_norms(longest: int, config: DecodingConfig) -> Doubles:
    """What log-probabilities are divided by: at index i for i + 1 tokens, EOS included; [longest].

    With normalisation "power" length^α, the simple form that Wu et al. (2016, §7) start from; with "wu"
    ((5 + length) / 6)^α, their eq. 14, where α is the length penalty.
    """
    lengths = np.arange(1, longest + 1, dtype=np.float64)
    if config.normalisation == "wu":
        lengths = (5 + lengths) / 6
    norms: Doubles = lengths**config.length_penalty
    return norms


def coverage_scores(received: Doubles, real: Booleans, weight: float) -> Doubles:
    """The coverage penalty of Wu et al. (2016, eq. 14): β Σᵢ log min(Σⱼ pᵢⱼ, 1), none above 0.

    Args:
        received: [..., S], the attention of all target tokens that each source piece i has received.
        real: [..., S], True at the pieces that count.
        weight: β.
    """
    pieces = np.log(np.clip(received, _LEAST, 1.0))
    total: Doubles = weight * np.where(real, pieces, 0.0).sum(axis=-1)
    return total


class Ranking:
    """Scores of the hypotheses of a search.

    Args:
        config: how they are normalised and penalised.
        mask: True at source tokens, [B, S]; the last one of each sentence, EOS, needs no attention.
        longest: the maximum length of a hypothesis.
    """

    def __init__(self, config: DecodingConfig, mask: Booleans, longest: int) -> None:
        self.norms = length_norms(longest, config)
        self._weight = config.coverage_penalty
        self._pieces = np.arange(mask.shape[1]) < mask.sum(axis=1)[:, None] - 1

    def scores(self, totals: Doubles, step: int, received: Doubles | None, sentences: Integers) -> Doubles:
        """The scores of hypotheses that end at a step.

        Args:
            totals: log-probabilities, [b, K].
            step: counted from 0.
            received: [b, K, S], the attention that the source has received; None: it does not count.
            sentences: [b], the number of each.
        """
        scores: Doubles = totals / self.norms[step]
        if received is not None:
            scores = scores + coverage_scores(received, self._pieces[sentences][:, None], self._weight)
        return scores


def check_search(config: DecodingConfig, nbest: int, heads: int) -> None:
    """Check the settings of a search.

    Args:
        config: the settings.
        nbest: number of hypotheses that are wanted.
        heads: attention heads of the model.

    Raises:
        ConfigError: if one is out of range, or has no effect.
    """
    if config.beam_size < 1:
        raise ConfigError(f"beam_size={config.beam_size}: must be at least 1")
    if not 1 <= nbest <= config.beam_size:
        raise ConfigError(f"nbest={nbest}: must be between 1 and the beam size ({config.beam_size})")
    for name in ("length_penalty", "coverage_penalty"):
        value = getattr(config, name)
        if not 0 <= value < np.inf:
            raise ConfigError(f"{name}={value:g}: must be at least 0 and finite")
    if not 0 <= config.min_length < config.max_length:
        raise ConfigError(
            f"min_length={config.min_length}: must be at least 0 and below max_length={config.max_length}"
        )
    if config.patience is not None and not 0 < config.patience < np.inf:
        raise ConfigError(f"patience={config.patience:g}: must be above 0 and finite")
    if config.coverage_penalty and not heads:
        raise ConfigError(
            f"coverage_penalty={config.coverage_penalty:g}: the model has no attention; leave it out"
        )
