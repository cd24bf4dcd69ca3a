"""Distinct n best: of several hypotheses with the same text, only the best one counts.

Shapes: b active sentences, K slots per sentence, n best requested.
"""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import replace

import numpy as np

from nmt.decoding.beam import Finished
from nmt.decoding.hypothesis import BackPointer, Doubles, History
from nmt.decoding.interface import Integers

_NONE = np.array([-np.inf])


class DistinctTexts:
    """The texts of the finished hypotheses of a search.

    Args:
        text: tokens → text.
        history: of the search.
    """

    def __init__(self, text: Callable[[list[int]], Hashable], history: History) -> None:
        self._text, self._history = text, history
        self._texts: dict[BackPointer, Hashable] = {}

    def of(self, pointer: BackPointer) -> Hashable:
        """The text of a hypothesis."""
        pointer = pointer._replace(log_probability=0.0, score=0.0)
        if pointer not in self._texts:
            self._texts[pointer] = self._text(self._history.tokens(pointer))
        return self._texts[pointer]

    def drop(
        self, finished: Finished, scores: Doubles, parents: Integers, step: int, sentences: Sequence[int]
    ) -> tuple[Finished, Doubles]:
        """Give the hypotheses whose text a better one has a score of minus infinity.

        Args:
            finished: the n best so far.
            scores: of those that end at this step, [b, K].
            parents: the slot of each one's parent, [b, K].
            step: counted from 0.
            sentences: the b active ones.

        Returns:
            `finished` and `scores`, changed.
        """
        scores, kept = scores.copy(), finished.scores.copy()
        for row in np.flatnonzero((scores > -np.inf).any(axis=1)).tolist():
            ends = [
                (kept[row], place, int(finished.steps[row, place]), int(finished.slots[row, place]))
                for place in np.flatnonzero(kept[row] > -np.inf).tolist()
            ] + [
                (scores[row], place, step, int(parents[row, place]))
                for place in np.flatnonzero(scores[row] > -np.inf).tolist()
            ]
            best: dict[Hashable, tuple[Doubles, int]] = {}
            for values, place, at, slot in ends:
                text = self.of(BackPointer(sentences[row], at, slot, True, 0.0, 0.0))
                rivals, rival = best.get(text, (_NONE, 0))
                if rivals[rival] >= values[place]:
                    values[place] = -np.inf
                else:
                    rivals[rival] = -np.inf
                    best[text] = values, place
        return replace(finished, scores=kept, totals=np.where(kept > -np.inf, finished.totals, kept)), scores

    def first_of_each(self, pointers: Sequence[BackPointer]) -> list[BackPointer]:
        """Those whose text none before them has."""
        found: dict[Hashable, BackPointer] = {}
        for pointer in pointers:
            found.setdefault(self.of(pointer), pointer)
        return list(found.values())
