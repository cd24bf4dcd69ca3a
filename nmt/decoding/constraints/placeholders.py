"""Addresses and emoji that a model has never seen, kept out of what it reads.

A model takes an address for words, and what it says around it is wrong, also where the address itself is
forced into the translation. So it is given a name instead, which it knows; then the word of the translation
that attends to the name is replaced by the address. (Luong et al., 2015, Addressing the rare word problem in
neural machine translation, do so with all unknown words.) Emoji at the beginning and end of a text are left
out and put back; one in between is put behind the word that attends most to the word before it.
"""

import re
from collections.abc import Collection
from typing import NamedTuple

from nmt.data.text import clean, word_spans
from nmt.data.tokenizer import SPACE, Tokenizer
from nmt.decoding.constraints.characters import is_word_character
from nmt.decoding.constraints.kept import EMOJI, find_addresses
from nmt.decoding.result import Translation

_NAME = re.compile(f"{SPACE}[A-ZÀ-ÖØ-ÞΑ-ΩА-Я][a-zà-öø-ÿα-ωа-я]{{2,}}")
_NAMES = 50
_BEGINNING = re.compile(rf"(?:{EMOJI.pattern}|\s)+")
_END = re.compile(rf"(?:{EMOJI.pattern}|\s)+$")


class Replaced(NamedTuple):
    """A text to translate instead of another.

    Attributes:
        text: cleaned.
        things: name in it → what it stands for.
        emoji: those in between, with the index of the word before.
        beginning, end: what its translation has before and after it.
    """

    text: str
    things: dict[str, str]
    emoji: list[tuple[int, str]]
    beginning: str
    end: str


class Placeholders:
    """Replaces what a model has never seen by names that it has.

    Args:
        source: the source tokenizer. Names are its pieces of a capital and small letters of which there is
            none in small letters, and none that goes on with more. In scripts without capital letters there
            are none, and addresses are not replaced.
    """

    def __init__(self, source: Tokenizer) -> None:
        texts = set(source.texts().values())
        beginnings = {text[:end] for text in texts for end in range(1, len(text))}
        names = (text for text in source.texts().values() if _NAME.fullmatch(text))
        whole = (name for name in names if name.lower() not in texts and name not in beginnings)
        self._names = [name[1:] for name in whole][:_NAMES]

    @staticmethod
    def is_all(text: str, kinds: Collection[str]) -> bool:
        """Whether a cleaned text is nothing but what is kept (and punctuation): it is its translation."""
        rest = text
        for thing in find_addresses(text, kinds):
            rest = rest.replace(thing, " ", 1)
        rest = EMOJI.sub(" ", rest) if "emoji" in kinds else rest
        return rest != text and not any(map(is_word_character, rest))

    def replace(self, text: str, kinds: Collection[str]) -> Replaced | None:
        """A text without its addresses, and without emoji at its beginning and end.

        Args:
            text: cleaned; not `is_all`.
            kinds: which, of "url", "email" and "emoji".

        Returns:
            None: there are none.
        """
        names = iter([name for name in self._names if name not in text])
        things: dict[str, str] = {}
        for thing in (
            [text] if "emoji" in kinds and _BEGINNING.fullmatch(text) else find_addresses(text, kinds)
        ):
            name = next(names, None)
            if name is not None:
                text, things[name] = text.replace(thing, name, 1), thing
        beginning = end = ""
        emoji: list[tuple[int, str]] = []
        if "emoji" in kinds:
            beginning, end = _first(_BEGINNING.match(text)), _first(_END.search(text))
            text = text[len(beginning) : len(text) - len(end)]
            while match := EMOJI.search(text):
                emoji.append((len(word_spans(text[: match.start()])) - 1, match[0]))
                text = clean(text[: match.start()] + " " + text[match.end() :])
        replaced = Replaced(text, things, emoji, beginning, end)
        return replaced if things or emoji or beginning or end else None

    @staticmethod
    def restore(translation: Translation, replaced: Replaced) -> str:
        """The translation of a text with everything back in it.

        Args:
            translation: of the text with names, with attention.
            replaced: what was replaced.
        """
        text, source = translation.target.text, translation.source.text
        targets, sources = word_spans(text), word_spans(source)
        found: list[tuple[int, int, str]] = []
        if replaced.things or replaced.emoji:
            weights = translation.words()[0][: len(targets)]
            free = list(range(len(targets)))
            for name, thing in replaced.things.items():
                column = next(index for index, (a, b) in enumerate(sources) if source[a:b] == name)
                best = max(free, key=lambda index: weights[index, column], default=None)
                if best is None:
                    found.append((len(text), len(text), " " + thing))
                else:
                    free.remove(best)
                    found.append((*targets[best], thing))
            for column, one in replaced.emoji:
                after = targets[int(weights[:, column].argmax())].end if targets else 0
                found.append((after, after, f" {one} "))
        for first, last, thing in sorted(found, reverse=True):
            text = text[:first] + thing + text[last:]
        return clean(replaced.beginning + text + replaced.end)


def _first(match: re.Match[str] | None) -> str:
    return match[0] if match else ""
