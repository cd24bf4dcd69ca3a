"""Characters as they come, one by one, and as cleaning (`nmt.data.text.clean`) leaves them."""

import codecs
import unicodedata
from functools import lru_cache
from itertools import pairwise

from nmt.data.scripts import has_spaces
from nmt.data.text import JOINERS, clean

_HANGUL_VOWELS_AND_ENDS = "\u1160", "\u11ff"
EDGE = "\ud800"  # a surrogate, which no decoded text has


def decode(undecoded: bytes) -> tuple[str, bytes]:
    """Bytes → characters, and the bytes of one that is incomplete; as `Tokenizer.decode`."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text = decoder.decode(undecoded)
    return text, decoder.getstate()[0]


@lru_cache(1 << 14)
def changes(before: str, character: str) -> bool:
    """Whether NFC makes other characters of a character after others: it composes with them, is put before
    one of them, or is several itself.
    """
    together = unicodedata.normalize("NFC", before + character)
    return together != unicodedata.normalize("NFC", before) + character


def may_change(character: str) -> bool:
    """Whether it may change a character before it (see `changes`): a mark, or a vowel or end of a Hangul
    syllable.
    """
    first, last = _HANGUL_VOWELS_AND_ENDS
    return is_mark(character) or first <= character <= last


@lru_cache(1 << 14)
def cleaned(character: str) -> str:
    """A character as cleaning leaves it: "" if it is removed, a space for any white space."""
    if character.isspace():
        return " "
    return "_" if character == "\u2581" else character if clean(character) else ""


@lru_cache(1 << 14)
def is_inside(left: str, right: str) -> bool:
    """Whether two characters are inside a word: letters, marks and digits, of scripts with spaces between
    words. A mark is never the first of a word; "" is the beginning or end of a text.
    """
    if not (is_word_character(left) and is_word_character(right)):
        return False
    return is_mark(right) or (has_spaces(left) and has_spaces(right))


def is_word_character(character: str) -> bool:
    """Whether it is a letter, a mark or a digit; False for ""."""
    return character != "" and (character in JOINERS or unicodedata.category(character)[0] in "LMN")


def is_mark(character: str) -> bool:
    """Whether it belongs to the character before it."""
    return character in JOINERS or unicodedata.category(character)[0] == "M"


def with_edges(text: str) -> str:
    """A text with the edges inside it."""
    return "".join(
        right if is_inside(left, right) else EDGE + right for left, right in pairwise(["", *text])
    ).removeprefix(EDGE)


_STAND_INS = {(True, True): "\u10d0", (True, False): "\u0e01"}


def stand_in(left: str) -> str:
    """A character with which all following ones do as with `left`, unless they change it. Few stand for
    all, so that what follows need not be found out for each.
    """
    if left in ("", " "):
        return left
    return _STAND_INS[True, has_spaces(left)] if is_word_character(left) else "."
