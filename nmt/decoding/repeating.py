"""When to give up a sentence whose hypotheses repeat themselves without end.

A model that does not understand its source often repeats a few tokens, in turns, up to the maximum length,
which is several times the length of the source. Once all live hypotheses of a sentence are clearly longer
than the source, and each repeats itself, so will all that the search could still find. It stops.

Shapes: B searches, b of them active.
"""

from collections.abc import Sequence

import numpy as np

from nmt.config.decoding import DecodingConfig
from nmt.decoding.hypothesis import BackPointer, History
from nmt.decoding.interface import Integers

_NGRAM = 4  # tokens
_DISTINCT = 0.5  # of the n-grams, at most; of other text nearly all are
_LONGER = 20  # tokens by which a hypothesis is clearly longer than the source
_EVERY = 8  # steps between two looks at a sentence


class Loops:
    """Looks for loops in a search, at steps of each search that do not depend on the others.

    Args:
        lengths: [B], of the source of each search.
        config: the exact search (`lookahead` is None) gives up no search, nor does any before `min_length`.
        history: of the search.
        exempt: the searches that are not looked at.
    """

    def __init__(
        self, lengths: Integers, config: DecodingConfig, history: History, exempt: list[int]
    ) -> None:
        self._history, self._first = history, config.min_length
        self._lengths = lengths + _LONGER
        self._looked_at = np.full(len(self._lengths), config.lookahead is not None)
        self._looked_at[exempt] = False

    def rows(self, length: int, searches: Integers, counts: Integers) -> list[int]:
        """The searches that are caught in a loop, as indices of `searches`.

        Args:
            length: of all live hypotheses, whose last step is in the history.
            searches: [b], the numbers of those active.
            counts: [b], their live hypotheses, which are in the first slots.
        """
        late = length - self._lengths[searches]
        due = (late > 0) & (late % _EVERY == 0) & self._looked_at[searches] & (counts > 0)
        if length < self._first or not due.any():
            return []
        looked_at: list[int] = np.flatnonzero(due).tolist()
        live = [
            BackPointer(searches[row], length - 1, slot, False, 0.0, 0.0)
            for row in looked_at
            for slot in range(counts[row])
        ]
        repeating = np.array([repeats(tokens) for tokens in self._history.trace(live).tokens.T.tolist()])
        parts = np.split(repeating, np.cumsum(counts[looked_at])[:-1])
        return [row for row, part in zip(looked_at, parts, strict=True) if part.all()]


def repeats(tokens: Sequence[int]) -> bool:
    """Whether the 4-grams of some tokens occur twice each on average, or more often."""
    every = [tuple(tokens[start : start + _NGRAM]) for start in range(len(tokens) - _NGRAM + 1)]
    return len(set(every)) <= _DISTINCT * len(every)
