"""`nmt.Translator` with untrained models: what must hold for any weights."""

import json
import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from itertools import chain, pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import ENGLISH, TINY, tiny_model, with_decoder

import nmt
from nmt.config.decoding import DecodingConfig, MbrConfig, SamplingConfig
from nmt.data.text import clean, word_spans
from nmt.data.tokenizer import EOS
from nmt.decoding.constraints.alternatives import next_word
from nmt.decoding.constraints.builder import ConstraintBuilder
from nmt.decoding.constraints.pieces import Pieces
from nmt.decoding.constraints.request import ConstraintRequest
from nmt.decoding.torch_model import TorchModel
from nmt.decoding.translator import Translator as SearchTranslator
from nmt.errors import ConfigError
from nmt.evaluation.confidence import UNCALIBRATED
from nmt.library.collecting import Finishing
from nmt.library.joining import joined
from nmt.library.loaded import Loaded
from nmt.library.options import OptionError, TranslationOptions
from nmt.library.settling import settled
from nmt.library.translated import FLAGS, Translation

DECODING = DecodingConfig(beam_size=3, max_length_factor=1.0, max_length_extra=4, max_length=32)
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
    asked = [(ENGLISH[i % 5], {"beam_size": 1 + i % 3, "attention": i % 2 == 0}) for i in range(20)]
    expected = [translator.translate([text], **options)[0] for text, options in asked]
    order = list(range(len(asked)))
    random.Random(1).shuffle(order)
    with ThreadPoolExecutor(4) as pool:
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
        TranslationOptions(sample=True, seed=4, nbest=2, top_k=9, attention=True),
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
        ({"sample": True, "beam_size": 2}, "beam_size: has no effect with sample=True"),
        ({"mbr": "nbest", "beam_size": 2}, "beam_size: has no effect with mbr='nbest'"),
        ({"mbr": "samples", "exact": True}, "exact: has no effect with mbr='samples'"),
        ({"mbr": "nbest", "top_k": 2}, "top_k: has no effect without sample=True"),
        ({"mbr": "nbest", "sample": True}, "mbr: has no effect with sample=True"),
        ({"mbr_size": 3}, "mbr_size: has no effect without mbr"),
        ({"mbr": "best"}, "mbr=best: choose one of nbest, samples"),
        ({"sample": True, "top_p": 0.0}, "top_p=0.0: must be above 0"),
        ({"sample": True, "temperature": 0}, "temperature=0: must be at least 1e-06"),
        ({"sample": True, "temperature": 1e308}, "temperature=1e+308: must be at most 1e+06"),
        ({"min_length": 2**63}, "min_length=9223372036854775808: must be at most 1e+06"),
        ({"length_penalty": 10**400}, "length_penalty=1000"),
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
    drawn = TranslationOptions(sample=True, top_p=0.5).decoding(own)
    assert drawn == replace(own, method="sample", sampling=SamplingConfig(top_p=0.5))
    ranked = TranslationOptions(mbr="nbest", nbest=20).decoding(own)
    assert ranked == replace(own, beam_size=20, method="mbr", mbr=MbrConfig("nbest", 20))
    assert TranslationOptions(exact=True, max_length=3).decoding(own) == replace(
        own, lookahead=None, max_length=3
    )


# ---------------------------------------------------------------- streaming and batches


@pytest.mark.parametrize("beam_size", [1, 3])
def test_a_stream_is_the_translation(translator, beam_size):
    for text in (*ENGLISH, DOCUMENT, "the dog " * 30, "", " \n"):
        pieces = list(translator.stream(text, beam_size=beam_size))
        (one,) = translator.translate([text], beam_size=beam_size)
        assert "".join(pieces) == one.text
        assert all(pieces)
    assert len(list(translator.stream(ENGLISH[4], beam_size=1))) > 3
    with pytest.raises(ConfigError, match="forbidden"):
        list(translator.stream("a", required=["घर"], forbidden=["घर"]))


def test_a_stream_with_what_is_kept(translator):
    """Also where the model reads a placeholder instead."""
    for text in ("See https://example.org/a?b=1 now.", "He has 42 dogs 😀."):
        asked = {"keep": ["url", "number", "emoji"], "beam_size": 3}
        (one,) = translator.translate([text], **asked)
        assert "".join(translator.stream(text, **asked)) == one.text


def test_a_stream_with_forbidden_phrases_begins_before_the_end(translator):
    """As soon as without, if they do not come up; and where the first word is one of them."""
    asked = {"beam_size": 1, "max_length": 30}
    usual = list(translator.stream(ENGLISH[4], **asked))
    assert list(translator.stream(ENGLISH[4], forbidden=["झेब्रा"], **asked)) == usual
    first = "".join(usual).split()[0]
    pieces = list(translator.stream(ENGLISH[4], forbidden=[first], **asked))
    assert len(pieces) > 3
    assert "".join(pieces) == translator.translate([ENGLISH[4]], forbidden=[first], **asked)[0].text


def test_a_long_document_streams_in_order(translator):
    """Whatever order its segments are searched in."""
    for reverse, fewest in ((False, 2), (True, 1)):
        text = "\n".join(sorted(ENGLISH, key=len, reverse=reverse))
        pieces = list(translator.stream(text, beam_size=2))
        assert "".join(pieces) == translator.translate([text], beam_size=2)[0].text
        assert len(pieces) >= fewest


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_what_is_settled_stays(tokenizers, data):
    """Whatever tokens follow: bytes, marks that compose, spaces."""
    target = tokenizers[1]
    odd = [target.encode(character)[1:] for character in "\u093c\u0301\u200d\u11a8\ufeffe\u1112क "]
    units = [*([token] for token in range(4, len(target))), *odd * 60]
    tokens = [*chain.from_iterable(data.draw(st.lists(st.sampled_from(units), max_size=8)))]
    before = ""
    for count in range(len(tokens) + 1):
        shown = settled(target, tokens[:count])
        assert shown.startswith(before)
        before = shown
    assert clean(target.decode(tokens)).startswith(before)


@pytest.mark.parametrize("options", [{}, {"required": ["घर"]}, {"max_length": 2}])
def test_samples_are_text(translator, options):
    """Also of a model for which all bytes are equally probable."""
    (one,) = translator.translate(["The dog."], sample=True, nbest=20, temperature=1e6, **options)
    assert not any("\ufffd" in found.text for found in (one, *one.alternatives))


def test_a_batch_of_several_users(translator):
    """Errors and cancelling concern one text; the others are translated as if alone."""
    impossible = TranslationOptions(required=["घर"], forbidden=["घर"])
    long = TranslationOptions(prefix="a\nb")
    options = [TranslationOptions(), impossible, TranslationOptions(), long, TranslationOptions(nbest=2)]
    asked: list[int] = []
    pieces: list[str] = []
    ended: list[int] = []

    def cancelled(index: int) -> bool:
        asked.append(index)
        return index == 2 and asked.count(2) > 1

    outcomes = translator.translate_batch(
        ENGLISH,
        options,
        cancelled=cancelled,
        streamed=[0],
        report=lambda index, piece: pieces.append(piece),
        finished=lambda index, outcome: ended.append(index),
    )
    assert [type(one).__name__ for one in outcomes] == [
        "Translation",
        "ConfigError",
        "NoneType",
        "ConfigError",
        "Translation",
    ]
    for index in (0, 4):
        (alone,) = translator.translate([ENGLISH[index]], options[index])
        assert outcomes[index].text == alone.text
        assert outcomes[index].score == pytest.approx(alone.score, abs=1e-5)
    assert "".join(pieces) == outcomes[0].text
    assert sorted(ended) == [0, 1, 3, 4]
    assert asked.count(2) == 3  # twice in the search, and when it has left it
    with pytest.raises(ConfigError, match="prefix: has more lines than the text"):
        translator.translate(["x"], prefix="a\nb")


# ---------------------------------------------------------------- prefixes


def test_a_prefix_of_a_document(translator):
    """Cut anywhere, also after earlier lines were changed."""
    text = f"{ENGLISH[0]}\n\n{ENGLISH[2]} {ENGLISH[3]}"
    for whole in (translator.translate([text])[0].text, "घर\n\nकुत्रा मांजर. तो"):
        for cut in range(0, len(whole) + 1, 7):
            (one,) = translator.translate([text], prefix=whole[:cut], beam_size=1, max_length=90)
            assert one.text.startswith(whole[:cut].rstrip())
            assert one.text.count("\n") == 2


def test_a_prefix_of_a_line_in_parts(tokenizers):
    translator = make(tokenizers, limit=12)
    text = "The dog sees. A cat sees. Where is my house?"
    (one,) = translator.translate([text], prefix="घर आहे. कुत्रा")
    assert one.text.startswith("घर आहे. कुत्रा")
    assert [part.source.text for part in one.segments] == text.replace(". ", ".\n").split("\n")
    assert one.segments[0].text == "घर आहे."


def test_alternatives_differ_in_the_next_word(translator):
    for prefix in ("", "घर ", "कुत्रा मांज"):
        found = translator.alternatives(ENGLISH[0], prefix, count=3)
        assert len(found) == 3
        assert all(one.text.startswith(prefix.rstrip()) for one in found)
        assert len({next_word(one.text, prefix) for one in found}) == 3
        assert [one.score for one in found] == sorted((one.score for one in found), reverse=True)
    found = translator.alternatives(f" {ENGLISH[1]}\n{ENGLISH[0]}", "घर\nकुत्", count=3)
    assert all(one.text.startswith(" घर\nकुत्") for one in found)
    assert len({one.text for one in found}) == 3


def test_alternatives_have_what_is_asked_of_them(translator):
    first = translator.alternatives(ENGLISH[0], "घर ", count=2)
    bad = next_word(first[0].text, "घर ")
    found = translator.alternatives(ENGLISH[0], "घर ", count=2, forbidden=[bad.strip()], required=["गाव"])
    assert found
    assert all("गाव" in one.text and bad.strip() not in one.text.split() for one in found)


def test_alternatives_can_be_given_up(translator):
    asked = []

    def cancelled():
        asked.append(None)
        return len(asked) > 2

    assert translator.alternatives(ENGLISH[0], "घर ", count=3, cancelled=cancelled) == []
    assert len(asked) <= 5  # no search was begun again


def test_a_term_may_have_a_list_of_translations(translator):
    for targets in (["गाव", "घर"], ("गाव", "घर")):
        (one,) = translator.translate(["the house"], glossary={"house": targets})
        assert {"गाव", "घर"} & {word.text for word in one.words}


def test_a_thread_has_its_share_of_the_processors(tokenizers):
    shares = []
    loaded = replace(make(tokenizers)._systems[0], share_threads=shares.append)
    translator = nmt.Translator(loaded)
    translator.share_threads(2)
    assert shares == [2]


def test_phrases_in_a_document(translator):
    """Required ones somewhere in it, forbidden ones nowhere, and terms where their source is."""
    (plain,) = translator.translate([DOCUMENT])
    bad = plain.words[0].text
    (one,) = translator.translate([DOCUMENT], required=["घर"], forbidden=[bad], glossary={"house": "गाव"})
    words = [word.text for word in one.words]
    assert "घर" in words
    assert bad not in words
    assert "गाव" in [word for word in words if one.text.index(word) > one.text.index("\n")]


@pytest.mark.parametrize("asked", [{"keep": ["number"]}, {"forbidden": ["घर"]}, {"no_repeat_ngram": 11}])
def test_what_meets_a_constraint_anyway_is_as_without(translator, asked):
    """The best translation if it meets it; of n best, those that do come first, then others that do."""
    target, kept = translator._systems[0].finishing.target, 0
    builder = ConstraintBuilder(Pieces(target), ConstraintRequest(**asked))
    for text in (*ENGLISH[:2], "The 3 dogs see 20 cats."):
        built = builder.build(text, 12, 100)
        options = TranslationOptions(beam_size=3, nbest=3, max_length=None if "3" in text else 12)
        (free,) = translator.translate([text], options)
        (found,) = translator.translate([text], options, **asked)
        if built.is_met_by(ids(free)):
            before = [one.text for one in (free, *free.alternatives) if built.is_met_by(ids(one))]
            assert [one.text for one in (found, *found.alternatives)][: len(before)] == before
            kept += 1
        assert all(built.is_met_by(ids(one)) for one in (found, *found.alternatives))
        (one,) = translator.translate([text], options, nbest=1, **asked)
        assert one.text == found.text
        assert "".join(translator.stream(text, options, nbest=1, **asked)) == one.text
    assert kept


def ids(translation) -> list[int]:
    return translation.segments[0].target.ids


def test_the_beam_as_a_tree(translator):
    (one,) = translator.translate([ENGLISH[0]], tree=True, nbest=2)
    nodes = one.to_dict()["tree"]["nodes"]
    assert nodes[0] == {"id": 0, "parent": None, "text": "", "log_probability": 0.0, "state": "best"}
    assert all(node["parent"] < node["id"] for node in nodes[1:])
    best = [node for node in nodes if node["state"] == "best"]
    assert "".join(node["text"] for node in best) == one.text
    assert best[-1]["log_probability"] == pytest.approx(one.log_probability, abs=1e-5)
    assert {node["state"] for node in nodes} >= {"best", "kept", "pruned"}
    (plain,) = translator.translate([ENGLISH[0]])
    assert "tree" not in plain.to_dict()


def test_no_repeated_ngrams(translator):
    """As an option, also with others, and as a setting of the run."""
    for options in ({}, {"forbidden": ["घर"]}, {"beam_size": 1}):
        for one in translator.translate(ENGLISH, no_repeat_ngram=2, **options):
            pieces = [token.piece for token in one.tokens]
            pairs = list(pairwise(pieces))
            assert len(set(pairs)) == len(pairs)
    found = translator._systems[0].make(replace(DECODING, no_repeat_ngram=2)).translate(ENGLISH)
    assert [best[0].text for best in found] == [
        one.text for one in translator.translate(ENGLISH, no_repeat_ngram=2)
    ]
