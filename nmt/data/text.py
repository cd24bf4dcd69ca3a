"""Text: what is cleaned once for training, references and input alike, what is compared, what is a word.

Cleaning keeps what a language needs. Zero-width joiner and non-joiner (U+200D, U+200C) stay: Marathi
writes the eyelash reph with the former. Case and punctuation stay.
"""

import unicodedata
from typing import NamedTuple

JOINERS = "\u200c\u200d"
_INNER_PUNCTUATION = "'’-"  # part of a word when letters stand on both sides: don't, well-known


def clean(text: str) -> str:
    """Normalise to NFC, drop control characters, and make every run of white space one space.

    Control characters (category Cc, such as NUL) that are not white space go; so do the byte-order
    mark and soft hyphens, which nobody sees. U+2581, with which SentencePiece writes a space, becomes
    a low line. All other characters stay.
    """
    text = unicodedata.normalize("NFC", text).replace("\u2581", "_")
    if text.isascii() and text.isprintable():
        return " ".join(text.split())
    kept = (c for c in text if c.isspace() or (unicodedata.category(c) != "Cc" and c not in "\ufeff\u00ad"))
    return unicodedata.normalize("NFC", " ".join("".join(kept).split()))


def fold(text: str) -> str:
    """The form in which two sentences count as the same: letters, marks and digits alone, case folded.

    Space, punctuation and joiners are left out. A text of punctuation only (`?!`) folds to itself,
    so that such texts are not all one.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return "".join(c for c in folded if unicodedata.category(c)[0] in "LMN") or folded


class Span(NamedTuple):
    """A word's place in its text: characters `start` to `end`, the end not included."""

    start: int
    end: int


def _is_word_character(character: str) -> bool:
    return character in JOINERS or unicodedata.category(character)[0] in "LMN"


def word_spans(text: str) -> list[Span]:
    """Where the words of `text` are: runs of letters, marks and digits; any other sign is a word alone.

    An apostrophe or hyphen between letters belongs to its word. This is the unit of alignments and
    heatmaps; it needs no knowledge of the language. (Scripts without spaces count as one word a run.)
    """
    spans: list[Span] = []
    start = 0
    while start < len(text):
        if text[start].isspace():
            start += 1
            continue
        end = start + 1
        if _is_word_character(text[start]):
            while end < len(text) and (
                _is_word_character(text[end])
                or (
                    text[end] in _INNER_PUNCTUATION
                    and end + 1 < len(text)
                    and _is_word_character(text[end + 1])
                )
            ):
                end += 1
        spans.append(Span(start, end))
        start = end
    return spans


def words(text: str) -> list[str]:
    """The words of `text`, as `word_spans` finds them: "Don't go." → ["Don't", "go", "."]."""
    return [text[start:end] for start, end in word_spans(text)]
