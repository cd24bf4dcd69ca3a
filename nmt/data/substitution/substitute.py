"""New training pairs for rare words, by substitution (Fadaee, Bisazza and Monz 2017, "Data Augmentation for
Low-Resource Neural Machine Translation").

A rare source word and its translation, known from a word alignment, take the places of a similar word and its
translation in another pair. Where Fadaee et al. ask language models which words can stand at a place, here it
is counted, as the corpora are small: the replaced pair must be similar to the rare one on both sides
(`nmt.data.substitution.vectors`), and words like these must have been seen beside each neighbour
(`nmt.data.substitution.fit`). Nothing is random.

Shapes: R rare pairs of words, F pairs that can be replaced, M slots that are considered.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.data.substitution.fit import Fit, Joins
from nmt.data.substitution.sides import Ids, read_side
from nmt.data.substitution.slots import find_slots, slots_of
from nmt.data.substitution.vectors import word_vectors

RARE = 9  # a word with more occurrences in different sentences is not rare
REPLACED = range(5, 401)  # occurrences of a word that is replaced; above are function words
LEAST_SLOTS = 3  # of a pair that is replaced
SIMILAR = 0.4  # least cosine similarity to it, on both sides; with 0.3, twice as many, fewer of them right
NEIGHBOURS = 20  # similar pairs that are considered
MOST_SLOTS = 50  # of each of them
LENGTHS = range(3, 16)  # words of a source sentence
PER_SENTENCE, PER_REPLACED = 10, 2  # uses of a sentence; of a replaced word for one rare word
_FIT = 0.03  # weight of the logarithms against the similarity
_KEPT = 40  # candidates for each pair
_OWN = 5  # at most so many of the rare pair's own slots count, each as much as the most similar pair
_BLOCK = 256


class Substitution(NamedTuple):
    """A new sentence pair.

    Attributes:
        source, target: its sentences.
        word, translation: those that took other words' places.
    """

    source: str
    target: str
    word: str
    translation: str


class _Candidate(NamedTuple):
    score: float
    slot: int
    pair: int


def substitutions(pairs: Sequence[tuple[str, str]], per_word: int) -> list[Substitution]:
    """New sentence pairs with the rare source words of a corpus, in the order of the words.

    Args:
        pairs: cleaned sentence pairs.
        per_word: at most so many for each rare word.
    """
    return list(_Substituter(pairs).found(per_word)) if pairs else []


class _Substituter:
    def __init__(self, pairs: Sequence[tuple[str, str]]) -> None:
        self._pairs = pairs
        self._sides = [read_side([pair[side] for pair in pairs]) for side in (0, 1)]
        source, target = self._sides
        self._slots = slots = find_slots(source, target)
        self._of_pair = slots_of(slots.pair, len(slots.source_words))
        self._words = slots.source_words, slots.target_words
        self._described = [(word_vectors(side), side.shapes()) for side in self._sides]
        self._joins, self._fit = [Joins(side) for side in self._sides], Fit(source, target, slots)
        self._counts = source.counts[slots.source_words]  # of each pair's source word

    def found(self, per_word: int) -> Iterator[Substitution]:
        """The best substitutions for each rare word."""
        uses, known = Counter[str](), {pair[0].casefold() for pair in self._pairs}
        for candidates in self._candidates().values():
            replaced, translations, made = Counter[int](), Counter[int](), 0
            share = self._shares([one.pair for one in candidates], per_word)
            for one in sorted(candidates, key=lambda one: (-one.score, one.slot, one.pair)):
                sentence = self._pairs[self._slots.sentence[one.slot]][0]
                there = int(self._slots.source_words[self._slots.pair[one.slot]])
                if uses[sentence] >= PER_SENTENCE or replaced[there] >= PER_REPLACED:
                    continue
                new = self._substituted(one)
                if translations[one.pair] >= share[one.pair] or new.source.casefold() in known:
                    continue
                known.add(new.source.casefold())
                uses[sentence] += 1
                replaced[there] += 1
                translations[one.pair] += 1
                made += 1
                yield new
                if made == per_word:
                    break

    def _shares(self, pairs: Sequence[int], per_word: int) -> dict[int, int]:
        """How many of the new pairs may have each translation: as the corpus has them, rounded up."""
        counts = {pair: len(self._of_pair[pair]) for pair in pairs}
        total = sum(counts.values())
        return {pair: -(-per_word * count // total) for pair, count in counts.items()}

    def _candidates(self) -> dict[int, list[_Candidate]]:
        """The candidates by rare source word."""
        slots, found = self._slots, dict[int, list[_Candidate]]()
        rare = np.flatnonzero(self._counts <= RARE)
        sizes = np.array(list(map(len, self._of_pair)))
        inside = (self._counts >= REPLACED.start) & (self._counts < REPLACED.stop)
        others = np.flatnonzero(inside & (sizes >= LEAST_SLOTS))
        for start in range(0, len(rare), _BLOCK):
            block = rare[start : start + _BLOCK]
            for pair, similarity in zip(block, self._similarities(block, others), strict=True):
                best = np.argsort(-similarity, kind="stable")[:NEIGHBOURS]
                best = best[similarity[best] > 0]
                word = int(slots.source_words[pair])
                found.setdefault(word, []).extend(self._ranked(int(pair), others[best], similarity[best]))
        return found

    def _similarities(self, rare: Ids, others: Ids) -> NDArray[np.float64]:
        """The lower one of the similarities of both sides; −1 for words that cannot stand for each other."""
        found = np.ones((len(rare), len(others)))
        for (vectors, shapes), words in zip(self._described, self._words, strict=True):
            one, other = words[rare], words[others]
            found = np.minimum(found, np.round(vectors[one] @ vectors[other].T, 3))  # any number of threads
            found[(shapes[one][:, None] != shapes[other]) | (one[:, None] == other)] = -1
        return found

    def _ranked(self, pair: int, others: Ids, similarity: NDArray[np.float64]) -> Iterator[_Candidate]:
        """The best slots of similar pairs for a rare one, where it can stand."""
        if not len(others) or similarity[0] < SIMILAR:
            return
        groups = [self._of_pair[other][:MOST_SLOTS] for other in (*others, pair)]
        own = min(len(groups[-1]), _OWN) * similarity[0] ** 2
        slots = np.concatenate(groups)
        alike = np.repeat(np.append(similarity, 0), list(map(len, groups)))  # not in the pair's own slots
        fits = self._fit(groups, np.append(similarity**2, own))
        lengths = self._sides[0].sizes[self._slots.sentence[slots]]
        usable = (alike >= SIMILAR) & (fits.min(axis=1) > 0)
        usable &= (lengths >= LENGTHS.start) & (lengths < LENGTHS.stop)
        chosen = np.flatnonzero(usable)
        for joins, at, words in zip(
            self._joins, (self._slots.source, self._slots.target), self._words, strict=True
        ):
            chosen = chosen[joins(at[slots[chosen]], int(words[pair]))]
        scores = np.round(alike + _FIT * fits.sum(axis=1), 6)
        for at in chosen[np.argsort(-scores[chosen], kind="stable")[:_KEPT]]:
            yield _Candidate(float(scores[at]), int(slots[at]), pair)

    def _substituted(self, one: _Candidate) -> Substitution:
        """The sentences of a slot with a pair of words in it."""
        slots, texts, forms = self._slots, list[str](), list[str]()
        number = int(slots.sentence[one.slot])
        for side, at, words, text in zip(
            self._sides, (slots.source, slots.target), self._words, self._pairs[number], strict=True
        ):
            place = int(at[one.slot] - side.starts[number])
            start, end = side.spans[number][place]
            form = side.forms[words[one.pair]]
            if place == 0 and text[start].isupper():
                form = form[0].upper() + form[1:]
            texts.append(text[:start] + form + text[end:])
            forms.append(form)
        return Substitution(*texts, *forms)
