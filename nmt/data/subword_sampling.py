"""Sub-word sampling: another segmentation of the training set in every epoch (Kudo 2018; Provilkov et al.
2020).

A segmentation is a pure function of the seed, the epoch and the corpus, on any machine; nothing has to be
saved to resume a training.

Shapes: N tokens, W words.
"""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray

from nmt.data.bpe_dropout import BpeDropout
from nmt.data.ragged import Ragged
from nmt.data.tokenizer import SPACE, Tokenizer
from nmt.data.unigram_sampling import UnigramSampling, word_keys

_CHUNK = 8192  # sentences at a time


class Segmenter(Protocol):
    """Segments sentences at random; see `BpeDropout`."""

    def __call__(
        self,
        tokens: Ragged,
        words: NDArray[np.intp],
        chosen: NDArray[np.bool_],
        generator: np.random.BitGenerator,
    ) -> Ragged:
        """Sentences → the same sentences, segmented at random."""
        ...


class Segmented(NamedTuple):
    """A segmentation of the training set: token ids, without special tokens."""

    sources: Ragged
    targets: Ragged


class SampledPairs:
    """The segmentations of a training set. The one of the next epoch is made in the background.

    Args:
        sources, targets: the tokens of the pairs.
        tokenizers: of both sides.
        kind: "bpe" (BPE-dropout) or "unigram" (sampling from all segmentations).
        strength: for BPE the probability of leaving out a merge; for unigram the exponent α.
        below: segment only words that occur fewer times than this on their side; a word is what stands
            between spaces. None: all words.
        seed: for all epochs.
        epochs: their number.
    """

    def __init__(
        self,
        sources: Ragged,
        targets: Ragged,
        tokenizers: tuple[Tokenizer, Tokenizer],
        kind: str,
        strength: float,
        below: int | None,
        seed: int,
        epochs: int,
    ) -> None:
        make = BpeDropout if kind == "bpe" else UnigramSampling
        self._sides = [
            _Side(tokens, tokenizer, make(tokenizer, strength), below, (seed, number))
            for number, (tokens, tokenizer) in enumerate(zip((sources, targets), tokenizers, strict=True))
        ]
        self._epochs = epochs
        self._thread = ThreadPoolExecutor(1, "subword_sampling")
        self._next: tuple[int, Future[Segmented]] | None = None

    def at(self, epoch: int) -> Segmented:
        """The segmentation of an epoch."""
        if self._next is None or self._next[0] != epoch:
            self._start(epoch)
        assert self._next is not None
        found = self._next[1].result()
        self._next = None
        if epoch + 1 < self._epochs:
            self._start(epoch + 1)
        return found

    def _start(self, epoch: int) -> None:
        self._next = epoch, self._thread.submit(self._segmented, epoch)

    def _segmented(self, epoch: int) -> Segmented:
        return Segmented(*(side.segmented(epoch) for side in self._sides))


class _Side:
    """The sentences of one side."""

    def __init__(
        self,
        tokens: Ragged,
        tokenizer: Tokenizer,
        segmenter: Segmenter,
        below: int | None,
        seed: tuple[int, int],
    ) -> None:
        self._tokens, self._segmenter, self._seed = tokens, segmenter, seed
        self._type = np.min_scalar_type(len(tokenizer) - 1)
        self._begins = np.zeros(len(tokenizer), np.bool_)
        self._begins[[number for number, text in tokenizer.texts().items() if text.startswith(SPACE)]] = True
        self._frequent = None if below is None else self._at_least(below)

    def segmented(self, epoch: int) -> Ragged:
        """The sentences as segmented in an epoch."""
        values, lengths = [], []
        for number, tokens in enumerate(self._chunks()):
            generator = np.random.PCG64([*self._seed, epoch, number])
            words = self._words(tokens)
            chosen = self._chosen(tokens, words)
            found = self._segmenter(tokens, words, chosen, generator)
            values.append(found.values.astype(self._type))
            lengths.append(found.lengths)
        offsets = np.append(0, np.cumsum(np.concatenate(lengths)))
        return Ragged(np.concatenate(values), offsets)

    def _chunks(self) -> Iterator[Ragged]:
        tokens = self._tokens
        for first in range(0, len(tokens), _CHUNK):
            offsets = tokens.offsets[first : first + _CHUNK + 1]
            values = tokens.values[offsets[0] : offsets[-1]].astype(np.int64)
            yield Ragged(values, offsets - offsets[0])

    def _words(self, tokens: Ragged) -> NDArray[np.intp]:
        """The position of the first token of each word, [W]."""
        first = np.append(self._begins[tokens.values], False)
        first[tokens.offsets] = True
        return first[:-1].nonzero()[0]

    def _chosen(self, tokens: Ragged, words: NDArray[np.intp]) -> NDArray[np.bool_]:
        """Whether each word is to be segmented anew, [W]."""
        if self._frequent is None:
            return np.ones(len(words), np.bool_)
        return ~np.isin(word_keys(tokens.values, words), self._frequent)

    def _at_least(self, count: int) -> NDArray[np.uint64]:
        """The keys of the words that occur so often."""
        keys, counts = np.empty(0, np.uint64), np.empty(0, np.int64)
        for tokens in self._chunks():
            more, times = np.unique(word_keys(tokens.values, self._words(tokens)), return_counts=True)
            keys, places = np.unique(np.append(keys, more), return_inverse=True)
            counts = np.bincount(places, np.append(counts, times)).astype(np.int64)
        return keys[counts >= count]
