"""Cleaning, canonical keys, and word boundaries."""

import unicodedata

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from nmt.data.text import canonical_key, clean, word_spans, words

REPH = "शेतकर्\u200dयाचे"  # the eyelash reph: without its joiner it is another spelling
ODD_SPACES = ["\t", "\n", "\v", "\f", "\r", "\x1c", "\x1f", "\x85", "\u00a0", "\u2003", "\u2028", "\u2029"]

any_text = st.text(
    st.one_of(
        st.characters(exclude_categories=["Cs"]),
        st.sampled_from([*ODD_SPACES, " ", "\0", "\u200c", "\u200d", "\ufeff", "\u00ad", "\u2581", "\u0301"]),
        st.sampled_from("aé'’-_.कर््याँ।"),
    )
)


# ---------------------------------------------------------------- clean


@settings(deadline=None)
@given(any_text)
@example("e\u00ad\u0301")  # what stood between letter and accent goes, so the two become one
@example("\u0301 a")
def test_cleaned_text_is_one_clean_line(text: str) -> None:
    cleaned = clean(text)
    assert clean(cleaned) == cleaned
    assert unicodedata.is_normalized("NFC", cleaned)
    assert not any(unicodedata.category(c) == "Cc" for c in cleaned)
    assert not any(c.isspace() and c != " " for c in cleaned)
    assert "  " not in cleaned
    assert cleaned == cleaned.strip()
    assert len(cleaned.splitlines()) <= 1
    assert "\u2581" not in cleaned


@settings(deadline=None)
@given(any_text)
def test_cleaning_takes_away_no_visible_character(text: str) -> None:
    def visible(text: str) -> str:
        decomposed = unicodedata.normalize("NFD", text).replace("\u2581", "_")
        gone = "\ufeff\u00ad"
        kept = (c for c in decomposed if not c.isspace() and unicodedata.category(c) != "Cc")
        return unicodedata.normalize("NFD", "".join(c for c in kept if c not in gone))

    assert visible(clean(text)) == visible(text)


@pytest.mark.parametrize("space", ODD_SPACES)
def test_every_kind_of_space_is_one_space(space: str) -> None:
    assert clean(f"{space}a{space}b {space} क{space}") == "a b क"


@pytest.mark.parametrize("sign", ["\0", "\x01", "\x1b", "\x7f", "\x80", "\x9f", "\ufeff", "\u00ad"])
def test_what_nobody_sees_goes(sign: str) -> None:
    assert clean(f"{sign}a{sign}b{sign}") == "ab"
    assert clean(f"क{sign}") == "क"


@pytest.mark.parametrize(
    "text",
    [
        REPH,
        "क्\u200c",  # the non-joiner
        "👩\u200d👩\u200d👧",
        "McDonald's, U.S.A. — “Quoted”!?",
        "तो गेला। ती आली॥",
        "ISO-8859 x_y <s> </s> 100%",
        "مرحبا بالعالم",
        "日本語。",
    ],
)
def test_these_stay_as_they_are(text: str) -> None:
    assert clean(text) == text


def test_letters_are_composed() -> None:
    assert clean("cafe\u0301") == "caf\u00e9"
    assert clean("\u0928\u093c") == "\u0929"  # NNA: letter and nukta
    assert clean("e\u00ad\u0301") == "\u00e9"


def test_the_sign_for_a_space_becomes_a_low_line() -> None:
    assert clean("a\u2581b") == "a_b"


# ---------------------------------------------------------------- canonical keys


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Don't go!", "dont GO"),
        ("  A  b ", "ab"),
        ("caf\u00e9", "CAFE\u0301"),
        ("Ｆｕｌｌ　ｗｉｄｔｈ", "full width"),
        ("Straße", "STRASSE"),
        ("मी जातो.", "मी  जातो।"),
        (REPH, REPH.replace("\u200d", "")),
    ],
)
def test_sentences_that_count_as_the_same(one: str, other: str) -> None:
    assert canonical_key(one) == canonical_key(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Go.", "Got."),
        ("café", "cafe"),
        ("मी", "मि"),  # only a vowel sign differs
        ("2 + 2", "2 + 3"),
        ("?!", "!?"),
        ("...", "?"),
    ],
)
def test_sentences_that_count_as_different(one: str, other: str) -> None:
    assert canonical_key(one) != canonical_key(other)


@settings(deadline=None)
@given(any_text)
def test_canonical_keys_ignore_case_and_normal_form(text: str) -> None:
    assert canonical_key(unicodedata.normalize("NFD", text)) == canonical_key(text)
    if text.isascii():
        assert canonical_key(text.swapcase()) == canonical_key(text)
    assert bool(canonical_key(text)) == bool(text)  # texts of punctuation only must not all be one


# ---------------------------------------------------------------- words


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("Don't go.", ["Don't", "go", "."]),
        ("a well-known man", ["a", "well-known", "man"]),
        ("He’s 'here'", ["He’s", "'", "here", "'"]),
        ("dogs' - 3.5%", ["dogs", "'", "-", "3", ".", "5", "%"]),
        ("मी घरी जातो।", ["मी", "घरी", "जातो", "।"]),
        (f"{REPH} शेत!", [REPH, "शेत", "!"]),
        ("e\u0301te\u0301", ["e\u0301te\u0301"]),
        ("--", ["-", "-"]),
        ("rock-'n'-roll", ["rock", "-", "'", "n", "'", "-", "roll"]),
    ],
)
def test_words(text: str, expected: list[str]) -> None:
    assert words(text) == expected


@settings(deadline=None)
@given(any_text)
def test_words_are_all_that_is_no_space(text: str) -> None:
    spans = word_spans(text)
    covered = [position for start, end in spans for position in range(start, end)]
    assert covered == [position for position, c in enumerate(text) if not c.isspace()]  # in order, once each
    assert all(start < end for start, end in spans)
    assert words(text) == [text[start:end] for start, end in spans]


@settings(deadline=None)
@given(any_text)
def test_a_word_of_several_characters_has_letters_at_both_ends(text: str) -> None:
    for word in words(text):
        inner = [c for c in word if unicodedata.category(c)[0] not in "LMN" and c not in "\u200c\u200d"]
        assert len(word) == 1 or (set(inner) <= set("'’-") and not {word[0], word[-1]} & set("'’-"))
