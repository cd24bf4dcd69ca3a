"""What is remarkable about a translation: repetitions (the model was caught in a loop) and copies.

Both are compared with the source, which may repeat itself, too.
"""

import re

from nmt.data.text import canonical_key, words
from nmt.decoding.constraints.kept import EMOJI, find_addresses

LOOP = 3
"""A sequence of words that occurs this often in a row, and more often than any in the source, is a loop."""
_LONGEST_LOOP = 12  # words
_IN_A_WORD = re.compile(r"(\S{1,12}?)\1{4,}")
COPIED = 0.75
"""A translation that has at least this fraction of the source's words, in their order, is a copy."""
_FEWEST_COPIED = 4  # words, for a copy of a part


def is_repetitive(source: str, text: str) -> bool:
    """Whether a text repeats a sequence of words, or part of a word, again and again, unlike its source.

    Marathi doubles words (हळू हळू), and sources do repeat themselves: only a sequence that follows itself at
    least `LOOP` times in all, and more often than any in the source, counts.

    Args:
        source: the source.
        text: its translation.
    """
    found = _content(text)
    most = _most_in_a_row(found) if len(set(found)) < len(found) else 1
    if most >= LOOP and most > _most_in_a_row(_content(source)):
        return True
    return _has_loop_in_a_word(text) and not _has_loop_in_a_word(source)


def is_copy(source: str, text: str) -> bool:
    """Whether a translation is its source, or most of it. Addresses, emoji and numbers are the same in any
    language: they do not count.

    Args:
        source: the source.
        text: its translation.
    """
    source, text = _without_addresses(source), _without_addresses(text)
    if canonical_key(source) == canonical_key(text):
        return any(map(str.isalpha, source))
    if set(source.split()).isdisjoint(text.split()):
        return False
    given = _content(source)
    if len(given) < _FEWEST_COPIED or not any(map(str.isalpha, source)):
        return False
    return _common(given, _content(text)) >= COPIED * len(given)


def _has_loop_in_a_word(text: str) -> bool:
    """Whether letters repeat, such as in lalalalala; digits do so by right, and punctuation is no word."""
    return any(any(map(str.isalpha, match[1])) for match in _IN_A_WORD.finditer(text))


def _without_addresses(text: str) -> str:
    """Without emoji as well."""
    for address in find_addresses(text, ("url", "email")):
        text = text.replace(address, " ")
    return EMOJI.sub(" ", text)


def _content(text: str) -> list[str]:
    """The words, without punctuation marks."""
    return [word.casefold() for word in words(text) if any(map(str.isalnum, word))]


def _most_in_a_row(sequence: list[str]) -> int:
    """How often any part of a sequence of words follows itself, at most: 1 if none does."""
    most = 1 if sequence else 0
    for length in range(1, min(_LONGEST_LOOP, len(sequence) // 2) + 1):
        run = 0
        for one, other in zip(sequence, sequence[length:], strict=False):
            run = run + 1 if one == other else 0
            most = max(most, run // length + 1)
    return most


def _common(one: list[str], other: list[str]) -> int:
    """The length of the longest common subsequence."""
    row = [0] * (len(other) + 1)
    for word in one:
        before = 0
        for index, match in enumerate(other, 1):
            before, row[index] = (
                row[index],
                (before + 1 if word == match else max(row[index], row[index - 1])),
            )
    return row[-1]
