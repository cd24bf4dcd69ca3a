"""The cleaned pairs of a corpus during preparation: their lines in a file, their keys in arrays."""

from array import array
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

import numpy as np
from numpy.typing import NDArray

from nmt.data.examples import Example, from_line, to_line
from nmt.data.keys import Keys, text_key
from nmt.data.pairs import KeyedPair, Pair, swapped


@dataclass(frozen=True)
class CleanedPairs:
    """Cleaned pairs, N of them.

    Attributes:
        file: a line of JSON per pair, in the translation direction, as in a training set.
        first, second: 64-bit keys of the sentences (`canonical_key`), in the corpus's direction, [N].
        sources: keys of the source sentences as they are, in the translation direction, [N].
    """

    file: IO[bytes]
    first: Keys
    second: Keys
    sources: Keys

    def __len__(self) -> int:
        return len(self.first)

    def lines(self, chosen: NDArray[np.bool_]) -> Iterator[bytes]:
        """The lines of the pairs where `chosen`, [N], is True."""
        self.file.seek(0)
        return (line for line, is_chosen in zip(self.file, chosen.tolist(), strict=True) if is_chosen)

    def pairs(self, chosen: NDArray[np.bool_]) -> Iterator[Pair]:
        """The pairs where `chosen`, [N], is True, in the translation direction."""
        for example in map(from_line, map(bytes.decode, self.lines(chosen))):
            yield Pair(example.source, example.references[0], example.alignments[0])


def write_cleaned(pairs: Iterable[KeyedPair], swap: bool, file: IO[bytes]) -> CleanedPairs:
    """Write pairs to an empty file.

    Args:
        pairs: in the corpus's direction.
        swap: whether the translation direction is the other one.
        file: open for writing and reading.
    """
    first, second, sources = array("Q"), array("Q"), array("Q")
    for pair, first_key, second_key in pairs:
        source, target, links = swapped(pair) if swap else pair
        file.write(to_line(Example(source, (target,), (links,))).encode())
        first.append(first_key)
        second.append(second_key)
        sources.append(text_key(source))
    return CleanedPairs(file, *(np.array(keys, np.uint64) for keys in (first, second, sources)))
