"""What kind of sentence is translated badly, and what is wrong with a translation, by rules.

The rules need no knowledge of the languages, except those named "(English)", which look for English words in
the source. They count what can be seen from outside: a translation in no category may be wrong, and one in a
category right.
"""

import re
from collections.abc import Callable, Collection, Sequence
from itertools import chain, pairwise
from typing import NamedTuple

from nmt.alignment.coverage import Coverage
from nmt.data.examples import Example
from nmt.data.text import canonical_key, words
from nmt.data.word_counts import WordCounts, rarest_count
from nmt.evaluation.bleu_tokenizer import DEFAULT
from nmt.evaluation.buckets import Bucket, score_members
from nmt.evaluation.evaluator import Evaluation

FEW = 9  # occurrences in training of a word that counts as rare
SHORT, LONG = 0.6, 1.6  # characters of a translation, relative to the reference nearest in length
NGRAM = 4  # longest repetition looked for, in words
_SEPARATOR = re.compile(r"(?<=\d)[.,](?=\d)")
_ENDS = frozenset(".?!:;…\"“”‘'«»।")
_QUESTION = ("?", "？", "؟", "՞")
_NEGATED = re.compile(
    r"\b(?:no|not|never|none|nobody|nothing|nowhere|neither|nor|without|cannot)\b|n['’]t\b", re.IGNORECASE
)


class Sentence(NamedTuple):
    """A translated sentence.

    Attributes:
        source, translation, references: cleaned texts.
        seen: how often the rarest source word occurs in the training set; None if that is not known.
        coverage: of its attention, if the model has any.
    """

    source: str
    translation: str
    references: Sequence[str]
    seen: int | None = None
    coverage: Coverage | None = None


def numbers(text: str) -> list[str]:
    """The numbers in digits of any script, without separators: "१,५०० or 3.5" → ["1500", "35"]."""
    return [str(int(digits)) for digits in re.findall(r"\d+", _SEPARATOR.sub("", text))]


def missing_numbers(sentence: Sentence) -> set[str]:
    """The numbers of the source that a reference has in digits, and the translation has not."""
    expected = set(chain.from_iterable(map(numbers, sentence.references)))
    return set(numbers(sentence.source)) & expected - set(numbers(sentence.translation))


def names(text: str) -> list[str]:
    """Capitalised words within a sentence, but English "I": in most languages with capitals, names."""
    found = words(text)
    capitals = [word for before, word in pairwise(found) if word[0].isupper() and before not in _ENDS]
    return [word for word in capitals if word != "I" and not word.startswith(("I'", "I’"))]


def repetitions(text: str) -> set[tuple[str, ...]]:
    """The sequences of up to four words that stand twice in a row."""
    tokens = [canonical_key(word) for word in words(text)]
    found = set()
    for n in range(1, NGRAM + 1):
        for start in range(len(tokens) - 2 * n + 1):
            one = tuple(tokens[start : start + n])
            if one == tuple(tokens[start + n : start + 2 * n]) and any(token[0].isalnum() for token in one):
                found.add(one)
    return found


def copied_words(sentence: Sentence) -> set[str]:
    """Source words of two letters or more that the translation has and no reference has."""
    source, translation = _letters(sentence.source), _letters(sentence.translation)
    return (source & translation).difference(*map(_letters, sentence.references))


def _letters(text: str) -> set[str]:
    keys = map(canonical_key, words(text))
    return {key for key in keys if len(key) > 1 and key[0].isalpha()}


def length_ratio(sentence: Sentence) -> float:
    """Characters of the translation relative to the reference nearest in length."""
    length = len(sentence.translation)
    ratios = [length / len(reference) for reference in sentence.references if reference]
    return min(ratios, key=lambda ratio: max(ratio, 1 / ratio) if ratio else float("inf"), default=1.0)


def _repeats(sentence: Sentence) -> bool:
    said = set(chain.from_iterable(map(repetitions, (sentence.source, *sentence.references))))
    return bool(repetitions(sentence.translation) - said)


def _is_rare(low: int, high: int) -> Callable[[Sentence], bool]:
    return lambda sentence: sentence.seen is not None and low <= sentence.seen <= high


CATEGORIES: dict[str, Callable[[Sentence], bool]] = {
    "source: an unseen word": _is_rare(0, 0),
    f"source: a word seen 1-{FEW} times": _is_rare(1, FEW),
    "source: a name": lambda sentence: bool(names(sentence.source)),
    "source: a number": lambda sentence: bool(numbers(sentence.source)),
    "source: a question": lambda sentence: sentence.source.rstrip('"”’» ').endswith(_QUESTION),
    "source: negated (English)": lambda sentence: bool(_NEGATED.search(sentence.source)),
    "a number is missing": lambda sentence: bool(missing_numbers(sentence)),
    "too short": lambda sentence: length_ratio(sentence) < SHORT,
    "too long": lambda sentence: length_ratio(sentence) > LONG,
    "words repeated": _repeats,
    "source word copied": lambda sentence: bool(copied_words(sentence)),
    "source word without attention": lambda sentence: bool(
        sentence.coverage and sentence.coverage.under_translated
    ),
    "source word attended to twice": lambda sentence: bool(
        sentence.coverage and sentence.coverage.over_translated
    ),
    "equal to a reference": lambda sentence: sentence.translation in sentence.references,
    "in none of the above": lambda sentence: False,
}
"""The kinds of source sentences, and what is to be seen in translations."""
_REST = "in none of the above"


def categories(sentence: Sentence) -> list[str]:
    """The names of the categories that a sentence is in."""
    return [name for name, holds in CATEGORIES.items() if holds(sentence)] or [_REST]


def translated_sentences(
    evaluation: Evaluation, examples: Sequence[Example], word_counts: WordCounts | None
) -> list[Sentence]:
    """The sentences of an evaluation, in order; arguments as for `evaluate`."""
    coverages: Sequence[Coverage | None] = evaluation.coverage or [None] * len(examples)
    return [
        Sentence(
            example.source,
            translation.text,
            example.references,
            None if word_counts is None else rarest_count(example.source, word_counts),
            covered,
        )
        for example, translation, covered in zip(examples, evaluation.translations, coverages, strict=True)
    ]


def scores_by_category(
    sentences: Sequence[Sentence], found: Sequence[Collection[str]], tokenizer: str = DEFAULT
) -> list[Bucket]:
    """BLEU and chrF2 of the sentences of each category; a sentence may be in several.

    Args:
        sentences: N of them.
        found: the categories of each, N.
        tokenizer: for BLEU.
    """
    members = {name: [i for i, names in enumerate(found) if name in names] for name in CATEGORIES}
    return score_members(
        {name: indices for name, indices in members.items() if indices},
        [sentence.translation for sentence in sentences],
        [sentence.references for sentence in sentences],
        tokenizer,
    )
