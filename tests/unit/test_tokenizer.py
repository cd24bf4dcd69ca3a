"""Tokenizers: lossless, correct offsets, deterministic training."""

import functools
import io
from itertools import pairwise
from typing import Any

import pytest
import sentencepiece
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tiny import ENGLISH, MARATHI

from nmt.config.data import TokenizerConfig
from nmt.data.lines import file_lines
from nmt.data.sources.sample import sample_file
from nmt.data.text import clean
from nmt.data.tokenizer import (
    BOS,
    EOS,
    PAD,
    UNK,
    Tokenizer,
    Tokens,
    count_words,
    train_on_words,
    train_tokenizer,
)
from nmt.errors import ConfigError, RunError

KINDS = ("unigram", "bpe", "char", "word")
BYTES = 4  # after the special tokens come the 256 bytes, in order

HARD = [
    "",
    "a",
    "😀 👩\u200d👩\u200d👧 family",
    "مرحبا بالعالم",
    "शेतकर्\u200dयाचे क्\u200cष",
    "<s> </s> <unk> <pad> <0x41>",
    "\u2585 \u2047 \ufffd",
    "_a_ _",
    "日本語テキスト",
    "x" * 3000,
]


@functools.cache
def bundled(side: int) -> list[str]:
    """A side of the bundled corpus: 0 English, 1 Marathi."""
    return [clean(line.split("\t")[side]) for _, line in file_lines(sample_file())]


@functools.cache
def trained(kind: str, side: int = 1, vocab_size: int = 600, byte_fallback: bool = True) -> Tokenizer:
    config = TokenizerConfig(kind=kind, vocab_size=vocab_size, byte_fallback=byte_fallback)
    return Tokenizer(train_tokenizer(bundled(side)[:2000], config, "data.tokenizer"))


def covered(tokens: Tokens) -> str:
    return "".join(tokens.text[start:end] for start, end in tokens.offsets)


def check_offsets(tokens: Tokens) -> None:
    """Every character belongs to just one piece, in order."""
    assert len(tokens.ids) == len(tokens.pieces) == len(tokens.offsets)
    assert covered(tokens) == tokens.text
    assert all(start <= end for start, end in tokens.offsets)
    assert all(one.end == other.start for one, other in pairwise(tokens.offsets))


# ---------------------------------------------------------------- nothing is lost


@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize("kind", KINDS)
def test_every_sentence_comes_back(kind: str, side: int) -> None:
    tokenizer = trained(kind, side)
    for text in bundled(side)[1000:4000] + bundled(1 - side)[:200] + HARD:
        ids = tokenizer.encode(text)
        assert tokenizer.decode(ids) == text
        assert UNK not in ids


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None)
@given(text=st.text(st.characters(exclude_categories=["Cs"])).map(clean))
@example(text="e\u0301\u200d।😀 _ مر")
def test_any_cleaned_text_comes_back(kind: str, text: str) -> None:
    tokenizer = trained(kind)
    tokens = tokenizer.encode_with_offsets(text)
    assert tokens.text == text
    assert tokens.ids == tokenizer.encode(text)
    assert not {PAD, UNK, BOS, EOS} & set(tokens.ids)
    assert tokenizer.decode_with_offsets(tokens.ids) == tokens
    check_offsets(tokens)


def test_without_bytes_what_is_not_known_is_marked() -> None:
    tokenizer = trained("bpe", byte_fallback=False)
    assert tokenizer.decode(tokenizer.encode("मुलगा 😀 आहे.")) == "मुलगा \u2047 आहे."


def test_user_text_is_never_a_special_token() -> None:
    for kind in KINDS:
        assert not {PAD, UNK, BOS, EOS} & set(trained(kind).encode("<pad><unk><s></s>"))


# ---------------------------------------------------------------- where pieces stand


@pytest.mark.parametrize("kind", KINDS)
def test_offsets_follow_the_pieces(kind: str) -> None:
    """Against SentencePiece's own decoding, on sentences without byte pieces."""
    tokenizer = trained(kind, 1, vocab_size=2000)
    for text in bundled(1)[:300]:
        tokens = tokenizer.encode_with_offsets(text)
        check_offsets(tokens)
        for number, (piece, (start, end)) in enumerate(zip(tokens.pieces, tokens.offsets, strict=True)):
            shown = piece.replace("\u2581", " ")
            assert tokens.text[start:end] == (shown.removeprefix(" ") if number == 0 else shown)


def test_a_character_encoded_as_bytes_belongs_to_its_last_byte() -> None:
    tokens = trained("bpe").encode_with_offsets("मी 😀!")
    first = tokens.pieces.index("<0xF0>")
    assert tokens.pieces[first : first + 4] == ["<0xF0>", "<0x9F>", "<0x98>", "<0x80>"]
    assert [tokens.text[start:end] for start, end in tokens.offsets[first : first + 4]] == ["", "", "", "😀"]


# ---------------------------------------------------------------- hypotheses


@settings(deadline=None)
@given(st.lists(st.integers(0, 599) | st.integers(BYTES, BYTES + 255), max_size=30))
@example([BYTES + 0xE0])  # an incomplete character at the end …
@example([BYTES + 0xE0, 400])  # … and before a piece
@example([BYTES + 0xE2, BYTES + 0x96, BYTES + 0x81, 400])  # a space in bytes
@example([BYTES + 0x0A, BYTES + 0x0D, BYTES + 0xC2, BYTES + 0x85])  # line ends
@example([PAD, UNK, BOS, EOS])
@example([])
def test_any_ids_decode_to_a_text(ids: list[int]) -> None:
    tokenizer = trained("bpe")
    tokens = tokenizer.decode_with_offsets(ids)
    assert tokens.ids == ids
    check_offsets(tokens)
    assert tokenizer.decode(ids) == tokens.text
    tokens.text.encode()  # no lone surrogates
    assert len(clean(tokens.text).splitlines()) <= 1  # so a translation is one line


def test_what_breaks_off_or_stands_too_often_is_shown() -> None:
    tokenizer = trained("bpe")
    (word,) = (
        i
        for i in range(BYTES + 256, len(tokenizer))
        if tokenizer.decode_with_offsets([i]).pieces == ["\u2581आहे"]
    )
    tokens = tokenizer.decode_with_offsets([word, BYTES + 0xE0])
    assert tokens.text == "आहे\ufffd"
    assert [tokens.text[start:end] for start, end in tokens.offsets] == ["आहे", "\ufffd"]
    assert tokenizer.decode([BYTES + 0xE0, word]) == "\ufffd आहे"
    assert tokenizer.decode([BYTES + 0xE2, BYTES + 0x96, BYTES + 0x81, word]) == " आहे"  # two spaces


# ---------------------------------------------------------------- sub-word regularisation


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_sentences_give_the_same_bytes(kind: str) -> None:
    config = TokenizerConfig(kind=kind, vocab_size=400)
    one, other = (train_tokenizer(iter(bundled(1)[:1000]), config, "data.tokenizer") for _ in range(2))
    assert one == other
    assert train_tokenizer(bundled(1)[1000:2000], config, "data.tokenizer") != one
    assert Tokenizer(Tokenizer(one).model).model == one


def of_sentences(sentences: list[str], config: TokenizerConfig) -> bytes:
    """What SentencePiece makes of the sentences themselves."""
    writer = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(sentences),
        model_writer=writer,
        model_type=config.kind,
        vocab_size=config.vocab_size,
        hard_vocab_limit=False,
        byte_fallback=config.byte_fallback,
        character_coverage=1.0,
        normalization_rule_name="identity",
        remove_extra_whitespaces=False,
        pad_id=PAD,
        unk_id=UNK,
        bos_id=BOS,
        eos_id=EOS,
        max_sentence_length=1 << 20,
        num_threads=1,
        minloglevel=2,
    )
    return writer.getvalue()


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("byte_fallback", [True, False])
@pytest.mark.parametrize("side", [0, 1])
def test_training_is_that_of_sentencepiece_on_the_sentences(
    kind: str, byte_fallback: bool, side: int
) -> None:
    config = TokenizerConfig(kind=kind, vocab_size=500, byte_fallback=byte_fallback)
    sentences = bundled(side)[:1500]
    assert train_tokenizer(sentences, config, "data.tokenizer") == of_sentences(sentences, config)


words = st.text(st.characters(codec="utf-8") | st.sampled_from("abab\u2581\u2585\t\u3000\u00a0"), max_size=5)


@settings(deadline=None, max_examples=60)
@given(texts=st.lists(st.lists(words, max_size=6).map(" ".join).map(clean), min_size=1, max_size=30))
@pytest.mark.parametrize("kind", ["bpe", "char", "word"])
def test_any_words_train_as_their_sentences(kind: str, texts: list[str]) -> None:
    config = TokenizerConfig(kind=kind, vocab_size=600)
    texts = [*texts, "a b c"]
    counts = count_words(reversed(texts))  # the order does not matter
    assert train_on_words(counts, config, "data.tokenizer") == of_sentences(texts, config)


@pytest.mark.parametrize("kind", ["bpe", "char", "word"])
def test_sentences_that_sentencepiece_leaves_out_are_not_counted(kind: str) -> None:
    config = TokenizerConfig(kind=kind, vocab_size=290)
    texts = ["d e f g h d e f", *["\u2585x aaa bbb aaa bbb"] * 50, "yz yz yz"]
    assert train_tokenizer(texts, config, "data.tokenizer") == of_sentences(texts, config)


@pytest.mark.parametrize("kind", KINDS)
def test_special_tokens_and_bytes_have_their_ids(kind: str) -> None:
    tokenizer = trained(kind)
    assert (PAD, UNK, BOS, EOS) == (0, 1, 2, 3)
    # U+2047 is SentencePiece's symbol, and ours, for unknown pieces
    assert tokenizer.decode_with_offsets([PAD, UNK, BOS, EOS]).pieces == ["<pad>", "\u2047", "<s>", "</s>"]
    found = tokenizer.decode_with_offsets(range(BYTES, BYTES + 256)).pieces
    assert found == [f"<0x{byte:02X}>" for byte in range(256)]


def test_one_vocabulary_encodes_both_sides_better_than_that_of_the_other_side() -> None:
    both = [text for side in (0, 1) for text in bundled(side)[:1000]]
    config = TokenizerConfig(vocab_size=1000, joint=True)
    joint = Tokenizer(train_tokenizer(both, config, "data.tokenizer"))
    for side in (0, 1):
        own, other = trained("bpe", side), trained("bpe", 1 - side)
        text = bundled(side)[3000]
        assert len(own.encode(text)) <= 1.5 * len(joint.encode(text))
        assert 2 * len(joint.encode(text)) < len(other.encode(text))


@pytest.mark.parametrize("kind", KINDS)
def test_a_vocabulary_larger_than_the_corpus_allows_shrinks(kind: str) -> None:
    config = TokenizerConfig(kind=kind, vocab_size=50_000)
    tokenizer = Tokenizer(train_tokenizer(MARATHI, config, "data.tokenizer"))
    assert BYTES + 256 < len(tokenizer) < 1000
    assert all(tokenizer.decode(tokenizer.encode(text)) == text for text in MARATHI + ENGLISH)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("vocab_size", [8, 259])
def test_a_vocabulary_too_small_names_its_setting(kind: str, vocab_size: int) -> None:
    config = TokenizerConfig(kind=kind, vocab_size=vocab_size)
    with pytest.raises(ConfigError) as caught:
        train_tokenizer(MARATHI, config, "data.tokenizer")
    assert str(caught.value).startswith(f"data.tokenizer.vocab_size={vocab_size}: ")


@pytest.mark.parametrize("kind", ["unigram", "bpe"])
def test_the_size_it_asks_for_is_enough_and_no_less_is(kind: str) -> None:
    with pytest.raises(ConfigError, match=r"must be at least \d+ for this corpus") as caught:
        train_tokenizer(MARATHI, TokenizerConfig(kind=kind, vocab_size=100), "data.tokenizer")
    least = int(str(caught.value).split("at least ")[1].split()[0])
    config = TokenizerConfig(kind=kind, vocab_size=least)
    assert len(Tokenizer(train_tokenizer(MARATHI, config, "data.tokenizer"))) == least
    with pytest.raises(ConfigError, match=f"at least {least} "):
        train_tokenizer(MARATHI, TokenizerConfig(kind=kind, vocab_size=least - 1), "data.tokenizer")


def test_nothing_to_train_on() -> None:
    with pytest.raises(ConfigError, match=r"data\.tokenizer: .* cannot train on this corpus"):
        train_tokenizer([], TokenizerConfig(), "data.tokenizer")


# ---------------------------------------------------------------- corruption


@pytest.mark.parametrize("kept", [slice(0), slice(100), slice(-5), slice(10, None)], ids=str)
def test_corrupt_bytes_are_refused(kept: slice) -> None:
    with pytest.raises(RunError, match="a tokenizer file"):
        Tokenizer(trained("bpe").model[kept])


@pytest.mark.parametrize("ids", [(-1, 0, 1, 2), (0, 1, 3, 2), (3, 1, 2, 0), (-1, 1, 2, 3)])
def test_a_model_of_others_is_refused(ids: tuple[int, int, int, int]) -> None:
    names: dict[str, Any] = dict(zip(("pad_id", "unk_id", "bos_id", "eos_id"), ids, strict=True))
    writer = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(ENGLISH),
        model_writer=writer,
        model_type="char",
        vocab_size=30,
        minloglevel=2,
        **names,
    )
    with pytest.raises(RunError, match="special token ids differ"):
        Tokenizer(writer.getvalue())
