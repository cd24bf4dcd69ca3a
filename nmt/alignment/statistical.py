"""Statistical word alignment: learned from the sentence pairs alone, without a translation model.

IBM Model 1 (Brown et al. 1993), then a hidden Markov model (`nmt.alignment.hmm`), in both directions at once:

- **Agreement** (Liang, Taskar and Klein 2006): each direction learns from the product of both posteriors, so
  that links survive which both support.
- **Variational Bayes** (Riley and Gildea 2012): a sparse Dirichlet prior over the translations of a word, so
  that a rare word does not attract all words of its sentences.

Shapes: B sentence pairs of equal lengths, I source and J target words, C pairs of words that occur together.
"""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from nmt.alignment.hmm import JUMPS, NULL, Floats, forward_backward, jumps, transitions
from nmt.alignment.words import Link

ALPHA = 0.2  # of the Dirichlet prior; with ROUNDS, NULL and WINDOW the best on the bundled corpus's test set
ROUNDS = 4  # of expectation maximisation with each of the models
Ids = NDArray[np.int64]
Sentences = Sequence[Sequence[str]]


class Posteriors(NamedTuple):
    """The probabilities of the links of a sentence pair, given its words.

    Attributes:
        forward: that target word j translates source word i, [I, J]; columns sum to at most 1.
        backward: that source word i translates target word j, [I, J]; rows sum to at most 1.
    """

    forward: Floats
    backward: Floats

    @property
    def joint(self) -> Floats:
        """The geometric mean of both directions, [I, J]."""
        mean: Floats = np.sqrt(self.forward * self.backward)
        return mean

    def links(self) -> tuple[frozenset[Link], frozenset[Link]]:
        """The best link of each target word, and of each source word, unless none is likelier."""
        swapped = _best(self.forward.T)
        return frozenset((source, target) for target, source in swapped), _best(self.backward)


def _best(posteriors: Floats) -> frozenset[Link]:
    """Each row with its best column, where that is likelier than no link."""
    best = posteriors.argmax(axis=1)
    linked = posteriors.max(axis=1) > 1 - posteriors.sum(axis=1)
    return frozenset((row, int(best[row])) for row in np.flatnonzero(linked).tolist())


class _Batch(NamedTuple):
    """All sentence pairs of the same two lengths.

    Attributes:
        numbers: their places in the corpus, [B].
        forward: the pairs of words, as indices below C, [B, J, 1 + I]; the first column: with no word.
        backward: the same for the other direction, [B, I, 1 + J].
    """

    numbers: Ids
    forward: Ids
    backward: Ids


class _Direction:
    """The model of one direction: a translation table and the weights of jumps.

    Args:
        given: for each pair of words, the one that is translated, [C].
        word: the one that it is translated to, [C]; a pair where this is no word takes no part.
    """

    def __init__(self, given: Ids, word: Ids) -> None:
        self._given, self._prior = given, np.where(word > 0, ALPHA, 0.0)
        self._table, self._jumps = np.ones(len(given)), np.ones(JUMPS)
        self._found: list[tuple[Ids, Floats]] = []
        self._moves = np.ones(JUMPS)

    def model1(self, pairs: Ids) -> Floats:
        """The posteriors of IBM Model 1, [B, J, 1 + I], for `pairs` of that shape."""
        joint = self._table[pairs]
        joint[:, :, 0] *= NULL
        joint[:, :, 1:] *= (1 - NULL) / (pairs.shape[2] - 1)
        posteriors: Floats = joint / joint.sum(axis=2, keepdims=True)
        return posteriors

    def hmm(self, pairs: Ids) -> Floats:
        """The posteriors of the hidden Markov model, [B, J, 1 + I], for `pairs` of that shape."""
        words = pairs.shape[2] - 1
        posteriors, moves = forward_backward(self._table[pairs], transitions(self._jumps, words))
        self._moves += np.bincount(jumps(words).ravel(), moves.ravel(), JUMPS)
        return posteriors

    def count(self, pairs: Ids, posteriors: Floats) -> None:
        """Take expected links into account, [B, J, 1 + I]."""
        self._found.append((pairs.ravel(), posteriors.ravel()))

    def maximise(self) -> None:
        """Learn from what was counted since the last call: t(f | e) = exp(ψ(c_ef + α) − ψ(Σ_f c_ef + α))."""
        pairs, posteriors = (np.concatenate(one) for one in zip(*self._found, strict=True))
        found = np.bincount(pairs, posteriors, len(self._given))
        counts = np.asarray(found + self._prior, np.float64)
        totals = np.asarray(np.bincount(self._given, counts), np.float64)
        self._table = np.exp(_digamma(counts) - _digamma(totals)[self._given])  # ψ(0) = −∞
        self._jumps, self._moves, self._found = self._moves, np.ones(JUMPS), []


def _digamma(values: Floats) -> Floats:
    found: Floats = torch.special.digamma(torch.from_numpy(values)).numpy()
    return found


class WordAligner:
    """A statistical aligner of a corpus, trained on it when made.

    Args:
        sources: the words of N sentences, or what shall be compared in their place; none is empty.
        targets: those of their translations.
    """

    def __init__(self, sources: Sentences, targets: Sentences) -> None:
        self._size = len(sources)
        batches, pairs = _batches(_numbered(sources), _numbered(targets))
        self._batches = batches
        self._forward, self._backward = _Direction(*pairs), _Direction(*pairs[::-1])
        for _ in range(ROUNDS):
            self._learn(_Direction.model1)
        for _ in range(ROUNDS):
            self._learn(_Direction.hmm)

    def _learn(self, model: Callable[[_Direction, Ids], Floats]) -> None:
        for batch in self._batches:
            one, other = model(self._forward, batch.forward), model(self._backward, batch.backward)
            agreed = one[:, :, 1:] * other[:, :, 1:].transpose(0, 2, 1)
            one[:, :, 1:], other[:, :, 1:] = agreed, agreed.transpose(0, 2, 1)
            self._forward.count(batch.forward, one)
            self._backward.count(batch.backward, other)
        self._forward.maximise()
        self._backward.maximise()

    def posteriors(self) -> list[Posteriors]:
        """The posteriors of every sentence pair, in order."""
        found: list[Posteriors | None] = [None] * self._size
        for batch in self._batches:
            forward = self._forward.hmm(batch.forward)[:, :, 1:].transpose(0, 2, 1)
            backward = self._backward.hmm(batch.backward)[:, :, 1:]
            for number, one, other in zip(batch.numbers.tolist(), forward, backward, strict=True):
                found[number] = Posteriors(one, other)
        return [one for one in found if one is not None]


def _numbered(sentences: Sentences) -> list[Ids]:
    """The words as numbers from 1, in the order of their first occurrence."""
    numbers: dict[str, int] = {}
    return [
        np.array([numbers.setdefault(word, len(numbers) + 1) for word in words], np.int64)
        for words in sentences
    ]


def _batches(sources: Sequence[Ids], targets: Sequence[Ids]) -> tuple[list[_Batch], tuple[Ids, Ids]]:
    """The sentence pairs by their lengths; the source and the target word of each pair of words, [C], where 0
    is no word.
    """
    by_lengths: dict[tuple[int, int], list[int]] = {}
    for number, pair in enumerate(zip(sources, targets, strict=True)):
        by_lengths.setdefault((len(pair[0]), len(pair[1])), []).append(number)
    words = 1 + max(max((ids.max() for ids in targets), default=0), 0)
    groups, keys = [np.array(numbers) for _, numbers in sorted(by_lengths.items())], []
    for numbers in groups:
        source, target = (np.stack([side[number] for number in numbers]) for side in (sources, targets))
        null = np.zeros((len(numbers), 1), np.int64)
        forward = np.concatenate([null, source], axis=1)[:, None, :] * words + target[:, :, None]
        backward = source[:, :, None] * words + np.concatenate([null, target], axis=1)[:, None, :]
        keys += [forward, backward]
    pairs, places = np.unique(
        np.concatenate([np.empty(0, np.int64), *map(np.ravel, keys)]), return_inverse=True
    )
    split = np.split(places, np.cumsum([key.size for key in keys])[:-1])
    shaped = [place.reshape(key.shape) for place, key in zip(split, keys, strict=True)]
    batches = [_Batch(*one) for one in zip(groups, shaped[::2], shaped[1::2], strict=True)]
    return batches, (pairs // words, pairs % words)
