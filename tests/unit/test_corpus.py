"""The tokenised training set: what tokenising gives, made once, mapped, and checked."""

import dataclasses
import gc
import multiprocessing
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from small_corpus import corpus, settings

from nmt.config.data import DataConfig, TokenizerConfig
from nmt.data import corpus as module
from nmt.data.corpus import load_links, load_tokenized, piece_links
from nmt.data.examples import Example, StoredExamples, save_examples
from nmt.data.prepare import Prepared, prepare
from nmt.data.text import clean
from nmt.data.tokenizer import Tokenizer, train_tokenizer
from nmt.data.vocabulary import load_corpus
from nmt.errors import DataError

TOKENIZER = Tokenizer(
    train_tokenizer([text for pair in corpus() for text in pair], TokenizerConfig(vocab_size=340), "")
)


def prepared_from(folder: Path, train: list[Example]) -> Prepared:
    save_examples(folder / "train.jsonl", train)
    return Prepared({"train": StoredExamples(folder / "train.jsonl", len(train))}, {}, folder, True)


def rows(arrays: Any) -> list[list[int]]:
    return [arrays[k].tolist() for k in range(len(arrays))]


def unused(*arguments: Any) -> Iterator[Any]:
    raise AssertionError("tokenised again")


# ---------------------------------------------------------------- equal to tokenising

text = st.text(st.characters(codec="utf-8") | st.sampled_from("कखषिी्\u200d .।?é"), max_size=20)
sentence = text.map(clean).filter(bool) | st.sampled_from([".", "क", "\u200d"])


@hypothesis_settings(
    deadline=None, max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(pairs=st.lists(st.tuples(sentence, sentence), min_size=1, max_size=20), limit=st.integers(1, 30))
def test_it_is_what_tokenising_gives(
    tmp_path_factory: pytest.TempPathFactory, pairs: list[tuple[str, str]], limit: int
) -> None:
    train = [Example(source, (target,), ("",)) for source, target in pairs]
    prepared = prepared_from(tmp_path_factory.mktemp("p"), train)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_CHUNK", 3)  # several chunks
        found = load_tokenized(prepared, TOKENIZER, TOKENIZER, limit, 1)
    encoded = [(TOKENIZER.encode(source), TOKENIZER.encode(target)) for source, target in pairs]
    fits = [max(len(source), len(target)) <= limit for source, target in encoded]
    kept = [k for k, does in enumerate(fits) if does]
    assert found.left_out.tolist() == [k for k, does in enumerate(fits) if not does]
    assert rows(found.source) == [encoded[k][0] for k in kept]
    assert rows(found.target) == [encoded[k][1] for k in kept]
    assert len(found) == len(kept)
    assert found.distinct_sources == len({pairs[k][0] for k in kept})


@pytest.mark.parametrize(
    ("size", "kind"), [(300, "uint16"), (256, "uint8"), (257, "uint16"), (70_000, "uint32")]
)
def test_ids_have_the_smallest_type(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int, kind: str
) -> None:
    monkeypatch.setattr(Tokenizer, "__len__", lambda self: size)
    monkeypatch.setattr(Tokenizer, "encode_all", lambda self, texts: [[5, size - 1] for _ in texts])
    found = load_tokenized(prepared_from(tmp_path, [Example("a", ("b",), ("",))]), TOKENIZER, TOKENIZER, 9)
    assert found.source.values.dtype == kind
    assert found.source[0].tolist() == [5, size - 1]


def sample(tmp_path: Path) -> DataConfig:
    config = DataConfig(source="sample", cache=str(tmp_path))
    config.tokenizer.vocab_size = 500
    return config


def test_links_are_those_of_the_pairs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = load_corpus(dataclasses.replace(sample(tmp_path), max_tokens=12))
    assert len(loaded.train.left_out)
    found = load_links(loaded.prepared, loaded.train, loaded.source, loaded.target)
    examples = list(loaded.prepared.splits["train"])
    assert len(found) == len(examples) == len(loaded.train)
    for k in range(0, len(examples), 50):
        expected = piece_links(examples[k], loaded.source, loaded.target)
        assert [tuple(link) for link in found[k].tolist()] == expected
        assert expected
    monkeypatch.setattr(module, "_links", unused)
    again = load_links(loaded.prepared, loaded.train, loaded.source, loaded.target)
    assert np.array_equal(again.values, found.values)


# ---------------------------------------------------------------- made once


def test_a_second_start_reads_no_training_text(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = settings(tmp_path, tokenizer=TokenizerConfig(vocab_size=320))
    first = load_corpus(config)
    monkeypatch.setattr(Tokenizer, "encode_all", unused)
    monkeypatch.setattr(StoredExamples, "_read", unused)
    monkeypatch.setattr(StoredExamples, "map_chunks", unused)
    second = load_corpus(config)
    assert rows(second.train.source) == rows(first.train.source)
    assert rows(second.train.target) == rows(first.train.target)
    assert second.prepared.report == first.prepared.report


def test_another_tokenizer_or_limit_is_another_corpus(tmp_path: Path) -> None:
    config = settings(tmp_path, tokenizer=TokenizerConfig(vocab_size=320))
    changed = [
        config,
        dataclasses.replace(config, max_tokens=499),
        dataclasses.replace(config, tokenizer=TokenizerConfig(vocab_size=321)),
        dataclasses.replace(config, tokenizer=TokenizerConfig(vocab_size=320, joint=True)),
    ]
    folders = [load_corpus(one).train.folder for one in changed]
    assert len(set(folders)) == len(folders)
    assert len({folder.parent for folder in folders}) == 1  # of one preparation
    assert load_corpus(config).train.folder == folders[0]


def _first_ids(folder: Path, examples: int) -> tuple[int, list[list[int]]]:
    module._tokenized = unused  # in this process only
    prepared = Prepared({"train": StoredExamples(folder / "train.jsonl", examples)}, {}, folder, False)
    found = load_tokenized(prepared, TOKENIZER, TOKENIZER, 500)
    return len(found), rows(found.source)


def test_processes_share_it(tmp_path: Path) -> None:
    train = [Example(source, (target,), ("",)) for source, target in corpus()]
    own = load_tokenized(prepared_from(tmp_path, train), TOKENIZER, TOKENIZER, 500)
    assert not own.source.values.flags.writeable
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        assert pool.apply(_first_ids, (tmp_path, len(train))) == (len(own), rows(own.source))


def test_no_training_text_is_kept(tmp_path: Path) -> None:
    loaded = load_corpus(settings(tmp_path, tokenizer=TokenizerConfig(vocab_size=320)))
    train = next(iter(loaded.prepared.splits["train"]))
    held = loaded.prepared.splits["dev"][0]
    seen, stack, texts = set(), [loaded], set()
    while stack:
        thing = stack.pop()
        if id(thing) in seen or isinstance(thing, type):
            continue
        seen.add(id(thing))
        if isinstance(thing, str):
            texts.add(thing)
        elif not callable(thing) and type(thing).__name__ != "module":
            stack.extend(gc.get_referents(thing))
    assert held.source in texts  # the search does find texts
    assert train.source not in texts
    assert train.references[0] not in texts


# ---------------------------------------------------------------- corrupt files


def _truncate(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-2])


def _flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def _empty(file: Path) -> None:
    file.write_bytes(b"")


@pytest.mark.parametrize("harm", [_truncate, _flip_a_bit, _empty, Path.unlink], ids=lambda f: f.__name__)
@pytest.mark.parametrize("name", ["source.bin", "target_offsets.bin", "tokens.json"])
def test_a_corrupt_file_is_named(tmp_path: Path, harm: Any, name: str) -> None:
    prepared = prepared_from(tmp_path, [Example("a b", ("c",), ("",))] * 9)
    folder = load_tokenized(prepared, TOKENIZER, TOKENIZER, 500).folder
    before = (folder / name).read_bytes()
    harm(folder / name)
    if (name, harm) == ("tokens.json", Path.unlink):  # written last: without it the set is made again
        load_tokenized(prepared, TOKENIZER, TOKENIZER, 500)
        assert (folder / name).read_bytes() == before
        return
    with pytest.raises(DataError, match=r"corrupt \(.*\); delete this folder to tokenise again$") as caught:
        load_tokenized(prepared, TOKENIZER, TOKENIZER, 500)
    assert str(caught.value).startswith(f"{folder}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "[]",
        "{}",
        '{"format": 1, "arrays": 3}',
        '{"format": 1, "arrays": {}}',
        '{"format": 1, "arrays": {"source": {"type": "object"}}}',
    ],
)
def test_an_index_that_is_none(tmp_path: Path, content: str) -> None:
    prepared = prepared_from(tmp_path, [Example("a b", ("c",), ("",))])
    folder = load_tokenized(prepared, TOKENIZER, TOKENIZER, 500).folder
    (folder / "tokens.json").write_text(content)
    with pytest.raises(DataError, match="delete this folder to tokenise again"):
        load_tokenized(prepared, TOKENIZER, TOKENIZER, 500)


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [('"format": 1', '"format": 2', "format 2"), ('"type": "uint16"', '"type": "uint8"', "offsets")],
)
def test_an_index_that_does_not_fit_its_arrays(tmp_path: Path, old: str, new: str, said: str) -> None:
    prepared = prepared_from(tmp_path, [Example("a b", ("c",), ("",))])
    index = load_tokenized(prepared, TOKENIZER, TOKENIZER, 500).folder / "tokens.json"
    content = index.read_text()
    assert old in content
    index.write_text(content.replace(old, new))
    with pytest.raises(DataError, match=rf"{said}.*delete this folder to tokenise again"):
        load_tokenized(prepared, TOKENIZER, TOKENIZER, 500)


def test_a_training_file_with_missing_lines_says_what_to_delete(tmp_path: Path) -> None:
    config = settings(tmp_path, tokenizer=TokenizerConfig(vocab_size=320))
    folder = prepare(config).folder
    file = folder / "train.jsonl"
    file.write_text(
        "".join(file.read_text(encoding="utf-8").splitlines(keepends=True)[:-1]), encoding="utf-8"
    )
    with pytest.raises(DataError, match=r"corrupt \(.*lines are missing\); delete this folder") as caught:
        load_corpus(config)
    assert str(caught.value).startswith(f"{folder}: ")
    assert not list(folder.glob("tokens-*/*.json"))
