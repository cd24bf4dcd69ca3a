"""The scripts of letters: which are written with spaces between words."""

import unicodedata
from functools import cache

HAN, KANA, HANGUL, UNSPACED, SPACED = "Han", "kana", "Hangul", "unspaced", "spaced"
_SCRIPTS = {
    "CJK": HAN, "IDEOGRAPHIC": HAN,
    "HIRAGANA": KANA, "KATAKANA": KANA, "HALFWIDTH KATAKANA": KANA,
    "HANGUL": HANGUL, "HALFWIDTH HANGUL": HANGUL,
    "THAI": UNSPACED, "LAO": UNSPACED, "KHMER": UNSPACED, "MYANMAR": UNSPACED, "TIBETAN": UNSPACED,
    "TAI": UNSPACED, "NEW TAI": UNSPACED, "AHOM": UNSPACED, "JAVANESE": UNSPACED,
    "BALINESE": UNSPACED, "BOPOMOFO": UNSPACED, "TANGUT": UNSPACED, "CUNEIFORM": UNSPACED,
    "EGYPTIAN": UNSPACED,
}  # fmt: skip
"""Scripts by the first one or two words of their letters' Unicode names; all others use spaces."""


@cache
def script_of(letter: str) -> str:
    """HAN, KANA or HANGUL; UNSPACED for other scripts without spaces between words; SPACED for all others."""
    words = unicodedata.name(letter, "").partition("-")[0].split()
    found = (_SCRIPTS.get(" ".join(words[:count])) for count in (1, 2))
    return next(filter(None, found), SPACED)


def has_spaces(letter: str) -> bool:
    """Whether the script of a letter separates words by spaces."""
    return script_of(letter) in (SPACED, HANGUL)
