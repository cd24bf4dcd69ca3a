"""Places in a corpus where one word surely translates one word, so that both can be replaced together.

Shapes: S slots, P pairs of words, V words of a side.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmt.alignment.statistical import WordAligner
from nmt.data.substitution.sides import Ids, Side

LETTERS = 5  # that words are aligned by
SURE = 0.8  # least probability of a slot's link
POSSIBLE = 0.3  # a link with this probability speaks against another one of the same word
USUALLY = 0.6  # a word that is linked in this fraction of its occurrences should be linked


@dataclass(frozen=True)
class Slots:
    """The slots of a corpus.

    Attributes:
        sentence: where each one is, [S].
        source, target: position of its words on either side, [S].
        pair: number of its pair of words, [S].
        source_words, target_words: of each pair, [P].
    """

    sentence: Ids
    source: Ids
    target: Ids
    pair: Ids
    source_words: Ids
    target_words: Ids


def find_slots(source: Side, target: Side) -> Slots:
    """Align both sides and return where a word with a letter has one link, which is sure, to another one.

    A word beside it that has no link, but usually has one, casts doubt on it: it may be part of the
    translation.
    """
    links = _links(source, target)
    linked = [np.zeros(len(side.ids), np.int64) for side in (source, target)]
    for counts, at in zip(linked, (links[1], links[2]), strict=True):
        np.add.at(counts, at, 1)
    safe = [
        _beside_linked(side, counts) & side.are_words()[side.ids] & (counts == 1)
        for side, counts in zip((source, target), linked, strict=True)
    ]
    chosen = (links[3] >= SURE) & safe[0][links[1]] & safe[1][links[2]]
    sentence, at_source, at_target = links[0][chosen], links[1][chosen], links[2][chosen]
    size = len(target.vocabulary)
    pairs, pair = np.unique(source.ids[at_source] * size + target.ids[at_target], return_inverse=True)
    return Slots(sentence, at_source, at_target, pair, pairs // size, pairs % size)


def _links(source: Side, target: Side) -> tuple[Ids, Ids, Ids, NDArray[np.float64]]:
    """The possible links: sentence, position on either side, probability."""
    sentences = range(len(source.starts))
    prefixes = [[[word[:LETTERS] for word in side.words(n)] for n in sentences] for side in (source, target)]
    found = []
    for number, posteriors in enumerate(WordAligner(*prefixes).posteriors()):
        joint = posteriors.joint
        rows, columns = np.nonzero(joint > POSSIBLE)
        found.append((np.full(len(rows), number), rows, columns, joint[rows, columns]))
    sentence, row, column, probability = (np.concatenate(one) for one in zip(*found, strict=True))
    return sentence, source.starts[sentence] + row, target.starts[sentence] + column, probability


def _beside_linked(side: Side, counts: Ids) -> NDArray[np.bool_]:
    """Whether the words before and after each position are linked as far as they usually are."""
    size = len(side.vocabulary)
    fraction = np.bincount(side.ids, counts > 0, size) / np.maximum(np.bincount(side.ids, minlength=size), 1)
    missing = (counts == 0) & (fraction[side.ids] >= USUALLY)
    missing[side.ids == 0] = False
    safe: NDArray[np.bool_] = ~(np.roll(missing, 1) | np.roll(missing, -1))
    return safe


def slots_of(pair: Ids, pairs: int) -> Sequence[Ids]:
    """The slots of each pair, of `pairs` in all."""
    order = np.argsort(pair, kind="stable")
    return np.split(order, np.cumsum(np.bincount(pair, minlength=pairs))[:-1])
