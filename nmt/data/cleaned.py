"""The cleaned pairs of a corpus during preparation: their lines in a file, their keys in arrays."""

from array import array
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from itertools import compress, islice
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.config.data import DataConfig
from nmt.data.examples import from_line
from nmt.data.keys import Keys, SeenKeys, text_keys
from nmt.data.pairs import CHUNK, Pair, checked_alignment, clean_chunk, reversed_line
from nmt.data.sources.source import DataSource, RawPair, open_source
from nmt.data.text import clean
from nmt.data.workers import in_order


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
        return compress(self.file, chosen.tobytes())

    def pairs(self, chosen: NDArray[np.bool_]) -> Iterator[Pair]:
        """The pairs where `chosen`, [N], is True, in the translation direction."""
        for example in map(from_line, map(bytes.decode, self.lines(chosen))):
            yield Pair(example.source, example.references[0], example.alignments[0])


class TrainingPairs(NamedTuple):
    """The pairs of a corpus that are trained on.

    Attributes:
        pairs: of the corpus, N.
        chosen: which of them, [N].
        both: whether in both directions.
    """

    pairs: CleanedPairs
    chosen: NDArray[np.bool_]
    both: bool

    def lines(self) -> Iterator[bytes]:
        """The lines, as in a training set; those of the second direction, if any, after the others."""
        yield from self.pairs.lines(self.chosen)
        if self.both:
            yield from map(reversed_line, self.pairs.lines(self.chosen))

    def sources(self) -> Keys:
        """The keys of the source sentences of the lines."""
        keys = self.pairs.sources[self.chosen]
        if not self.both:
            return keys
        return np.concatenate([keys, text_keys(pair.target for pair in self.pairs.pairs(self.chosen))])


def write_cleaned(
    config: DataConfig,
    files: list[Path],
    dropped: Counter[str],
    held_out: Callable[[str, str], str | None],
    file: IO[bytes],
    workers: int | None,
    seen: SeenKeys,
) -> CleanedPairs:
    """Write the cleaned pairs of a corpus that pass the filters to an empty file, and count the others by
    reason.

    Args:
        config: what to read, and the limits.
        files: of the corpus, from `DataSource.files`.
        dropped: updated in place.
        held_out: as in `clean_chunk`.
        file: open for writing and reading.
        workers: as in `in_order`.
        seen: keys of earlier pairs, which are dropped as duplicates; these are added.

    Raises:
        DataError: for what cannot be read, with file and line.
    """
    corpus = open_source(config)
    every = [array("Q") for _ in range(3)]
    chunks = in_order(partial(clean_chunk, config, held_out), _chunks(corpus.pairs(files)), workers)
    with closing(chunks):
        for chunk in chunks:
            new = seen.add(chunk.pairs)
            for position, raw in chunk.misaligned.items():
                if new[position]:
                    _raise_misaligned(raw, corpus, files)
            dropped.update(chunk.dropped)
            dropped["duplicate"] += len(new) - int(new.sum())
            file.writelines(compress(chunk.lines, new.tobytes()))
            for keys, more in zip(every, (chunk.first, chunk.second, chunk.sources), strict=True):
                keys.frombytes(more[new].tobytes())
    return CleanedPairs(file, *(np.frombuffer(keys, np.uint64) for keys in every))


def _chunks(raw_pairs: Iterator[RawPair]) -> Iterator[list[RawPair]]:
    while chunk := list(islice(raw_pairs, CHUNK)):
        yield chunk


def _raise_misaligned(raw: RawPair, corpus: DataSource, files: list[Path]) -> None:
    """Raise the error of a pair whose alignment is wrong."""
    where, again = corpus.alignment_file(files), partial(corpus.pairs, files)
    checked_alignment(raw, clean(raw.source), clean(raw.target), where, again)
