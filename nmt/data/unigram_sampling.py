"""Sub-word regularisation: words segmented at random by a unigram model (Kudo 2018).

Shapes: N tokens, W words, U distinct words, C candidates: the pieces that can end at a position of a word.
"""

import math
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.ragged import Ragged
from nmt.data.tokenizer import Tokenizer

_FACTOR = 0x9E3779B97F4A7C15  # of the polynomial that hashes a word


class _Lattice(NamedTuple):
    """All segmentations of a word, or of words one after another.

    Attributes:
        pieces: the candidates, ordered by the position where they end, [C].
        lengths: of the candidates, in characters, [C].
        bounds: the end of a candidate − 1, + the probability that the last piece up to there is this one or
            one before it in the order, [C].
        size: the number of characters.
    """

    pieces: NDArray[np.int64]
    lengths: NDArray[np.int64]
    bounds: NDArray[np.float64]
    size: int


class UnigramSampling:
    """Segments words of a unigram model (Kudo 2018, §3.2 with l = ∞): segmentation x has the probability
    P(x)^α / Σ_x′ P(x′)^α, where P(x) is the product of the probabilities of its pieces.

    Drawn by forward filtering and backward sampling. A word with a byte or an unknown character stays as it
    is. Lattices of words are kept for the next epochs.

    Args:
        tokenizer: a unigram model.
        alpha: α; towards 0 all segmentations are as likely as each other.
    """

    def __init__(self, tokenizer: Tokenizer, alpha: float) -> None:
        self._texts = tokenizer.texts()
        self._ids = {text: number for number, text in self._texts.items()}
        self._scores = {text: alpha * tokenizer.score(number) for text, number in self._ids.items()}
        self._longest = max(map(len, self._ids), default=1)
        self._lattices: dict[int, _Lattice] = {}

    def __call__(
        self,
        tokens: Ragged,
        words: NDArray[np.intp],
        chosen: NDArray[np.bool_],
        generator: np.random.BitGenerator,
    ) -> Ragged:
        """As `BpeDropout`."""
        ends = np.append(words, len(tokens.values))[1:]
        keys = word_keys(tokens.values, words)
        distinct, firsts, kinds = np.unique(
            np.where(chosen, keys, ~keys), return_index=True, return_inverse=True
        )
        lattices = [
            self._lattice(key, tokens.values[words[k] : ends[k]].tolist(), bool(chosen[k]))
            for key, k in zip(distinct.tolist(), firsts.tolist(), strict=True)
        ]
        return self._drawn(tokens, words, lattices, kinds, generator)

    def _lattice(self, key: int, tokens: list[int], anew: bool) -> _Lattice:
        """Of a word, given its key; `anew`: of all its segmentations, else of this one."""
        found = self._lattices.get(key)
        if found is None:
            known = anew and all(token in self._texts for token in tokens)
            found = self._lattices[key] = self._all(tokens) if known else _only(tokens)
        return found

    def _all(self, tokens: list[int]) -> _Lattice:
        """All segmentations of a word."""
        text = "".join(self._texts[token] for token in tokens)
        totals = [0.0]  # log Σ P^α over the segmentations of the first characters
        pieces, lengths, bounds = [], [], []
        for end in range(1, len(text) + 1):
            starts = range(max(0, end - self._longest), end)
            found = [start for start in starts if text[start:end] in self._ids]
            weights = [totals[start] + self._scores[text[start:end]] for start in found]
            highest = max(weights, default=-math.inf)
            shares = [math.exp(weight - highest) for weight in weights]
            totals.append(highest + math.log(sum(shares)) if shares else -math.inf)
            for start, share in zip(found, accumulate(shares), strict=True):
                pieces.append(self._ids[text[start:end]])
                lengths.append(end - start)
                bounds.append(end - 1 + share / sum(shares))
            if found:
                bounds[-1] = float(end)
        return _Lattice(np.array(pieces), np.array(lengths), np.array(bounds), len(text))

    def _drawn(
        self,
        tokens: Ragged,
        words: NDArray[np.intp],
        lattices: list[_Lattice],
        kinds: NDArray[np.intp],
        generator: np.random.BitGenerator,
    ) -> Ragged:
        """Segmentations of the words, whose lattices are `lattices[kinds]`, drawn from their ends on."""
        sizes = np.array([one.size for one in lattices], np.int64)
        bases = np.cumsum(sizes) - sizes  # where each lattice starts in all of them
        candidates = [len(one.pieces) for one in lattices]
        none = [np.empty(0, np.int64)]
        all_pieces, all_lengths, bounds = (
            np.concatenate([*none, *(one[k] for one in lattices)]) for k in range(3)
        )
        bounds = bounds + np.repeat(bases, candidates)
        starts = np.append(0, np.cumsum(sizes[kinds]))
        pieces = np.full(starts[-1], -1, np.int64)
        left, base, first = sizes[kinds], bases[kinds], starts[:-1]
        while len(left):
            draws = np.asarray(generator.random_raw(-(-len(left) // 2)), "<u8").view("<u4")[: len(left)]
            chosen = np.searchsorted(bounds, base + left - 1 + draws / 2**32, side="right")
            left = left - all_lengths[chosen]
            pieces[first + left] = all_pieces[chosen]
            going_on = left > 0
            left, base, first = (array[going_on] for array in (left, base, first))
        real = pieces >= 0
        word_offsets = np.searchsorted(words, tokens.offsets)  # words before each sentence
        return Ragged(pieces[real], np.append(0, np.cumsum(real))[starts[word_offsets]])


def _only(tokens: list[int]) -> _Lattice:
    """One segmentation, each token in place of a character."""
    count = len(tokens)
    return _Lattice(np.array(tokens), np.ones(count, np.int64), np.arange(1.0, count + 1), count)


def word_keys(values: NDArray[np.int64], words: NDArray[np.intp]) -> NDArray[np.uint64]:
    """A hash of the tokens of each word, [W], by which equal words are found.

    Args:
        values: N tokens.
        words: the position of the first token of each word, [W].
    """
    if not len(words):
        return np.empty(0, np.uint64)
    lengths = np.diff(np.append(words, len(values)))
    places = np.arange(len(values)) - np.repeat(words, lengths)
    powers = np.cumprod(np.full(int(lengths.max()), _FACTOR, np.uint64))  # modulo 2⁶⁴
    return np.add.reduceat((values + 1).astype(np.uint64) * powers[places], words)
