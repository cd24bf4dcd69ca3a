"""Which hypotheses a beam search goes on with: those that may still be among the n best.

Log-probabilities only fall and lengths only grow up to the maximum, so no extension of a live hypothesis
scores above its log-probability / norm(maximum length). A live hypothesis whose bound is no better than the
n-th best finished score is given up: neither it nor anything that takes its place in the beam can be among
the n best.

This bound is loose: the maximum length is several times that of the source, and most steps only confirm a
result found long before. With a lookahead of L, the length in the bound is at most L tokens more than now: a
hypothesis is given up if L certain tokens would not make it win. A result can then differ from that of the
exact search only if the better translation is longer by more than L tokens. (Stopping at the current length,
L = 0, is a common heuristic; it changes many results.) With a patience of p (Kasai et al. 2022), a sentence
is also done when p·K of its hypotheses have ended.

Shapes: b active searches, K slots per search (the beam size).
"""

from collections.abc import Mapping

import numpy as np

from nmt.config.decoding import DecodingConfig
from nmt.decoding.beam import Beams
from nmt.decoding.constraint import Constraint
from nmt.decoding.hypothesis import Doubles
from nmt.decoding.interface import Booleans, Integers

_MARGIN = 4.0
"""Where a constraint forces tokens, a hypothesis is given up whose log-probability is this much below that of
the n-th best finished one."""


class Pruning:
    """Gives up hypotheses.

    Args:
        config: when to stop.
        norms: what log-probabilities are divided by, for each length.
        size: the number of all searches.
        constraints: by the number of the search.

    Attributes:
        forcing: the numbers of the searches with a constraint that forces tokens.
    """

    def __init__(
        self, config: DecodingConfig, norms: Doubles, size: int, constraints: Mapping[int, Constraint]
    ) -> None:
        self._config, self._norms = config, norms
        self.forcing = [number for number, one in constraints.items() if one.forces()]
        self._patience = np.full(size, np.inf if config.patience is None else config.patience)
        self._patience[self.forcing] = np.minimum(self._patience[self.forcing], 1.0)
        self._margins = np.full(size, np.inf)
        self._margins[self.forcing] = _MARGIN

    def live(self, beams: Beams, searches: Integers, length: int) -> Booleans:
        """[b, K]: the hypotheses to go on with; always the first ones of a search.

        Args:
            beams: of the active searches, whose hypotheses have this length.
            searches: the number of each.
            length: in tokens.
        """
        config = self._config
        going, longest = (beams.limits > length)[:, None], beams.limits
        if config.beam_size == 1:
            return (beams.totals > -np.inf) & going
        if config.lookahead is not None:
            longest = np.minimum(longest, length + config.lookahead)
        # The bound and the scores are both divided by entries of `norms`, so rounding keeps their order. No
        # coverage penalty is above 0.
        bound = beams.totals / self._norms[longest - 1][:, None]
        going &= (beams.ended < self._patience[searches] * config.beam_size)[:, None]
        least = beams.finished.totals[:, -1:] - self._margins[searches][:, None]
        live: Booleans = (bound > beams.finished.scores[:, -1:]) & going & (beams.totals > least)
        return live
