"""The font subset embedded in a page: all letters, their conjuncts, and no more."""

import base64
import io
import re

from fontTools.ttLib import TTFont

from nmt.visualisation.webfont import devanagari_woff, font_face


def font_of(rule: str) -> TTFont:
    found = re.fullmatch(
        r'@font-face { font-family: "Devanagari"; unicode-range: U\+0900-097F, [^;]+; '
        r"src: url\(data:font/woff;base64,([A-Za-z0-9+/=]+)\); }",
        rule,
    )
    assert found
    return TTFont(io.BytesIO(base64.b64decode(found[1])))


def test_letters_and_the_conjuncts_they_may_form():
    font = font_of(font_face(["क्षमा", "पत्र"]))
    letters = set(map(chr, font.getBestCmap()))
    assert set("क्षमापत्र") <= letters
    assert "ह" not in letters
    assert len(font.getGlyphOrder()) > 3 * len(letters)  # half forms, conjuncts
    assert "GSUB" in font
    assert "GPOS" in font


def test_the_same_text_is_the_same_rule():
    one = font_face(["पत्र", "मा"])
    devanagari_woff.cache_clear()  # made again
    assert font_face(["मा पत्र"]) == one


def test_other_scripts_bring_nothing():
    assert font_face(["Rahul", "Привет", "你好"]) == ""
    assert font_face([]) == ""
