"""Translations that go on differently after a prefix."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Protocol, TypeVar

from nmt.decoding.constraints.characters import is_inside
from nmt.decoding.constraints.prefix import clean_prefix
from nmt.decoding.constraints.request import ConstraintRequest


class Scored(Protocol):
    """A translation."""

    @property
    def text(self) -> str:
        """The cleaned text."""
        ...

    @property
    def score(self) -> float:
        """The higher the better."""
        ...


ScoredT = TypeVar("ScoredT", bound=Scored)


def alternatives(
    search: Callable[[ConstraintRequest], Sequence[ScoredT]], request: ConstraintRequest, count: int
) -> list[ScoredT]:
    """Translations of a sentence that differ in the next word after a prefix, best first.

    Where the prefix ends inside a word, that word is the next one. Each is the best that search finds with its
    next word: what it finds is excluded, and it searches again.

    Args:
        search: the translations of the sentence that meet a request, best first; none if none does.
        request: the prefix, and what else is asked.
        count: the number of alternatives that is wanted.

    Returns:
        at most `count`; fewer if there are no more.
    """
    prefix = clean_prefix(request.prefix)
    found: dict[str, ScoredT] = {}
    while len(found) < count:
        before = len(found)
        for translation in search(replace(request, excluded=(*request.excluded, *found))):
            found.setdefault(next_word(translation.text, prefix), translation)
        if len(found) == before:
            break
    return sorted(found.values(), key=lambda translation: -translation.score)[:count]


def next_word(text: str, prefix: str) -> str:
    """What a text that begins with a prefix goes on with, up to the end of a word; "" if it ends there."""
    end = len(prefix)
    while end < len(text) and text[end] == " ":
        end += 1
    end += 1
    while end < len(text) and is_inside(text[end - 1], text[end]):
        end += 1
    return text[len(prefix) : end]
