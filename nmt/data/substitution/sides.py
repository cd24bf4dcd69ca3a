"""The words of one side of a corpus in flat arrays.

Shapes: N sentences, P positions of words and of the boundaries around sentences, V different words.
"""

import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from nmt.data.text import CharSpan, word_spans

Ids = NDArray[np.int64]
MARGIN = 2  # boundaries after every sentence and before the first, so that all words have neighbours
_BOUNDARY = "\n"


@dataclass(frozen=True)
class Side:
    """The sentences of one side. Words are compared without case.

    Attributes:
        spans: of the words of each sentence.
        vocabulary: the different words, case folded, V of them; the first is the boundary.
        forms: how each word is written where it does not begin a sentence, if it occurs there.
        ids: the word at every position, [P].
        starts: the position of the first word of each sentence, [N].
        sizes: number of words of each sentence, [N].
        counts: occurrences of each word in different sentences, [V].
        distinct: whether a position is in the first of several equal sentences, [P].
    """

    spans: list[list[CharSpan]]
    vocabulary: list[str]
    forms: list[str]
    ids: Ids
    starts: Ids
    sizes: Ids
    counts: Ids
    distinct: NDArray[np.bool_]

    def words(self, sentence: int) -> list[str]:
        """The words of a sentence, case folded."""
        start = self.starts[sentence]
        return [self.vocabulary[word] for word in self.ids[start : start + self.sizes[sentence]]]

    def endings(self, letters: int) -> Ids:
        """A number for the last letters of each word, [V]."""
        return _numbered([word[-letters:] for word in self.vocabulary])

    def beginnings(self) -> Ids:
        """A number for the first letter of each word, [V]."""
        return _numbered([word[:1] for word in self.vocabulary])

    def shapes(self) -> Ids:
        """A number for what two words must have in common to stand for each other, [V]: whether they are
        capitalised, the characters that are not letters, and a vowel sign or other mark at the end.
        """
        return _numbered([_shape(form) for form in self.forms])

    def are_words(self) -> NDArray[np.bool_]:
        """Which are words that have a letter, [V]."""
        return np.array([any(map(str.isalpha, word)) for word in self.vocabulary])


def read_side(sentences: Sequence[str]) -> Side:
    """The words of sentences, none of them empty."""
    numbers = {_BOUNDARY: 0}
    spans = list(map(word_spans, sentences))
    ids, starts, first = [0] * MARGIN, [], Counter[tuple[int, str]]()
    forms = Counter[tuple[int, str]]()
    distinct, seen = [False] * MARGIN, set[str]()
    for sentence, found in zip(sentences, spans, strict=True):
        written = [sentence[start:end] for start, end in found]
        words = [numbers.setdefault(word.casefold(), len(numbers)) for word in written]
        starts.append(len(ids))
        ids += words + [0] * MARGIN
        distinct += [sentence not in seen] * len(words) + [False] * MARGIN
        seen.add(sentence)
        first[words[0], written[0]] += 1
        forms.update(zip(words[1:], written[1:], strict=True))
    flat, mask = np.array(ids), np.array(distinct)
    return Side(
        spans,
        list(numbers),
        _commonest(len(numbers), forms, first),
        flat,
        np.array(starts),
        np.array(list(map(len, spans))),
        np.bincount(flat[mask], minlength=len(numbers)),
        mask,
    )


def _commonest(size: int, forms: Counter[tuple[int, str]], first: Counter[tuple[int, str]]) -> list[str]:
    """The commonest form of each word; those at the beginning of sentences count if there are no others."""
    found: list[tuple[int, str]] = [(0, _BOUNDARY)] * size
    for counter in (first, forms):
        best: dict[int, tuple[int, str]] = {}
        for (word, form), count in counter.items():
            best[word] = max(best.get(word, (0, "")), (count, form))
        for word, one in best.items():
            found[word] = one
    return [form for _, form in found]


def _shape(form: str) -> str:
    ends_in_mark = unicodedata.category(form[-1])[0] == "M"
    others = sorted({c for c in form if unicodedata.category(c)[0] not in "LM"})
    return f"{form[0].isupper():d}{form[-1] if ends_in_mark else '-'}{''.join(others)}"


def _numbered(values: Sequence[str]) -> Ids:
    numbers: dict[str, int] = {}
    return np.array([numbers.setdefault(value, len(numbers)) for value in values])
