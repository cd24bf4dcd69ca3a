"""Several corpora in one training set: which line comes from which, and how often each pair is used.

The lines of the main corpus come first, then those of each extra corpus, so a line number says the corpus. A
corpus that is used in both directions has its lines twice, those of the second direction after the others.

Shapes: P parts, L lines, N pairs that are trained on (lines without those left out).
"""

from collections.abc import Iterable, Sequence
from itertools import accumulate, takewhile
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.target_languages import is_target_tag

_PHASE = 0x70686173  # tells the generator of phases from that of an epoch
_PHASES = 1 << 32


class Part(NamedTuple):
    """Consecutive lines of a training set that come from one corpus.

    Attributes:
        lines: how many.
        weight: how often each pair is used per epoch.
        pieces: the pieces of the source vocabulary before every source sentence.
        reversed: whether the pairs are those of the part before, in the other direction.
    """

    lines: int
    weight: float = 1.0
    pieces: tuple[str, ...] = ()
    reversed: bool = False


Mixture = tuple[Part, ...]
"""The parts of a training set, in order; none if there is only the main corpus."""


def pieces_of(mixture: Mixture) -> list[str]:
    """The different pieces of the parts: those that say the target language in the order of the parts, then
    the others, sorted.
    """
    found = dict.fromkeys(piece for part in mixture for piece in part.pieces)
    targets = [piece for piece in found if is_target_tag(piece)]
    return targets + sorted(found.keys() - set(targets))


def main_lines(mixture: Mixture) -> int:
    """The number of lines that are from the main corpus, in any direction.

    Args:
        mixture: at least one part.
    """
    own = takewhile(lambda part: part.reversed, mixture[1:])
    return mixture[0].lines + sum(part.lines for part in own)


def part_of(mixture: Mixture, lines: NDArray[Any]) -> NDArray[np.intp]:
    """The number of the part that each of these lines, [L], belongs to, [L]."""
    ends = np.fromiter(accumulate(part.lines for part in mixture), np.int64)
    return np.asarray(np.searchsorted(ends, lines, side="right"), np.intp)


def part_of_rows(mixture: Mixture, left_out: NDArray[np.int64]) -> NDArray[np.intp]:
    """The number of the part of each pair that is trained on, [N].

    Args:
        mixture: at least one part.
        left_out: numbers of the lines that are not trained on.
    """
    lines = np.arange(sum(part.lines for part in mixture))
    return part_of(mixture, np.delete(lines, left_out))


def row_weights(mixture: Mixture, left_out: NDArray[np.int64]) -> NDArray[np.float64] | None:
    """The weight of each pair that is trained on, [N], or None if all are 1."""
    if all(part.weight == 1 for part in mixture):
        return None
    return np.array([part.weight for part in mixture])[part_of_rows(mixture, left_out)]


def occurrences(mixture: Mixture, lines: NDArray[np.int64], step: int = 1) -> NDArray[np.int64]:
    """How often each of these lines, [L], counts in the training of a tokenizer, [L]: all together as often
    as the weights say, spread evenly over each part.

    Args:
        mixture: at least one part.
        lines: every `step`-th line of the training set.
    """
    starts = np.array([0, *accumulate(part.lines for part in mixture)])
    weights = np.array([part.weight for part in mixture])
    part = part_of(mixture, lines)
    place, weight = (lines - starts[part]) // step, weights[part]
    counts: NDArray[np.int64] = np.diff(np.floor([place * weight, (place + 1) * weight]), axis=0)[0].astype(
        int
    )
    return counts


def repeated(items: Sequence[Any], times: Iterable[int]) -> list[Any]:
    """Each item as often as `times` says."""
    return [item for item, count in zip(items, times, strict=True) for _ in range(count)]


def uses(weights: NDArray[np.float64], seed: int, epoch: int) -> NDArray[np.int64]:
    """How often each pair is used in an epoch, [N]: a pure function of the arguments.

    A pair with weight w and a random phase u in [0, 1) is used ⌊(e + 1) w + u⌋ − ⌊e w + u⌋ times in epoch e:
    w times on average over any epochs, never more than one use off, and at a weight below 1 different pairs
    in each epoch.

    Args:
        weights: of each pair, [N].
        seed: decides the phases.
        epoch: from 0.
    """
    generator = np.random.default_rng([seed, 0, _PHASE])
    phases = generator.integers(_PHASES, size=len(weights)) / _PHASES  # exact: a whole weight is kept
    later = np.floor((epoch + 1) * weights + phases)
    return (later - np.floor(epoch * weights + phases)).astype(np.int64)
