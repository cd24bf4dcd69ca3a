"""The tokenizers of a corpus: trained once, on the training set only."""

import dataclasses
import math
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from small_corpus import settings

from nmt.config.data import DataConfig, TokenizerConfig
from nmt.data import vocabulary
from nmt.data.examples import Example, StoredExamples, save_examples
from nmt.data.prepare import Prepared, prepare
from nmt.data.tokenizer import train_on_words, train_tokenizer
from nmt.data.vocabulary import load_tokenizers, training_words
from nmt.errors import ConfigError, DataError


def test_tokenizers_are_trained_once_on_the_training_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[dict[str, int]] = []

    def train(words: Mapping[str, int], *rest: Any) -> bytes:
        trained.append(dict(words))
        return train_on_words(words, *rest)

    monkeypatch.setattr(vocabulary, "train_on_words", train)
    config = settings(tmp_path, tokenizer=TokenizerConfig(vocab_size=320))
    prepared = prepare(config)
    source, target = load_tokenizers(prepared, config)
    train_set = prepared.splits["train"]
    sides = [[e.source for e in train_set], [r for e in train_set for r in e.references]]
    assert trained == [Counter(" ".join(texts).split()) for texts in sides]
    again = load_tokenizers(prepared, config)
    assert len(trained) == 2
    assert [t.model for t in again] == [source.model, target.model]
    assert source.model != target.model
    load_tokenizers(prepared, dataclasses.replace(config, tokenizer=TokenizerConfig(vocab_size=321)))
    assert len(trained) == 4  # another setting is another tokenizer


def trained_on(prepared: Prepared, config: DataConfig, monkeypatch: pytest.MonkeyPatch) -> list[list[str]]:
    """The sentences that the tokenizers are trained on."""
    trained: list[list[str]] = []

    def train(sentences: Iterable[str], *rest: Any) -> bytes:
        trained.append(list(sentences))
        return train_tokenizer(trained[-1], *rest)

    monkeypatch.setattr(vocabulary, "train_tokenizer", train)
    load_tokenizers(prepared, config)
    return trained


@pytest.mark.parametrize("step", [1, 3])
@pytest.mark.parametrize("joint", [False, True])
def test_a_unigram_model_is_trained_on_sentences(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, joint: bool
) -> None:
    config = settings(
        tmp_path, tokenizer=TokenizerConfig(kind="unigram", vocab_size=320 + joint, joint=joint)
    )
    prepared = prepare(config)
    size = (prepared.folder / "train.jsonl").stat().st_size
    monkeypatch.setattr(vocabulary, "MOST_BYTES", math.ceil(size / step))
    train_set = list(prepared.splits["train"])[::step]
    sides = [[e.source for e in train_set], [r for e in train_set for r in e.references]]
    assert trained_on(prepared, config, monkeypatch) == ([sides[0] + sides[1]] if joint else sides)


def counted(texts: list[str]) -> Counter[str]:
    return Counter(word for text in texts for word in text.split())


@pytest.mark.parametrize("joint", [False, True])
@pytest.mark.parametrize("size", [1, 100_000])
def test_of_too_many_words_every_second_pair_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, joint: bool, size: int
) -> None:
    train = [Example(f"s{k} a", (f"t{k} b",), ("",)) for k in range(64)]
    save_examples(tmp_path / "train.jsonl", train)
    stored = StoredExamples(tmp_path / "train.jsonl", len(train))
    monkeypatch.setattr(vocabulary, "_CHUNK", size)
    for most, step in ((65, 1), (64, 2), (33, 2), (32, 4)):
        monkeypatch.setattr(vocabulary, "MOST_WORDS", most * (1 + joint))
        sides = [
            counted([e.source for e in train[::step]]),
            counted([e.references[0] for e in train[::step]]),
        ]
        expected = [sides[0] + sides[1]] if joint else sides
        assert training_words(stored, joint, 1) == expected, (most, step)


def test_one_tokenizer_for_both_sides(tmp_path: Path) -> None:
    config = settings(tmp_path, tokenizer=TokenizerConfig(vocab_size=340, joint=True))
    source, target = load_tokenizers(prepare(config), config)
    assert source is target
    for text in ("Sentence 3 is here.", "वाक्य 3 इथे आहे."):
        assert len(source.encode(text)) < len(text)  # it knows words of both


def test_a_vocabulary_that_cannot_be_names_its_setting(tmp_path: Path) -> None:
    config = settings(tmp_path, tokenizer=TokenizerConfig(vocab_size=20))
    with pytest.raises(ConfigError, match=r"data\.tokenizer\.vocab_size=20: must be at least"):
        load_tokenizers(prepare(config), config)


def test_a_corrupt_tokenizer_says_what_to_delete(tmp_path: Path) -> None:
    config = settings(tmp_path, tokenizer=TokenizerConfig(vocab_size=320))
    prepared = prepare(config)
    load_tokenizers(prepared, config)
    file = next(prepared.folder.glob("*.target.model"))
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(DataError, match="corrupt; delete it to retrain the tokenizer") as caught:
        load_tokenizers(prepared, config)
    assert str(file) in str(caught.value)
