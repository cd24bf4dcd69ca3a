"""Preparation in several processes: the same files as in one, and the same errors."""

import os
from pathlib import Path
from typing import Any

import pytest

from nmt.config.data import DataConfig, TokenizerConfig
from nmt.data import cleaned, corpus, examples, vocabulary, workers
from nmt.data.corpus import load_links
from nmt.data.prepare import prepare
from nmt.data.vocabulary import load_corpus
from nmt.errors import DataError, NmtError


@pytest.fixture(autouse=True)
def small_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Chunks that are so small that a small corpus has many."""
    monkeypatch.setattr(cleaned, "CHUNK", 40)
    monkeypatch.setattr(corpus, "_CHUNK", 2000)
    monkeypatch.setattr(vocabulary, "_CHUNK", 5000)


def contents(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def write(path: Path, rows: list[tuple[str, str, str]]) -> Path:
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    return path


def rows(count: int) -> list[tuple[str, str, str]]:
    """Among them duplicates, shared sentences, and pairs that are too long, unbalanced or empty."""
    found = []
    for k in range(count):
        number = k - 9 if k % 50 == 10 else k
        source, target = f"Sentence {number - number % 3} is  here.", f"वाक्य {number} इथे आहे."
        if k % 50 == 7:
            source = "word " * 120
        if k % 50 == 8:
            target = ""
        if k % 50 == 9:
            source = "x"
        found.append((source, target, "0-0 1-1" if source and target else ""))
    return found


def config(path: Path, cache: Path, **options: Any) -> DataConfig:
    usual = {"source": "tsv", "alignment_column": 3, "max_tokens": 25, "dev_fraction": 0.1}
    tokenizer = TokenizerConfig(vocab_size=330)
    return DataConfig(path=str(path), cache=str(cache), tokenizer=tokenizer, **(usual | options))


@pytest.mark.parametrize(
    ("options", "several"), [({}, 3), ({"swap": True}, 2), ({"dev_path": "dev.tsv"}, 2)], ids=str
)
def test_the_files_do_not_depend_on_the_number_of_processes(
    tmp_path: Path, options: dict[str, Any], several: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "dev.tsv", rows(20)[:7])
    path = write(tmp_path / "pairs.tsv", rows(1500))
    started: list[object] = []
    real = workers._Worker
    monkeypatch.setattr(workers, "_Worker", lambda function: started.append(1) or real(function))
    found = {}
    for processes in (1, several):
        loaded = load_corpus(config(path, tmp_path / str(processes), **options), processes)
        load_links(loaded.prepared, loaded.train, loaded.source, loaded.target, processes)
        found[processes] = contents(tmp_path / str(processes))
    assert len(started) == 4 * several  # to clean, count words, tokenise and align
    assert found[1] == found[several]
    assert len(found[1]) == 16
    dropped = loaded.prepared.report["dropped"]
    assert min(dropped[reason] for reason in ("empty", "too_long", "ratio", "duplicate")) > 0


def raised(path: Path, cache: Path, processes: int) -> str:
    with pytest.raises(DataError) as caught:
        prepare(config(path, cache), processes)
    assert not [*cache.rglob("*.jsonl"), *cache.rglob("*.tmp")]
    return str(caught.value)


@pytest.mark.parametrize("wrong", [(3, "0-0"), (900, "9-9"), (900, "1x1")])
@pytest.mark.parametrize("also_unreadable", [False, True])
def test_the_first_error_is_raised(tmp_path: Path, wrong: tuple[int, str], also_unreadable: bool) -> None:
    line, links = wrong
    text = rows(1000)
    text[line] = ("A new sentence.", "नवीन वाक्य.", links)
    text[line + 1 :] = (
        [*text[line + 1 :], ("only one column", "", "")] if also_unreadable else text[line + 1 :]
    )
    path = write(tmp_path / "pairs.tsv", text)
    if also_unreadable:
        content = path.read_text(encoding="utf-8").replace("only one column\t\t", "only one column")
        path.write_text(content, encoding="utf-8")
    if links == "0-0" and not also_unreadable:
        prepare(config(path, tmp_path / "cache"), 2)
        return
    found = {raised(path, tmp_path / str(processes), processes) for processes in (1, 2)}
    assert len(found) == 1
    expected = "line 1001" if links == "0-0" else f"line {line + 1}"
    assert expected in found.pop()


def test_the_alignment_of_a_duplicate_is_not_read(tmp_path: Path) -> None:
    text = rows(1000)
    text[600] = (text[0][0], text[0][1], "9-9")
    path = write(tmp_path / "pairs.tsv", text)
    assert prepare(config(path, tmp_path / "cache"), 2).report["dropped"]["duplicate"]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_corrupt_line_is_named(tmp_path: Path, processes: int) -> None:
    data = config(write(tmp_path / "pairs.tsv", rows(1500)), tmp_path / "cache")
    prepared = prepare(data, 1)
    file = prepared.folder / "train.jsonl"
    lines = file.read_text(encoding="utf-8").splitlines(keepends=True)
    file.write_text("".join([*lines[:400], "{\n", *lines[401:]]), encoding="utf-8")
    with pytest.raises(DataError, match=r"train\.jsonl, line 401: .*delete this folder") as caught:
        load_corpus(data, processes)
    assert str(caught.value).startswith(f"{prepared.folder}: ")
    assert not list(prepared.folder.glob("*.model"))


def killed(*arguments: object) -> None:
    os._exit(1)


@pytest.mark.parametrize("module", [cleaned, corpus], ids=lambda module: module.__name__)
def test_when_a_worker_dies_nothing_is_half_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module: Any
) -> None:
    data = config(write(tmp_path / "pairs.tsv", rows(1500)), tmp_path / "cache")
    name = {cleaned: "clean_chunk", corpus: "_tokenise"}[module]
    with monkeypatch.context() as patch:
        patch.setattr(module, name, killed)
        with pytest.raises(NmtError, match=r"^a worker process ended with exit code 1; "):
            load_corpus(data, 2)
    assert not [*tmp_path.rglob("*.tmp"), *tmp_path.rglob("tokens*.json")]
    assert len(load_corpus(data, 2).train) == load_corpus(data, 1).prepared.report["splits"]["train"]["pairs"]


def test_stored_examples_in_chunks(tmp_path: Path) -> None:
    all_of_them = [examples.Example(f"x {k}", (f"y\u2028{k}",), ("",)) for k in range(30)]
    examples.save_examples(tmp_path / "e.jsonl", all_of_them)
    stored = examples.StoredExamples(tmp_path / "e.jsonl", 30, frozenset({2, 29}))
    chunks = list(stored.map_chunks(identity, 1, 150))
    assert 5 < len(chunks) < 30
    assert [example for chunk in chunks for example in chunk.examples] == list(stored)
    for chunk in chunks:
        assert chunk.first == 2 or chunk.examples[0] == all_of_them[chunk.first]


def identity(chunk: examples.Numbered) -> examples.Numbered:
    return chunk
