"""No text takes much longer than others of its length, however odd it is."""

import random
import time
import unicodedata
from dataclasses import replace

import pytest
from test_library import ENGLISH, make

import nmt
from nmt.data.messages import sentence_pair
from nmt.data.text import canonical_key, clean
from nmt.decoding.constraints.kept import find_addresses
from nmt.decoding.repeating import repeats
from nmt.library import searching
from nmt.library.assembling import best_combinations
from nmt.library.segments import segment, sentence_end
from nmt.library.unknown import nothing_unknown, unknown_text

N = 30_000
ODD = {
    "letter": "a" * N,
    "dots": "." * N,
    "initials": "a. b. " * (N // 6),
    "pictures": "🍕" * (N // 4),
    "marks": "e" + "\u0301\u0316" * (N // 2),
    "vowels": "\u0f73" * N,
}


@pytest.mark.parametrize("kind", ODD)
def test_the_time_is_linear_in_the_length(tokenizers, kind):
    text = ODD[kind]
    start = time.process_time()
    segment(text, tokenizers[0], 50)
    sentence_end(text)
    find_addresses(text, ("url", "email"))
    sentence_pair(text, "_File")
    canonical_key(text)
    assert time.process_time() - start < 4  # quadratic: much longer


@pytest.mark.parametrize("text", ["e\u0301\u0316", "\u0344\u0f73\u0316", "\u09c7\u09be", "\u1100\u1161"])
def test_many_marks_are_normalised_as_few(text):
    long = (text + "\u0301\u0316" * 40) * 20
    assert clean(long) == unicodedata.normalize("NFC", long)


# ---------------------------------------------------------------- what is searched, and how long


def test_equal_segments_are_searched_once(tokenizers, monkeypatch):
    translator, sizes = make(tokenizers), []
    run = searching._run

    def counted(translator, jobs, batch, *others):
        sizes.append(len(batch))
        return run(translator, jobs, batch, *others)

    monkeypatch.setattr(searching, "_run", counted)
    texts = [ENGLISH[0], ENGLISH[1], ENGLISH[0], f"{ENGLISH[1]}\n{ENGLISH[0]}"]
    found = translator.translate(texts, nbest=2)
    assert sum(sizes) == 2
    assert found[2].text == found[0].text
    assert found[3].text == f"{found[1].text}\n{found[0].text}"
    assert "".join(translator.stream(f"{ENGLISH[0]}\n" * 40)) == f"{found[0].text}\n" * 40


def test_a_stream_begins_before_all_is_searched(tokenizers):
    translator = make(tokenizers)
    text = "".join(f"{' '.join(random.Random(seed).sample(ENGLISH[0].split(), 3))}\n" for seed in range(60))
    pieces = list(translator.stream(text))
    assert len(pieces) > 3
    assert "".join(pieces) == translator.translate([text])[0].text


def test_the_best_combinations_of_many_segments(tokenizers):
    lists = [list(one.segments) for one in make(tokenizers).translate(ENGLISH[:2])] * 2000
    start = time.process_time()
    (chosen,) = best_combinations(lists, 5)
    assert chosen == tuple(one[0] for one in lists)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("tokens", "expected"),
    [
        ([1] * 30, True),
        ([1, 2, 3] * 10, True),
        ([1, 2, 3, 1, 2, 4] * 6, True),
        (list(range(30)), False),
        ([*range(25), 1, 1, 1, 1, 1], False),
        ([*range(20)] * 2, False),  # twice, as in a source that says it twice
    ],
)
def test_what_repeats_itself(tokens, expected):
    assert repeats(tokens) is expected


# ---------------------------------------------------------------- text that a model cannot know


def test_text_in_characters_that_no_model_has_seen_is_copied(tokenizers):
    is_unknown = unknown_text(tokenizers[0], ENGLISH)
    unknown = ["日本語", "日本語 a", "🍕", "→→ 5"]
    assert [*map(is_unknown, unknown)] == [True] * 4
    assert not any(map(is_unknown, [*ENGLISH, "the ❤️", "a日", ""]))
    assert unknown_text(tokenizers[0], ["日本"]) is nothing_unknown
    translator = make(tokenizers)
    system = replace(translator._systems[0], is_unknown=is_unknown)
    copying = nmt.Translator(system)
    found = copying.translate([f"{ENGLISH[0]}\n日本語", *unknown], attention=True, nbest=2)
    assert found[0].text.endswith("\n日本語")
    assert "copy" in found[0].flags
    assert [one.text for one in found[1:]] == unknown
    assert all(one.log_probability < 0 and one.words for one in found)
    assert translator.translate(["日本語"])[0].text != "日本語"
    (asked,) = copying.translate(["日本語"], prefix="अ")
    assert asked.text.startswith("अ")
    (asked,) = copying.translate(["日本語 a"], glossary={"日本語": "घर"})
    assert "घर" in asked.text
    assert "日本" not in copying.translate(["a 日本 语言"], forbidden=["日本"])[0].text
    others = {"forbidden": ["घर"], "glossary": {"cat": "घर"}, "keep": ["number"], "no_repeat_ngram": 3}
    assert [one.text for one in copying.translate(unknown, **others)] == unknown
