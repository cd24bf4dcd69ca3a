"""How often source words occur in a training set."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nmt.data.examples import Example, StoredExamples, save_examples
from nmt.data.word_counts import (
    count_source_words,
    counted_words,
    load_word_counts,
    rarest_count,
    save_word_counts,
)
from nmt.errors import DataError


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Don't go, DON’T!", "dont go dont"),
        ("A well-known “USB” cable — 3.5 m?", "a wellknown usb cable 3 5 m"),
        ("कुत्रा मांजर पाहतो.", "कुत्रा मांजर पाहतो"),
        ("র‍্যাব", "র্যাব"),  # the joiner changes how a word looks, not which word it is
        ("Straße ﬁnden", "strasse finden"),
        ("나는 학교에 간다.", "나는 학교에 간다"),
        ("我买USB书。", "我 买 usb 书"),
        ("猫が好き2匹", "猫 が 好 き 2 匹"),
        ("ไปที่นี่", "ไ ป ที่ นี่"),  # marks stay with their letter
        ("?! …", ""),
        ("", ""),
        ("\u200d", ""),
    ],
)
def test_words_are_folded_and_without_punctuation(text, expected):
    assert counted_words(text) == expected.split()


@given(st.lists(st.text(st.sampled_from("aB'-’.， 我で\u0e17\u0e35\u093e\u200d3"), max_size=12), min_size=1))
def test_a_text_has_the_words_of_its_parts_between_spaces(texts):
    assert counted_words(" ".join(texts)) == [word for text in texts for word in counted_words(text)]


TRAIN = ["The dog sees the cat.", "The dog sees the cat.", "A dog's house", "?!", "THE END"]


def stored(path, sources=TRAIN):
    save_examples(path, [Example(source, (f"t{i}",), ("",)) for i, source in enumerate(sources)])
    return StoredExamples(path, len(sources), frozenset({4}))


def test_occurrences_are_counted_in_every_pair_of_the_set(tmp_path):
    counts = count_source_words(stored(tmp_path / "train.jsonl"), len(TRAIN))
    assert counts == {"the": 4, "dog": 2, "sees": 2, "cat": 2, "a": 1, "dogs": 1, "house": 1}
    assert rarest_count("The DOG sees.", counts) == 2
    assert rarest_count("The house sees the dog", counts) == 1
    assert rarest_count("the end", counts) == 0  # a pair that was left out is not in the set
    assert rarest_count("?!", counts) is None


def test_chunks_add_up(tmp_path):
    sources = [f"word{i % 7} Word{i % 11} of {i}" for i in range(40_000)]  # in two processes
    save_examples(tmp_path / "t", [Example(source, ("t",), ("",)) for source in sources])
    for lines in (40_000, 30_001, 5):  # those after it are of further corpora
        found = count_source_words(StoredExamples(tmp_path / "t", len(sources)), lines, workers=2)
        assert found == Counter(word.lower() for source in sources[:lines] for word in source.split())


def test_the_file(tmp_path):
    counts = {"b": 2, "कुत्रा": 70, "a": 2}
    save_word_counts(tmp_path / "words.tsv", counts)
    assert (tmp_path / "words.tsv").read_text(encoding="utf-8") == "कुत्रा\t70\na\t2\nb\t2\n"
    assert load_word_counts(tmp_path / "words.tsv") == counts


@pytest.mark.parametrize("content", [b"a\t1\nb", b"a\tx\n", b"\xff\t1\n", b"a\t1\t2\n"])
def test_a_corrupt_file_is_named(tmp_path, content):
    path = tmp_path / "words.tsv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=rf"^{path}, line \d: missing or corrupt"):
        load_word_counts(path)
