"""Which hypotheses a beam search goes on with: those that may still be among the n best (see
`nmt.decoding.search`).

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
    """

    def __init__(
        self, config: DecodingConfig, norms: Doubles, size: int, constraints: Mapping[int, Constraint]
    ) -> None:
        self._config, self._norms = config, norms
        forcing = [number for number, one in constraints.items() if one.forces()]
        self._patience = np.full(size, np.inf if config.patience is None else config.patience)
        self._patience[forcing] = np.minimum(self._patience[forcing], 1.0)
        self._margins = np.full(size, np.inf)
        self._margins[forcing] = _MARGIN

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
