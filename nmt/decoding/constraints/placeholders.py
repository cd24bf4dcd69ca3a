"""Addresses and emoji that a model has never seen, kept out of what it reads.

A model takes an address for words, and what it says around it is wrong, also where the address itself is
forced into the translation. So it is given a name instead, which it knows; then the word of the translation
that attends to the name is replaced by the address. (Luong et al., 2015, Addressing the rare word problem in
neural machine translation, do so with all unknown words.) Emoji at the beginning and end of a text are left
out and put back.
"""

import re
from collections.abc import Collection
from typing import NamedTuple

from nmt.data.text import clean, word_spans
from nmt.data.tokenizer import SPACE, Tokenizer
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
        beginning, end: what its translation has before and after it.
    """

    text: str
    things: dict[str, str]
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

    def replace(self, text: str, kinds: Collection[str]) -> Replaced | None:
        """A text without its addresses, and without emoji at its beginning and end.

        Args:
            text: cleaned.
            kinds: which, of "url", "email" and "emoji".

        Returns:
            None: there are none, or nothing else.
        """
        beginning = end = ""
        if "emoji" in kinds and not _BEGINNING.fullmatch(text):
            beginning, end = _first(_BEGINNING.match(text)), _first(_END.search(text))
            text = text[len(beginning) : len(text) - len(end)]
        words = {text[start:stop] for start, stop in word_spans(text)}
        names = iter([name for name in self._names if name not in words])
        things: dict[str, str] = {}
        for thing in find_addresses(text, kinds):
            name = next(names, None)
            if name is not None:
                text, things[name] = text.replace(thing, name, 1), thing
        return Replaced(text, things, beginning, end) if things or beginning or end else None

    @staticmethod
    def restore(translation: Translation, replaced: Replaced, start: int = 0) -> str:
        """The translation of a text with everything back in it.

        Args:
            translation: of the text with names, with attention if there are any.
            replaced: what was replaced.
            start: words that begin before this character stay.
        """
        text, source = translation.target.text, translation.source.text
        found: list[tuple[int, int, str]] = []
        if replaced.things:
            targets, sources = word_spans(text), word_spans(source)
            weights = translation.words()[0]
            free = [index for index, span in enumerate(targets) if span.start >= start]
            for name, thing in replaced.things.items():
                column = next(index for index, (a, b) in enumerate(sources) if source[a:b] == name)
                if free:
                    best = max(free, key=lambda index: weights[index, column])
                    free.remove(best)
                    found.append((*targets[best], thing))
                else:
                    found.append((len(text), len(text), " " + thing))
        for first, last, thing in sorted(found, reverse=True):
            text = text[:first] + thing + text[last:]
        return clean(replaced.beginning + text + replaced.end)


def _first(match: re.Match[str] | None) -> str:
    return match[0] if match else ""
