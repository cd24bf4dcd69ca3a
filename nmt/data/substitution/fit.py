"""How well the words around a slot suit a pair of words that has never been seen there.

Shapes: S slots, M slots that are considered, K pairs of words, U different contexts.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nmt.data.substitution.sides import Ids, Side
from nmt.data.substitution.slots import Slots

WORD, ENDING = 0.5, 0.5  # weight of the word beside a slot, and of its last two letters alone
_FLOOR = 1e-3
Floats = NDArray[np.float64]


class Fit:
    """The words before and after each slot on both sides, and how often each occurs in all slots.

    Args:
        source, target: the sides of the corpus.
        slots: the slots in it.
    """

    def __init__(self, source: Side, target: Side, slots: Slots) -> None:
        self._contexts: list[tuple[Ids, Floats]] = []  # numbers and relative frequencies, by place and kind
        for side, at in ((source, slots.source), (target, slots.target)):
            endings = side.endings(2)
            for beside in (side.ids[at - 1], side.ids[at + 1]):
                for context in (beside, endings[beside]):
                    number = np.unique(context, return_inverse=True)[1]
                    self._contexts.append((number, np.bincount(number) / len(number)))

    def __call__(self, groups: Sequence[Ids], weights: Floats) -> Floats:
        """For every slot of some pairs the pointwise mutual information of what is beside it and the pairs
        other than its own, at each of the four places, [M, 4].

        A Nadaraya–Watson estimate: p(context | word) = Σ_k w_k p(context | pair k) / Σ_k w_k over pairs of
        similar words; without a slot's own pair, so that it says whether the others could stand there too.

        Args:
            groups: the slots of each of K pairs, M in all.
            weights: w, the similarity of each pair to the one that shall stand there, [K].
        """
        sizes = np.array(list(map(len, groups)))
        owner, slots = np.repeat(np.arange(len(groups)), sizes), np.concatenate(groups)
        shares, others = (weights / sizes)[owner], weights.sum() - weights[owner]
        ratios = np.empty((len(self._contexts), len(slots)))
        for ratio, (context, frequency) in zip(ratios, self._contexts, strict=True):
            different, place = np.unique(context[slots], return_inverse=True)
            cell = owner * len(different) + place
            own = np.bincount(cell, shares, len(groups) * len(different))
            every = own.reshape(len(groups), -1).sum(axis=0)
            ratio[:] = (every[place] - own[cell]) / others / frequency[context[slots]]
        mixed = WORD * ratios[0::2] + ENDING * ratios[1::2]
        found: Floats = np.log(np.maximum(mixed, 0) + _FLOOR).T
        return found


class Joins:
    """Which words can stand beside each other by their letters: after "an" no word that begins like "tree".

    Args:
        side: the sentences to learn from.
    """

    LEAST = 2  # times that a word was seen beside a letter

    def __init__(self, side: Side) -> None:
        self._ids, self._size = side.ids, len(side.vocabulary)
        self._first, self._last = side.beginnings(), side.endings(1)
        here = np.flatnonzero(side.ids)
        self._before = self._often(side.ids[here - 1], self._first[side.ids[here]])
        self._after = self._often(side.ids[here + 1], self._last[side.ids[here]])

    def _often(self, beside: Ids, letter: Ids) -> frozenset[int]:
        keys, counts = np.unique(beside * self._size + letter, return_counts=True)
        return frozenset(keys[counts >= self.LEAST].tolist())

    def __call__(self, at: Ids, word: int) -> NDArray[np.bool_]:
        """Whether a word can stand at each of the given positions."""
        before = self._ids[at - 1] * self._size + self._first[word]
        after = self._ids[at + 1] * self._size + self._last[word]
        pairs = zip(before.tolist(), after.tolist(), strict=True)
        return np.array([one in self._before and other in self._after for one, other in pairs], np.bool_)
