"""Documents as segments: nothing is lost, white space is kept, and nothing is longer than the limit."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.data.text import clean, word_spans
from nmt.library.segments import Document, positions, segment

ODD = "ab. \t\n\r\x0b\x1c\x85\u2028\u00a0\ufeff\u00ad\x00e\u0301\u0958क\u093c\u200d。!?▁"


@pytest.fixture(scope="module")
def tokenizer(tokenizers):
    return tokenizers[0]


def whole(document: Document) -> str:
    """The translation by a model that copies."""
    return "".join(part.before + part.text for part in document.segments) + document.after


@pytest.mark.parametrize(
    ("text", "segments", "copied"),
    [
        ("The dog sees.", ["The dog sees."], "The dog sees."),
        ("  The dog \t sees.  ", ["The dog sees."], "  The dog sees.  "),
        ("\n\nOne.\n \nTwo.\r\n", ["One.", "Two."], "\n\nOne.\n \nTwo.\r\n"),
        ("One. Two.", ["One. Two."], "One. Two."),  # within the limit: as it is
        (" \t ", [], " \t "),
        ("", [], ""),
        ("\x00\n\ufeff", [], "\n"),
        ("a\u2028b\x85", ["a b"], "a b "),  # no line end for those who count lines otherwise
        ("a\rb\r", ["a b"], "a b "),
        ("\u00a0a\u3000", ["a"], "\u00a0a\u3000"),
    ],
)
def test_lines_and_white_space(tokenizer, text, segments, copied):
    document = segment(text, tokenizer, 50)
    assert [part.text for part in document.segments] == segments
    assert whole(document) == copied
    assert not document.split


PARTS = ["Mr. Bo saw J. Doe.", '"Is it late?" he asked.', "Yes!", "The 3.5 dogs... and so on.", "Go."]


def split(tokenizer, text: str, limit: int) -> list[str]:
    document = segment(text, tokenizer, limit)
    assert document.split
    assert whole(document) == clean(text)
    return [part.text for part in document.segments]


def test_a_long_line_is_split_at_the_ends_of_sentences(tokenizer):
    text = " ".join(PARTS)
    limit = max(len(tokenizer.encode(part)) for part in PARTS)
    assert split(tokenizer, text, limit) == PARTS
    document = segment("सीता आली। राम गेला।", tokenizer, 30)
    assert [part.text for part in document.segments] == ["सीता आली।", "राम गेला।"]
    document = segment("雨。雪。", tokenizer, 9)
    assert [(part.before, part.text) for part in document.segments] == [("", "雨。"), ("", "雪。")]


def test_a_long_sentence_is_split_at_the_limit(tokenizer):
    parts = split(tokenizer, "the dog sees the cat, " * 6 + "and the cat sees", 40)
    assert all(len(tokenizer.encode(part)) <= 40 for part in parts)
    assert all(part.endswith(",") for part in parts[:-1])  # at punctuation, as there is some
    parts = split(tokenizer, "the dog sees the cat " * 5 + "the dog", 12)
    assert all(len(tokenizer.encode(part)) <= 12 for part in parts)
    for text in ("x" * 300, "😀" * 40, "क\u093c\u094d" * 40):  # no place to split at
        document = segment(text, tokenizer, 20)
        assert "".join(part.text for part in document.segments) == clean(text)
        assert all(len(tokenizer.encode(part.text)) <= 22 for part in document.segments)
        assert not any(part.text[0] in "\u093c\u094d" for part in document.segments)


@given(st.text(alphabet=ODD, max_size=40), st.integers(1, 60))
def test_any_text(tokenizers, text, limit):
    document = segment(text, tokenizers[0], limit)
    position = 0
    for part in document.segments:
        assert part.start >= position
        assert clean(text[position : part.start]) == ""
        assert clean(text[part.start : part.end]) == part.text != ""
        position = part.end
    assert clean(text[position:]) == ""
    copied = whole(document)
    assert copied.count("\n") == text.count("\n")
    assert len(copied.splitlines()) == len(re.findall(r"[^\n]*\n|[^\n]+$", copied))
    squeezed = re.sub(r"\s", "", clean(text))
    assert clean(re.sub(r"\s", "", copied)) == clean(squeezed)


@pytest.mark.parametrize(
    "text",
    [
        "The dog",
        "  The  dog \t sees ",
        "e\u0301te\u0301 x\u00ady",
        "\u0958\u0958 ab",
        "\ufeffa \x00 b",
        "a▁b",
        "é" * 500 + "e\u0301 last",
    ],
)
def test_positions_in_the_original(text):
    cleaned = clean(text)
    origins = positions(text, cleaned)
    assert len(origins) == len(cleaned) + 1
    assert origins == sorted(origins)
    for start, end in word_spans(cleaned):
        original = text[origins[start] : origins[end]]
        if len(cleaned) < 300:
            assert clean(original) == cleaned[start:end]
