"""BPE-dropout: words segmented anew, with merges left out at random (Provilkov et al. 2020).

Shapes: N tokens, A symbols (characters at first, pieces in the end), W words.
"""

import numpy as np
from numpy.typing import NDArray

from nmt.data.ragged import Ragged, ragged
from nmt.data.tokenizer import Tokenizer

_NEVER = np.iinfo(np.int32).max  # the rank of two symbols that are not merged
_LEVELS = 2**16  # probabilities are multiples of 1 / _LEVELS


class BpeDropout:
    """Segments words of a BPE model (Provilkov et al. 2020, algorithm 1).

    A word starts as characters. In each step every pair of neighbours that can be merged is left out with
    probability p, and of the others the one of the highest priority is merged, the leftmost if it occurs
    several times; a word is done when no pair is left. With p = 0 this is SentencePiece's encoding. A byte
    or an unknown character stays as it is.

    All words take a step at the same time.

    Args:
        tokenizer: a BPE model.
        p: probability of leaving out a pair, in each step.
    """

    def __init__(self, tokenizer: Tokenizer, p: float) -> None:
        self._dropped, self._size = round(p * _LEVELS), len(tokenizer)
        texts = tokenizer.texts()
        ids = {text: number for number, text in texts.items()}
        whole = [[number] for number in range(self._size)]
        split = [[ids.get(sign, -1) for sign in texts.get(number, "")] for number in range(self._size)]
        usable = (one if one and -1 not in one else itself for one, itself in zip(split, whole, strict=True))
        self._symbols = ragged([*usable, *whole])  # of a token to segment, and of one that stays
        ranked = sorted((text for text in ids if len(text) > 1), key=lambda text: -tokenizer.score(ids[text]))
        ranks = {
            ids[text[:cut]] * self._size + ids[text[cut:]]: rank
            for rank, text in enumerate(ranked)
            for cut in range(1, len(text))
            if text[:cut] in ids and text[cut:] in ids
        }
        self._pairs = np.array([*sorted(ranks), np.iinfo(np.int64).max])
        self._ranks = np.array([*(ranks[pair] for pair in sorted(ranks)), _NEVER], np.int32)
        self._merged = np.array([ids[text] for text in ranked], np.int64)

    def __call__(
        self,
        tokens: Ragged,
        words: NDArray[np.intp],
        chosen: NDArray[np.bool_],
        generator: np.random.BitGenerator,
    ) -> Ragged:
        """Sentences → the same sentences, segmented at random.

        Args:
            tokens: the ids of the sentences, N tokens.
            words: the position of the first token of each word, [W].
            chosen: whether to segment it anew, [W].
            generator: of random numbers, used raw: they are the same with every version of NumPy.
        """
        anew = np.repeat(chosen, np.diff(np.append(words, len(tokens.values))))
        symbols, counts = self._symbols.take(tokens.values + np.where(anew, 0, self._size))
        before = np.append(0, np.cumsum(counts))  # symbols before each token
        starts = before[words]
        ranks = self._rank(symbols, np.append(symbols[1:], 0))
        ranks[~np.repeat(anew, counts)] = ranks[starts - 1] = _NEVER  # of the last symbol of a word
        pieces, places = np.full(len(symbols), -1, np.int64), np.arange(len(symbols))
        while len(starts):
            lengths = np.diff(np.append(starts, len(symbols)))
            hits, best = self._chosen_merges(ranks, starts, lengths, generator)
            symbols[hits] = self._merged[ranks[hits]]
            going_on = best != _NEVER
            kept = np.repeat(going_on, lengths)
            pieces[places[~kept]] = symbols[~kept]
            changed = np.zeros(len(symbols), np.bool_)
            changed[hits] = changed[hits - 1] = True
            kept[hits + 1] = False
            symbols, places, ranks, changed = (array[kept] for array in (symbols, places, ranks, changed))
            lengths = lengths[going_on] - 1
            starts = np.cumsum(lengths) - lengths
            (hits,) = changed.nonzero()
            ranks[hits] = self._rank(symbols[hits], symbols[(hits + 1) % max(len(symbols), 1)])
            ranks[starts - 1] = _NEVER
        real = pieces >= 0
        return Ragged(pieces[real], np.append(0, np.cumsum(real))[before[tokens.offsets]])

    def _rank(self, left: NDArray[np.int64], right: NDArray[np.int64]) -> NDArray[np.int32]:
        """The rank of the piece that each two symbols are merged to, the highest priority first."""
        pairs = left * self._size + right
        found = np.searchsorted(self._pairs, pairs)
        return np.where(self._pairs[found] == pairs, self._ranks[found], np.int32(_NEVER))

    def _chosen_merges(
        self,
        ranks: NDArray[np.int32],
        starts: NDArray[np.intp],
        lengths: NDArray[np.intp],
        generator: np.random.BitGenerator,
    ) -> tuple[NDArray[np.intp], NDArray[np.int32]]:
        """One step: the positions of the symbols to merge with the next, one for each word that has any left,
        and the rank of that merge in each word, [W].
        """
        draws = np.asarray(generator.random_raw(-(-len(ranks) // 4)), "<u8").view("<u2")[: len(ranks)]
        left = np.where(draws < self._dropped, np.int32(_NEVER), ranks)
        best = np.minimum.reduceat(left, starts)
        (hits,) = ((left == np.repeat(best, lengths)) & (left != _NEVER)).nonzero()
        word = np.searchsorted(starts, hits, side="right")
        return hits[np.diff(word, prepend=0) > 0], best
