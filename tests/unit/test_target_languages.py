"""A model with several target languages: the tag is read before the source, and shown nowhere."""

import numpy as np
import pytest
import torch
from test_library import DECODING, DOCUMENT, STYLES, make
from tiny import ENGLISH, MARATHI, tiny_model

from nmt.config.data import TokenizerConfig
from nmt.data.target_languages import SourceEncoder
from nmt.data.tokenizer import BOS, EOS, Tokenizer, train_tokenizer
from nmt.decoding.torch_model import TorchModel
from nmt.decoding.translator import Translator
from nmt.errors import ConfigError
from nmt.library.options import TranslationOptions

TAGS = ("<to:mr>", "<to:en>", "<made>")


@pytest.fixture(scope="module")
def both() -> tuple[Tokenizer, Tokenizer]:
    """A source tokenizer with tags, and a target tokenizer."""
    config, texts = TokenizerConfig(vocab_size=330), [*ENGLISH, *MARATHI]
    tagged, plain = (train_tokenizer(texts, config, "", pieces) for pieces in (TAGS, ()))
    return Tokenizer(tagged), Tokenizer(plain)


@pytest.fixture(scope="module", params=STYLES)
def translator(request, both) -> Translator:
    model = tiny_model(*map(len, both), STYLES[request.param], seed=3)
    model.vocabulary.bias.data[EOS] += 1.2
    return Translator(TorchModel(model), *both, DECODING)


def test_the_vocabulary_says_the_languages(both, tokenizers) -> None:
    encode = SourceEncoder(both[0])
    assert encode.targets == ("mr", "en")
    plain = both[0].encode_with_offsets("The dog")
    assert [encode(" The  dog", to).input_ids for to in (None, "mr", "en")] == [
        [both[0].piece_id(tag), *plain.ids] for tag in ("<to:mr>", "<to:mr>", "<to:en>")
    ]
    assert encode("The dog")._replace(tag=None) == plain
    untagged = SourceEncoder(tokenizers[0])
    assert untagged.targets == ()
    assert untagged("The dog").tag is None


def test_capitals_are_read_as_a_sentence(both, tokenizers) -> None:
    tokenizer = tokenizers[0]
    sentence, capitals = (SourceEncoder(tokenizer)(text) for text in (ENGLISH[0], f" {ENGLISH[0].upper()}"))
    assert capitals.text == ENGLISH[0].upper()
    assert capitals._replace(text=ENGLISH[0]) == sentence == tokenizer.encode_with_offsets(ENGLISH[0])
    tagged = SourceEncoder(both[0])("THE DOG", "en")
    assert tagged.input_ids == [both[0].piece_id("<to:en>"), *both[0].encode("The dog")]
    for text in ("The DOG", "the dog", "A", "12 !", "कुत्रा"):
        assert SourceEncoder(tokenizer)(text) == tokenizer.encode_with_offsets(text)


@pytest.mark.parametrize("kind", ["bpe", "unigram", "word", "char"])
def test_capitals_that_the_vocabulary_knows_stay(kind) -> None:
    config = TokenizerConfig(kind=kind, vocab_size=60, byte_fallback=False)
    tokenizer = Tokenizer(
        train_tokenizer(["The USA is a big place", "Where is NATO", "IS IT"] * 9, config, "")
    )
    encode = SourceEncoder(tokenizer)
    for known in ("USA", "NATO", "IS IT"):
        assert encode(known) == tokenizer.encode_with_offsets(known)
    assert encode("THE BIG").ids == tokenizer.encode("The big")


def test_capitals_stay_where_offsets_would_not_be_theirs(tokenizers) -> None:
    """Lower case may have another number of characters."""
    text = "THE DOG SEES THE HOUSE, İN"
    assert len(text.capitalize()) > len(text)
    assert SourceEncoder(tokenizers[0])(text) == tokenizers[0].encode_with_offsets(text)


def test_an_unknown_language_is_refused(both, tokenizers) -> None:
    with pytest.raises(
        ConfigError, match=r"^--to fr: the model does not know .*; choose mr \(the default\) or en"
    ):
        SourceEncoder(both[0]).check("fr", "--to ")
    with pytest.raises(ConfigError, match=r"^to=en: the model translates in one direction; leave it out"):
        SourceEncoder(tokenizers[0])("a", "en")


@torch.no_grad()
def test_the_model_reads_the_tag(translator, both) -> None:
    """By the steps of the model itself."""
    source, target = both
    ids = [source.piece_id("<to:en>"), *source.encode(ENGLISH[0]), EOS]
    (forced,) = translator.align(ENGLISH[:1], MARATHI[:1], attention=True, to="en")
    scores, weights = translator.model.score(
        np.array([ids]),
        np.ones((1, len(ids)), np.bool_),
        np.array([[BOS, *target.encode(MARATHI[0])]]),
        np.array([[*target.encode(MARATHI[0]), EOS]]),
        np.ones((1, len(target.encode(MARATHI[0])) + 1), np.bool_),
        True,
    )
    assert forced.log_probability == pytest.approx(float(scores.sum()), abs=1e-4)
    expected = weights[0, :, :, 1:].copy()
    if translator.heads:
        expected[:, :, -1] += weights[0, :, :, 0]
    assert forced.attention == pytest.approx(expected, abs=1e-6)


def test_the_tag_is_no_word(translator) -> None:
    for to in (None, "en"):
        found = [best[0] for best in translator.translate(ENGLISH, attention=True, to=to)]
        forced = translator.align(ENGLISH, [one.text or "x" for one in found], attention=True, to=to)
        for one, again, text in zip(found, forced, ENGLISH, strict=True):
            assert one.source_pieces() == [*translator.source.encode_with_offsets(text).pieces, "</s>"]
            assert one.source.text == text
            if not translator.heads:
                continue
            for some in (one, again):
                matrix, columns, _ = some.words()
                assert "".join(columns[:-1]) == text.replace(" ", "")
                assert matrix.sum(axis=1) == pytest.approx(1, abs=1e-5)
            if one.finished and one.text and one.target == again.target:
                assert again.attention == pytest.approx(one.attention, abs=1e-5)


def test_a_batch_may_have_several_languages(both) -> None:
    translator = make(both)
    texts = [*ENGLISH, DOCUMENT, ""] * 2
    languages = ["mr"] * len(ENGLISH) + [None, "en"] + ["en"] * (len(ENGLISH) + 2)
    options = [TranslationOptions(to=to) for to in languages]
    together = translator.translate(texts, options)
    apart = [translator.translate([text], own)[0] for text, own in zip(texts, options, strict=True)]
    assert [one.text for one in together] == [one.text for one in apart]
    half = len(texts) // 2
    assert [one.text for one in together[: len(ENGLISH)]] != [
        one.text for one in together[half : half + len(ENGLISH)]
    ]
    assert translator.translate(ENGLISH) == translator.translate(ENGLISH, to="mr")


def test_what_is_asked_of_translations_works_in_every_direction(both) -> None:
    translator = make(both)
    one = translator.translate(ENGLISH[:1], to="en", prefix="घर", attention=True)[0]
    assert one.text.startswith("घर")
    assert one.attention.shape == (len(one.words), len(one.source_words))
    assert translator.translate(ENGLISH[:1], to="en", required=["घर"], beam_size=5)[0].text.count("घर")
    assert (
        "".join(translator.stream(ENGLISH[0], to="en")) == translator.translate(ENGLISH[:1], to="en")[0].text
    )
    found = translator.alternatives(ENGLISH[0], "घर", 3, to="en")
    assert found
    assert all(other.text.startswith("घर") for other in found)


def test_the_library_knows_the_directions(both, tokenizers) -> None:
    translator = make(both)
    assert translator.targets == ("mr", "en")
    with pytest.raises(ConfigError, match=r"^to=fr: the model does not know this language; choose mr"):
        translator.translate(ENGLISH, to="fr")
    good, bad = translator.translate_batch(["a", "b"], [TranslationOptions(), TranslationOptions(to="fr")])
    assert good is not None
    assert isinstance(bad, ConfigError)
    untagged = make(tokenizers)
    assert (untagged.targets, untagged.directions) == ((), ())
    untagged.languages = ("en", "mr")
    assert untagged.directions == (("en", "mr"),)
    with pytest.raises(ConfigError, match="one direction"):
        untagged.translate(ENGLISH, to="mr")
