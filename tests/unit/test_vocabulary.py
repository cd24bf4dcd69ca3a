"""The tokenizers of a corpus: trained once, on the training set only."""

import dataclasses
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from small_corpus import settings

from nmt.config.data import TokenizerConfig
from nmt.data import vocabulary
from nmt.data.prepare import prepare
from nmt.data.tokenizer import train_tokenizer
from nmt.data.vocabulary import load_tokenizers
from nmt.errors import ConfigError, DataError


def test_tokenizers_are_trained_once_on_the_training_set(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trained: list[list[str]] = []

    def train(sentences: Iterable[str], *rest: Any) -> bytes:
        trained.append(list(sentences))
        return train_tokenizer(trained[-1], *rest)

    monkeypatch.setattr(vocabulary, "train_tokenizer", train)
    config = settings(tmp_path, tokenizer=TokenizerConfig(vocab_size=320))
    prepared = prepare(config)
    source, target = load_tokenizers(prepared, config)
    train_set = prepared.splits["train"]
    assert trained == [[e.source for e in train_set], [r for e in train_set for r in e.references]]
    again = load_tokenizers(prepared, config)
    assert len(trained) == 2
    assert [t.model for t in again] == [source.model, target.model]
    assert source.model != target.model
    load_tokenizers(prepared, dataclasses.replace(config, tokenizer=TokenizerConfig(vocab_size=321)))
    assert len(trained) == 4  # another setting is another tokenizer


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
