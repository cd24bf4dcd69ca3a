"""`nmt.Translator` with untrained models: what must hold for any weights."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import ENGLISH, TINY, tiny_model, with_decoder

import nmt
from nmt.config.decoding import DecodingConfig
from nmt.data.text import word_spans
from nmt.data.tokenizer import EOS
from nmt.decoding.torch_model import TorchModel
from nmt.decoding.translator import Translator as SearchTranslator
from nmt.errors import ConfigError
from nmt.evaluation.confidence import UNCALIBRATED
from nmt.library.collecting import Finishing
from nmt.library.joining import joined
from nmt.library.loading import Loaded
from nmt.library.options import OptionError, TranslationOptions
from nmt.library.translated import FLAGS, Translation

DECODING = DecodingConfig(beam_size=3, max_length_factor=2.0, max_length_extra=4)
STYLES = {"bahdanau": TINY, "vector": with_decoder(TINY, style="vector")}
DOCUMENT = "  The dog sees the cat. \r\n\n\tDon't go to the house!\n"


def make(tokenizers, style="bahdanau", limit=40) -> nmt.Translator:
    source, target = tokenizers
    model = tiny_model(len(source), len(target), STYLES[style], seed=3)
    model.vocabulary.bias.data[EOS] += 1.2  # so that some translations finish with EOS
    model = TorchModel(model)
    loaded = Loaded(
        name="tiny",
        make=lambda config: SearchTranslator(model, source, target, config),
        decoding=DECODING,
        source=source,
        heads=model.heads,
        finishing=Finishing(target, UNCALIBRATED),
        limit=limit,
        languages=None,
    )
    return nmt.Translator(loaded)


@pytest.fixture(scope="module")
def translator(tokenizers):
    return make(tokenizers)


def check(one: Translation, heads: int, attention: bool) -> None:
    """Check properties that hold for every translation."""
    assert json.loads(json.dumps(one.to_dict()))["text"] == one.text
    assert one.text.count("\n") == one.source.count("\n")
    assert 0 <= one.confidence <= 1
    assert set(one.flags) <= FLAGS.keys()
    for word in one.words:
        assert one.text[word.start : word.end] == word.text
        assert 0 <= word.confidence <= 1
    assert [word.text for word in one.words] == [one.text[a:b] for a, b in word_spans(one.text)]
    for token in one.tokens:
        assert 0 <= token.start <= token.end <= len(one.text)
        assert token.log_probability <= 0
    logs = [log for part in one.segments for log in part.log_probabilities]
    assert sum(logs) == pytest.approx(one.log_probability, abs=1e-5)
    if attention and heads and one.segments:
        shape = len(one.words), len(one.source_words)
        assert one.attention.shape == shape
        assert (one.attention.sum(axis=1) <= 1 + 1e-5).all()
        assert one.coverage == pytest.approx(one.attention.sum(axis=0))
    else:
        assert one.attention is one.coverage is None


# ---------------------------------------------------------------- translations


@pytest.mark.parametrize("style", STYLES)
def test_texts_and_documents(tokenizers, style):
    translator = make(tokenizers, style)
    texts = [*ENGLISH, "", " \n", DOCUMENT, "the dog " * 60, "e\u0301\u00ad \x00"]
    found = translator.translate(texts, attention=True, nbest=2)
    assert [one.source for one in found] == texts
    for text, one in zip(texts, found, strict=True):
        check(one, translator.heads, attention=True)
        (alone,) = translator.translate([text], nbest=2)
        assert (alone.text, alone.flags) == (one.text, one.flags)  # whatever else was in the batch
        for other in one.alternatives:
            check(other, translator.heads, attention=True)
    assert len({one.text for one in found}) > 4
    for one in found[:5]:
        assert len(one.alternatives) == 1
    for one in found[5:7]:
        assert (one.text, one.words, one.flags, one.alternatives) == (one.source, (), (), ())
    assert "split" in found[8].flags
    assert "split" not in found[7].flags


def test_a_document_is_its_lines(translator):
    """With the white space around them."""
    (document,) = translator.translate([DOCUMENT], attention=True)
    first, second = translator.translate([ENGLISH[0], ENGLISH[2]], attention=True)
    assert document.text == f"  {first.text} \r\n\n\t{second.text}\n"
    assert document.score == pytest.approx(first.score + second.score)
    (rows, columns), whole = first.attention.shape, document.attention
    assert whole[:rows, :columns] == pytest.approx(first.attention)
    assert whole[rows:, columns:] == pytest.approx(second.attention)
    assert not whole[:rows, columns:].any()
    assert not whole[rows:, :columns].any()
    confidence = [(first.confidence, len(first.tokens) + 1), (second.confidence, len(second.tokens) + 1)]
    expected = sum(value * count for value, count in confidence) / sum(count for _, count in confidence)
    assert document.confidence == pytest.approx(expected)


def test_the_n_best_of_a_document_are_the_best_combinations(translator):
    (document,) = translator.translate([DOCUMENT], nbest=4)
    parts = translator.translate([ENGLISH[0], ENGLISH[2]], nbest=4)
    choices = [[one, *one.alternatives] for one in parts]
    every = sorted((a.score + b.score for a in choices[0] for b in choices[1]), reverse=True)
    assert [one.score for one in (document, *document.alternatives)] == pytest.approx(every[:4])


def test_the_words_of_a_source_are_where_they_were_written(translator):
    text = "\ufeff The  do\u00adg\tsees cafe\u0301s.\n Yes "
    (one,) = translator.translate([text])
    assert [word.text for word in one.source_words] == ["The", "dog", "sees", "cafés", ".", "Yes"]
    assert [text[word.start : word.end] for word in one.source_words] == [
        "The",
        "do\u00adg",
        "sees",
        "cafe\u0301s",
        ".",
        "Yes",
    ]


def test_segments_as_one(translator):
    """For attention files: rows sum to 1, with one column for all ends-of-sentence."""
    for text in ("", *ENGLISH[:2], DOCUMENT, "the dog " * 60):
        (one,) = translator.translate([text], attention=True)
        whole = joined(one.segments, translator.heads)
        assert whole.attention.shape == (1, len(whole.target_pieces()), len(whole.source_pieces()))
        assert whole.attention.sum(axis=2) == pytest.approx(1, abs=1e-5)
        assert len(whole.log_probabilities) == len(whole.target_pieces())
        assert whole.target.text.split() == " ".join(part.target.text for part in one.segments).split()
        whole.words()


@settings(max_examples=20, deadline=None)
@given(st.text(max_size=30))
def test_any_text(translator, text):
    (one,) = translator.translate([text], attention=True, beam_size=1, max_length=12)
    check(one, translator.heads, attention=True)


def test_half_a_surrogate_pair(translator):
    for text in ("a\ud800b", "a\ud800b " * 30):
        (one,) = translator.translate([text], beam_size=1, max_length=8)
        assert one.segments[0].source.text.startswith("a\ufffdb")


def test_several_threads(translator):
    """The same results as one after the other."""
    asked = [(ENGLISH[i % 5], {"beam_size": 1 + i % 3, "attention": i % 2 == 0}) for i in range(30)]
    expected = [translator.translate([text], **options)[0] for text, options in asked]
    order = list(range(len(asked)))
    random.Random(1).shuffle(order)
    with ThreadPoolExecutor(8) as pool:
        jobs = {i: pool.submit(translator.translate, [asked[i][0]], **asked[i][1]) for i in order}
    for i, one in enumerate(expected):
        (found,) = jobs[i].result()
        assert found == one
        assert (found.attention is None) == (one.attention is None)
        assert one.attention is None or np.array_equal(found.attention, one.attention)


# ---------------------------------------------------------------- options


def test_options_of_each_text(translator):
    options = [
        TranslationOptions(),
        TranslationOptions(nbest=3),
        TranslationOptions(beam_size=1),
        TranslationOptions(sample=True, seed=4),
        TranslationOptions(attention=True, max_length=3),
    ]
    found = translator.translate(ENGLISH, options)
    for text, own, one in zip(ENGLISH, options, found, strict=True):
        (alone,) = translator.translate([text], own)
        assert alone.text == one.text
        assert len(one.alternatives) == own.nbest - 1
    assert found[4].attention is not None
    assert len(found[4].tokens) <= 3


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"nbest": 0}, "nbest=0: must be at least 1"),
        ({"beam_size": True}, "beam_size: must be a whole number or None, not bool"),
        ({"beam_size": "5"}, "beam_size: must be a whole number or None, not str"),
        ({"beem_size": 5}, "beem_size: no such option; choose from nbest, beam_size"),
        ({"length_penalty": float("inf")}, "length_penalty=inf: must be a finite number"),
        ({"required": "word"}, "required: must be a list or a tuple, not str"),
        ({"required": [3]}, "required: must be texts, not int"),
        ({"forbidden": [" "]}, "forbidden: a phrase is empty"),
        ({"glossary": ["a"]}, "glossary: must be a mapping, not list"),
        ({"glossary": {"a": ""}}, "glossary: a phrase is empty"),
        ({"seed": 1}, "seed: has no effect without sample=True"),
        ({"sample": True, "nbest": 2}, "nbest: has no effect with sample=True"),
        ({"sample": True, "temperature": 0}, "temperature=0: must be at least 1e-06"),
    ],
)
def test_a_wrong_option_is_named(translator, changes, message):
    with pytest.raises(OptionError) as caught:
        translator.translate(["a"], **changes)
    assert str(caught.value).startswith(message)
    assert caught.value.field == message.partition(":")[0].partition("=")[0]


def test_one_text_is_not_a_list(translator):
    with pytest.raises(ConfigError, match="put the text in a list"):
        translator.translate("The dog")


def test_the_options_have_the_settings_of_the_run():
    own = DecodingConfig(beam_size=4, lookahead=7)
    assert TranslationOptions().decoding(own) == own
    assert TranslationOptions(nbest=9).decoding(own) == replace(own, beam_size=9)
    assert TranslationOptions(exact=True, max_length=3).decoding(own) == replace(
        own, lookahead=None, max_length=3
    )
