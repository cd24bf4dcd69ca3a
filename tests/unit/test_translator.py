"""The translator with an untrained model: properties that must hold for any weights."""

import dataclasses
from collections.abc import Callable

import numpy as np
import pytest
import torch
from tiny import ENGLISH, MARATHI, TINY, tiny_model, with_decoder

from nmt.config.data import TokenizerConfig
from nmt.config.decoding import DecodingConfig
from nmt.config.model import AttentionConfig
from nmt.data.text import clean, words
from nmt.data.tokenizer import BOS, EOS, PAD, UNK, Tokenizer, train_tokenizer
from nmt.decoding.result import Translation
from nmt.decoding.torch_model import TorchModel
from nmt.decoding.translator import Translator
from nmt.errors import ConfigError
from nmt.model.translation import TranslationModel

DECODING = DecodingConfig(beam_size=3, max_length_factor=2.0, max_length_extra=4)
TEXTS = ["The dog sees.", "", "Where is my house?", "  \t ", "a", "\x00", *ENGLISH]
STYLES = {
    "bahdanau": TINY,
    "luong": with_decoder(TINY, style="luong"),
    "two-heads": dataclasses.replace(TINY, attention=AttentionConfig(score="general", heads=2)),
    "transformer": with_decoder(TINY, style="transformer", layers=2, heads=3, feedforward=8),
}


@pytest.fixture(params=STYLES)
def model(request, tokenizers) -> TranslationModel:
    source, target = tokenizers
    model = tiny_model(len(source), len(target), STYLES[request.param], seed=3)
    model.vocabulary.bias.data[EOS] += 1.2  # so that some translations finish with EOS
    return model


@pytest.fixture
def configured(model, tokenizers) -> Callable[..., Translator]:
    """A translator with changed settings."""
    return lambda **changes: Translator(
        TorchModel(model), *tokenizers, dataclasses.replace(DECODING, **changes)
    )


@pytest.fixture
def translator(configured) -> Translator:
    return configured()


def check(one: Translation) -> None:
    """Check properties that hold for every translation."""
    assert one.text == clean(one.text)
    assert one.mean_attention.dtype == np.float32
    assert one.mean_attention.shape == (len(one.target_pieces()), len(one.source_pieces()))
    assert len(one.source_pieces()) == len(one.source.ids) + 1
    assert len(one.target_pieces()) == len(one.target.ids) + one.finished
    assert (one.mean_attention >= 0).all()
    assert one.mean_attention.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert one.mean_attention == pytest.approx(one.attention.mean(axis=0), abs=1e-6)
    assert not {PAD, BOS, EOS} & set(one.target.ids)


def test_one_result_a_text_in_order(translator, configured):
    found = translator.translate(TEXTS, attention=True)
    assert len(found) == len(TEXTS)
    for text, (one,) in zip(TEXTS, found, strict=True):
        assert one.source.text == clean(text)
        check(one)
        (alone,) = configured(batch_tokens=1).translate([text], attention=True)
        assert alone[0].target == one.target  # whatever else was in the batch
        assert alone[0].score == pytest.approx(one.score, abs=1e-5)
        assert alone[0].attention == pytest.approx(one.attention, abs=1e-5)
    assert len({one.text for (one,) in found}) > 4  # not only the blank one
    assert translator.translate([]) == []


def test_a_blank_text_has_a_blank_translation(translator):
    for ((one,),) in (
        translator.translate([text], nbest=3, attention=True)
        for text in ("", " \t\n", "\x00", "\ufeff\u00ad")
    ):
        assert (one.text, one.source.ids, one.target.ids) == ("", [], [])
        assert (one.log_probability, one.score) == (0.0, 0.0)
        matrix, source, target = one.words()
        assert (matrix.shape, source, target) == ((0, 1), ["</s>"], [])


@pytest.mark.parametrize(
    "text",
    [
        "word " * 2000,
        "x" * 10_000,
        "😀👩‍👩‍👧 🇮🇳",
        "مرحبا بالعالم",
        "a\x00b",
        "\u2028a\nb\u0085c",
        "▁▁",
        "e\u0301" * 50,
    ],
)
def test_any_text_has_one_result(tokenizers, text):
    source, target = tokenizers
    config = dataclasses.replace(DECODING, beam_size=2, max_length=30)
    translator = Translator(TorchModel(tiny_model(len(source), len(target))), source, target, config)
    (found,) = translator.translate([text], attention=True)
    assert len(found) == 1
    check(found[0])
    assert found[0].source.text == clean(text)
    assert len(found[0].text.splitlines()) <= 1
    found[0].words()


def test_nbest_is_sorted_and_begins_with_the_best(translator):
    many = translator.translate(ENGLISH, nbest=3, attention=True)
    for best, one in zip(many, translator.translate(ENGLISH), strict=True):
        assert len(best) == 3
        assert (best[0].target, best[0].score) == (one[0].target, pytest.approx(one[0].score))
        assert len({(*item.target.ids, item.finished) for item in best}) == 3
        ended = [item.score for item in best if item.finished]
        assert ended == sorted(ended, reverse=True)
        for item in best:
            check(item)
            assert item.score == pytest.approx(item.log_probability / len(item.target_pieces()))
    with pytest.raises(ConfigError, match="nbest=4"):
        translator.translate(["a"], nbest=4)


def test_length_limit(translator, model, configured):
    model.vocabulary.bias.data[EOS] = -100.0
    for text in ENGLISH:
        S = len(translator.source.encode(clean(text))) + 1
        for changes, most in (
            ({}, 2 * S + 4),
            ({"max_length": 7}, 7),
            ({"max_length_factor": 0.5}, S // 2 + 4),
        ):
            ((one,),) = configured(lookahead=None, **changes).translate([text], attention=True)
            assert (len(one.target.ids), one.finished) == (most, False)
            check(one)


def test_a_search_whose_hypotheses_repeat_themselves_stops(translator, model, configured):
    model.vocabulary.bias.data[EOS] = -100.0
    text, changes = ENGLISH[0], {"max_length_factor": 20.0}
    S = len(translator.source.encode(clean(text))) + 1
    ((one,),) = configured(**changes).translate([text])
    ((exact,),) = configured(lookahead=None, **changes).translate([text])
    assert S + 20 < len(one.target.ids) < len(exact.target.ids) == 20 * S + 4
    assert not one.finished
    alone = configured(**changes).translate([*ENGLISH[1:], text])[-1][0]
    assert alone.target.ids == one.target.ids


def test_padding_and_begin_of_sentence_are_never_found(model, configured):
    model.vocabulary.bias.data[[PAD, BOS]] = 50.0
    for beam_size in (1, 3):
        for (one,) in configured(beam_size=beam_size).translate(ENGLISH, attention=True):
            check(one)


# ---------------------------------------------------------------- forced decoding


@pytest.mark.parametrize("style", STYLES)
def test_search_agrees_with_forcing(tokenizers, style):
    """Step-by-step search and one parallel pass give the same probability and the same attention.

    With a word-level vocabulary, so that a translation is tokenized into the same tokens again.
    """
    source, _ = tokenizers
    words_config = TokenizerConfig(kind="word", vocab_size=40, byte_fallback=False)
    target = Tokenizer(train_tokenizer(MARATHI, words_config, "data.tokenizer"))
    model = tiny_model(len(source), len(target), STYLES[style])
    model.vocabulary.bias.data[UNK] = -100.0
    model.vocabulary.bias.data[EOS] += 1.0
    translator = Translator(TorchModel(model), source, target, DECODING)
    found = [one for best in translator.translate(ENGLISH, nbest=3, attention=True) for one in best]
    found = [one for one in found if one.finished and one.text]
    assert len(found) >= 8
    forced = translator.align([one.source.text for one in found], [one.text for one in found], True)
    for one, again in zip(found, forced, strict=True):
        assert again.target == one.target
        assert again.mean_attention == pytest.approx(one.mean_attention, abs=1e-5)
        assert again.log_probability == pytest.approx(one.log_probability, abs=1e-4)
        assert again.score == pytest.approx(one.score, abs=1e-5)


@torch.no_grad()
def test_forced_probability_is_the_sum_over_the_steps(translator, model):
    source, target = "The dog sees.", "कुत्रा पाहतो."
    (forced,) = translator.align([source], [target], attention=True)
    check(forced)
    assert forced.finished
    assert forced.text == target
    ids = translator.target.encode(target)
    tokens = torch.tensor([[*translator.source.encode(source), EOS]])
    state, memory = model.encode(tokens, torch.ones_like(tokens, dtype=torch.bool))
    total, rows = 0.0, []
    for read, written in zip([BOS, *ids], [*ids, EOS], strict=True):
        predicted, state, row = model.step(torch.tensor([read]), state, memory)
        total += float(predicted[0, written])
        rows.append(row[0].numpy())  # [K, S]
    assert forced.log_probability == pytest.approx(total, abs=1e-4)
    assert forced.score == pytest.approx(total / (len(ids) + 1), abs=1e-4)
    assert forced.attention == pytest.approx(np.stack(rows, axis=1), abs=1e-5)


def test_forcing_keeps_the_order_in_batches_of_any_size(translator, configured):
    targets = ["घर", "कुत्रा मांजर पाहतो.", "तो", "माझे घर कुठे आहे?", "मांजर"]
    together = translator.align(ENGLISH, targets, attention=True)
    apart = configured(batch_tokens=1).align(ENGLISH, targets, attention=True)
    for one, other, source, target in zip(together, apart, ENGLISH, targets, strict=True):
        assert (one.source.text, one.target.text) == (source, target)
        assert one.log_probability == pytest.approx(other.log_probability, abs=1e-4)
        assert one.attention == pytest.approx(other.attention, abs=1e-5)
    assert translator.align([], []) == []


# ---------------------------------------------------------------- words


def test_words_of_a_forced_pair(translator):
    """Labels are words; a row is the mean of its subwords' rows, a column the sum of its subwords'."""
    source, target = "The dog is well-known.", "कुत्रा प्रसिद्ध आहे."
    (forced,) = translator.align([source], [target], attention=True)
    matrix, columns, rows = forced.words()
    assert columns == ["The", "dog", "is", "well-known", ".", "</s>"] == [*words(source), "</s>"]
    assert rows == [*words(target), "</s>"]
    assert matrix.shape == (5, 6)
    assert matrix.sum(axis=1) == pytest.approx(1, abs=1e-5)
    assert matrix[-1, -1] == pytest.approx(forced.mean_attention[-1, -1])
    ends = [offset.end for offset in forced.source.offsets]
    if 3 in ends:  # "The" ends at a subword boundary: its column is the sum of its subwords
        pieces = ends.index(3) + 1
        assert matrix[-1, 0] == pytest.approx(forced.mean_attention[-1, :pieces].sum(), abs=1e-6)


def test_words_of_whatever_is_found(translator):
    for best in translator.translate(TEXTS, nbest=3, attention=True):
        for one in best:
            matrix, columns, rows = one.words()
            assert matrix.shape == (len(rows), len(columns))
            assert columns == [*words(one.source.text), "</s>"]
            assert rows == words(one.target.text) + ["</s>"] * one.finished
            sums = matrix.sum(axis=1)
            assert (np.isclose(sums, 1, atol=1e-5) | (sums == 0)).all()


# ---------------------------------------------------------------- attention on request


def test_attention_only_for_the_texts_named(translator):
    """It is theirs; translations and scores are the same without it."""
    everything = translator.translate(TEXTS, nbest=2, attention=True)
    for wanted in (False, [2], range(4), [0, 1, 5, 6]):
        named = [] if wanted is False else wanted
        found = translator.translate(TEXTS, nbest=2, attention=wanted)
        for i, (some, full) in enumerate(zip(found, everything, strict=True)):
            for one, other in zip(some, full, strict=True):
                assert (one.attention is not None) == one.has_attention == (i in named)
                assert one.attention is None or np.array_equal(one.attention, other.attention)
                assert dataclasses.replace(one, attention=None) == dataclasses.replace(other, attention=None)


def test_forcing_without_attention(translator):
    pair = ["The dog sees."], ["घर"]
    (one,), (other,) = translator.align(*pair), translator.align(*pair, attention=True)
    assert one.attention is None
    assert dataclasses.replace(other, attention=None) == one


def test_attention_that_was_not_asked_for_is_not_zero(translator):
    ((one,),) = translator.translate(ENGLISH[:1])
    for read in (lambda: one.mean_attention, one.words, one.links):
        with pytest.raises(AssertionError, match="without attention"):
            read()


def test_a_model_without_attention_translates_without(tokenizers):
    source, target = tokenizers
    model = tiny_model(len(source), len(target), with_decoder(TINY, style="vector"))
    translator = Translator(TorchModel(model), source, target, DECODING)
    assert translator.heads == 0
    ((one,),) = translator.translate(ENGLISH[:1], attention=True)
    (forced,) = translator.align(ENGLISH[:1], MARATHI[:1], attention=True)
    for found in (one, forced):
        assert not found.has_attention
        assert found.attention.shape == (0, len(found.target_pieces()), len(found.source_pieces()))
        assert found.mean_attention.shape == found.attention.shape[1:]
        assert (found.mean_attention == 0).all()
