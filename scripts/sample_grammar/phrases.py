"""Phrases with their word alignment, and the template language that builds them.

A template is a list of words separated by spaces. `word/ab` has the tags `a` and `b`; words of the two
sides that share a tag are linked. `{name}` is replaced by a named phrase, `{name}/p` adds the tag to that
phrase's last word (where Marathi has its case endings and postpositions). Untagged words are unaligned.
"""

import re
from dataclasses import dataclass

_PUNCTUATION = ".?"


@dataclass(frozen=True)
class Phrase:
    """English and Marathi words, and their links as (English index, Marathi index)."""

    english: tuple[str, ...]
    marathi: tuple[str, ...]
    links: frozenset[tuple[int, int]]


EMPTY = Phrase((), (), frozenset())


@dataclass
class _Side:
    """One side of a template, expanded: its words, and the positions of tags and of named phrases."""

    words: list[str]
    tags: list[tuple[str, int]]
    starts: dict[str, int]


def _unfold(template: str, parts: dict[str, tuple[str, ...]]) -> _Side:
    """Replace the names of `parts` by their words."""
    side = _Side([], [], {})
    for item in template.split():
        word, _, tags = item.partition("/")
        name = re.fullmatch(r"\{(\w+)\}", word)
        if name is None:
            side.words.append(word)
        else:
            side.starts[name[1]] = len(side.words)
            side.words.extend(parts[name[1]])
        side.tags.extend((tag, len(side.words) - 1) for tag in tags)
    return side


def build(english: str, marathi: str, **parts: Phrase) -> Phrase:
    """Build a phrase from two templates; each of `parts` occurs once on each side."""
    left = _unfold(english, {name: part.english for name, part in parts.items()})
    right = _unfold(marathi, {name: part.marathi for name, part in parts.items()})
    assert left.starts.keys() == right.starts.keys() == parts.keys(), (english, marathi)
    links = {(i, j) for tag, i in left.tags for other, j in right.tags if tag == other}
    for name, part in parts.items():
        links.update((i + left.starts[name], j + right.starts[name]) for i, j in part.links)
    return Phrase(tuple(left.words), tuple(right.words), frozenset(links))


def sentence(english: str, marathi: str, **parts: Phrase) -> Phrase:
    """Like `build`, with final punctuation on both sides: a full stop, or a question mark for questions.

    The template has the punctuation mark (`.` or `?`) as its last word, on the English side only.
    """
    body, sign = english[:-1], english[-1]
    assert sign in _PUNCTUATION, english
    return build(f"{body} {sign}/!", f"{marathi} {sign}/!", **parts)


def as_text(words: tuple[str, ...]) -> str:
    """Join words to a sentence: no space before the final punctuation mark, first letter capitalised."""
    text = " ".join(words[:-1]) + words[-1]
    return text[0].upper() + text[1:]


def as_line(phrase: Phrase) -> str:
    """English, Marathi and the Pharaoh alignment, separated by tabs."""
    alignment = " ".join(f"{i}-{j}" for i, j in sorted(phrase.links))
    return f"{as_text(phrase.english)}\t{as_text(phrase.marathi)}\t{alignment}"
