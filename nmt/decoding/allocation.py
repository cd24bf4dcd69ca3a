"""The slots of a beam, shared among hypotheses that meet different amounts of a constraint (dynamic beam
allocation: Post and Vilar, 2018).

Shapes: c sentences, L candidates of each, K slots.
"""

import numpy as np

from nmt.decoding.interface import Booleans, Integers


def allocate(candidates: Booleans, met: Integers, K: int) -> Booleans:
    """K candidates of each sentence: of each bank, those that meet as much, an equal number, or one more of
    those that meet most; then the best of the others.

    Args:
        candidates: [c, L], True at those that there are, best first.
        met: [c, L], how much of the constraint each meets.
        K: how many.

    Returns:
        [c, L], True at those chosen.
    """
    together = candidates[:, None, :] & (met[:, None, :] == met[:, :, None])
    rank = np.tril(together, -1).sum(axis=2)  # in its bank
    first = candidates & (rank == 0)
    above = (first[:, None, :] & (met[:, None, :] > met[:, :, None])).sum(axis=2)  # banks that meet more
    share, more = np.divmod(K, np.maximum(first.sum(axis=1, keepdims=True), 1))
    chosen = candidates & (rank < share + (above < more))
    rest = candidates & ~chosen
    left = K - chosen.sum(axis=1, keepdims=True)
    found: Booleans = chosen | (rest & (np.cumsum(rest, axis=1) <= left))
    return found


def choose(candidates: Booleans, ends: Booleans, met: Integers, K: int) -> tuple[Booleans, Booleans]:
    """Of the candidates, those that end and those that go on.

    Args:
        candidates, met, K: as for `allocate`.
        ends: [c, L], True at those that end: they are finished if they are among K of all.

    Returns:
        [c, L] and [c, L].
    """
    ending = candidates & ends
    if not ending.any():
        return ending, allocate(candidates, met, K)
    best = allocate(candidates, met, K)
    going = best & ~ends if K == 1 else allocate(candidates & ~ends, met, K)
    return best & ends, going
