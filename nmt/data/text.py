"""Text: normalisation (the same for training, references and input), comparison, and word boundaries.

Cleaning preserves what affects spelling. Zero-width joiner and non-joiner (U+200D, U+200C) are kept:
Marathi writes the eyelash reph with the former. Case and punctuation are kept.
"""

import re
import unicodedata
from functools import cache
from typing import Literal, NamedTuple

JOINERS = "\u200c\u200d"
_INNER_PUNCTUATION = "'’-"  # part of a word if between letters: don't, well-known
_INVISIBLE = re.compile(
    "[\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f\xad\ufeff]"
)  # Cc but white space, U+00AD, U+FEFF

_LONG, _MANY = 1000, 32  # characters of a text, and marks in a row
_TIBETAN = {code: unicodedata.normalize("NFD", chr(code)) for code in (0xF73, 0xF75, 0xF81)}
"""Vowel signs of two marks that are out of order where they follow each other."""


def clean(text: str) -> str:
    """Normalise to NFC, remove control characters, and collapse white space.

    Control characters (category Cc, such as NUL) that are not white space are removed, as are the
    byte-order mark and soft hyphens, which are invisible. U+2581, SentencePiece's space symbol, becomes
    an underscore. All other characters are kept.
    """
    text = _normalised("NFC", text).replace("\u2581", "_")
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    return _normalised("NFC", " ".join(_INVISIBLE.sub("", text).split()))


def _normalised(form: Literal["NFC", "NFKC"], text: str) -> str:
    """`unicodedata.normalize`, whose time is quadratic in the number of combining marks in a row, with marks
    sorted first where there may be many.
    """
    if len(text) > _LONG and not text.isascii():
        text = text.translate(_TIBETAN)
        text = _many_marks().sub(lambda marks: "".join(sorted(marks[0], key=unicodedata.combining)), text)
    return unicodedata.normalize(form, text)


@cache
def _many_marks() -> re.Pattern[str]:
    marks = "".join(chr(code) for code in range(0x300, 0x20000) if unicodedata.combining(chr(code)))
    return re.compile(f"[{marks}]{{{_MANY},}}")


class _Kept(dict[int, int | None]):
    """A table for `str.translate` that keeps letters, marks and digits; filled in as characters occur."""

    def __missing__(self, code: int) -> int | None:
        self[code] = code if unicodedata.category(chr(code))[0] in "LMN" else None
        return self[code]


_KEPT = _Kept()


def canonical_key(text: str) -> str:
    """The form in which sentences are compared for equality: letters, marks and digits, case folded.

    Spaces, punctuation and joiners are removed. A text of punctuation only (`?!`) is its own key,
    so that such texts remain distinct.
    """
    key = _normalised("NFKC", text).casefold()
    return key.translate(_KEPT) or key


class CharSpan(NamedTuple):
    """The position of a word in its text: characters [start, end)."""

    start: int
    end: int


def is_mark(character: str) -> bool:
    """Whether it is a combining mark, such as a vowel sign: a part of the character before."""
    return unicodedata.category(character)[0] == "M"


class _Kinds(dict[int, int]):
    """A table for `str.translate`: "w" for what words consist of, "-" for what may stand inside one, a space
    for white space, and "." for all else; filled in as characters occur.
    """

    def __missing__(self, code: int) -> int:
        self[code] = ord(self._kind(chr(code)))
        return self[code]

    @staticmethod
    def _kind(character: str) -> str:
        if character in JOINERS or unicodedata.category(character)[0] in "LMN":
            return "w"
        if character in _INNER_PUNCTUATION:
            return "-"
        return " " if character.isspace() else "."


_KINDS = _Kinds()
_WORD = re.compile("w+(?:-w+)*|[-.]")


def word_spans(text: str) -> list[CharSpan]:
    """The words in `text`: runs of letters, marks and digits; any other character is its own word.

    An apostrophe or hyphen between letters is part of the word. These words are the unit of alignments
    and heatmaps; the rule is language-independent. (In scripts without spaces an entire run is one word.)
    """
    return [CharSpan(*match.span()) for match in _WORD.finditer(text.translate(_KINDS))]


def words(text: str) -> list[str]:
    """The words of `text`, as `word_spans` finds them: "Don't go." → ["Don't", "go", "."]."""
    return [text[start:end] for start, end in word_spans(text)]
