"""What preparation writes: the cache, examples, and plain text."""

import dataclasses
from pathlib import Path
from typing import Any

import pytest
from small_corpus import corpus, settings, write_tsv

from nmt.data.examples import (
    Example,
    StoredExamples,
    export_text,
    load_examples,
    read_parallel,
    save_examples,
)
from nmt.data.prepare import prepare
from nmt.errors import DataError


def lines(path: Path) -> list[str]:
    content = path.read_text(encoding="utf-8")
    assert content.endswith("\n")
    return content.removesuffix("\n").split("\n")


# ---------------------------------------------------------------- the cache


def state(folder: Path) -> dict[str, tuple[int, int, bytes]]:
    return {f.name: (f.stat().st_mtime_ns, f.stat().st_ino, f.read_bytes()) for f in folder.iterdir()}


def test_the_second_time_nothing_is_written(tmp_path: Path) -> None:
    config = settings(tmp_path)
    first = prepare(config)
    before = state(first.folder)
    assert set(before) == {"train.jsonl", "dev.jsonl", "test.jsonl", "prepared.json"}
    assert prepare(config) == first
    assert state(first.folder) == before


def test_a_copy_elsewhere_is_the_same_preparation(tmp_path: Path) -> None:
    config = settings(tmp_path)
    copy = write_tsv(tmp_path / "copy.tsv", corpus())
    assert prepare(dataclasses.replace(config, path=str(copy))).folder == prepare(config).folder


def test_a_changed_source_is_a_new_preparation(tmp_path: Path) -> None:
    first = prepare(settings(tmp_path))
    second = prepare(settings(tmp_path, [*corpus(), ("More.", "अजून.")]))
    assert second.folder != first.folder
    assert second.report["pairs_read"] == first.report["pairs_read"] + 1
    assert prepare(settings(tmp_path, corpus())) == first


@pytest.mark.parametrize(
    "change",
    [
        {"max_words": 99},
        {"max_ratio": 8.0},
        {"dev_fraction": 0.21},
        {"test_fraction": 0.21},
        {"swap": True},
        {"source_column": 3},
        {"target_column": 3},
    ],
    ids=lambda change: next(iter(change)),
)
def test_a_changed_setting_is_a_new_preparation(tmp_path: Path, change: dict[str, Any]) -> None:
    config = settings(tmp_path, [(source, f"{target}\tThird {source}") for source, target in corpus()])
    assert prepare(dataclasses.replace(config, **change)).folder != prepare(config).folder


def test_an_interrupted_preparation_is_made_again(tmp_path: Path) -> None:
    config = settings(tmp_path)
    first = prepare(config)
    (first.folder / "prepared.json").unlink()  # written last
    (first.folder / "dev.jsonl").write_text("half a li")
    assert prepare(config) == first


@pytest.mark.parametrize(
    "content",
    [
        b'{"source": "a", "refer',
        b"[]\n",
        b"{}\n",
        b'{"source": "a", "references": 3, "alignments": [""]}\n',
        b"\xff\n",
        None,
    ],
)
def test_a_corrupt_split_says_what_to_delete(tmp_path: Path, content: bytes | None) -> None:
    config = settings(tmp_path)
    folder = prepare(config).folder
    file = folder / "dev.jsonl"
    if content is None:
        file.unlink()
    else:
        file.write_bytes(content)
    with pytest.raises(DataError) as caught:
        prepare(config)
    message = str(caught.value)
    assert message.startswith(f"{folder}: corrupt")
    assert "dev.jsonl, line 1: " in message
    assert message.endswith("; delete this folder to regenerate it")
    assert "\n" not in message


def test_a_corrupt_report_says_what_to_delete(tmp_path: Path) -> None:
    config = settings(tmp_path)
    folder = prepare(config).folder
    (folder / "prepared.json").write_text("{")
    with pytest.raises(DataError, match=r"corrupt .* delete this folder") as caught:
        prepare(config)
    assert str(caught.value).startswith(f"{folder}: ")


# ---------------------------------------------------------------- examples and plain text


def test_examples_come_back(tmp_path: Path) -> None:
    examples = [
        Example('a "quoted" \\ sentence', ("क\u200dष", "💡"), ("0-0", "")),
        Example("x", ("y",), ("",)),
    ]
    save_examples(tmp_path / "examples.jsonl", examples)
    assert load_examples(tmp_path / "examples.jsonl") == examples
    assert len((tmp_path / "examples.jsonl").read_bytes().splitlines()) == 2
    save_examples(tmp_path / "none.jsonl", [])
    assert load_examples(tmp_path / "none.jsonl") == []


def test_a_corrupt_example_is_named_by_its_line(tmp_path: Path) -> None:
    file = tmp_path / "examples.jsonl"
    save_examples(file, [Example("x", ("y",), ("",))] * 3)
    content = file.read_text().split("\n")
    file.write_text("\n".join([content[0], content[1][:-4], content[2], ""]))
    with pytest.raises(DataError, match=r"examples\.jsonl, line 2: "):
        load_examples(file)


def test_stored_examples_are_those_of_the_file(tmp_path: Path) -> None:
    examples = [Example(f"x {k}", (f"y {k}",), ("",)) for k in range(10)]
    save_examples(tmp_path / "e.jsonl", examples)
    stored = StoredExamples(tmp_path / "e.jsonl", 10, frozenset({2, 9}))
    kept = [e for k, e in enumerate(examples) if k not in (2, 9)]
    assert list(stored) == list(stored) == kept  # more than once
    assert len(stored) == len(kept)
    assert stored[::3] == kept[::3]
    assert (stored[1], stored[-1]) == (kept[1], kept[-1])
    with pytest.raises(DataError, match=r"e\.jsonl, line 11: lines are missing\); delete this folder"):
        list(StoredExamples(tmp_path / "e.jsonl", 11))


def test_export_writes_files_that_stand_side_by_side(tmp_path: Path) -> None:
    prepared = prepare(settings(tmp_path))
    export_text(prepared.splits, tmp_path / "text")
    assert {f.name for f in (tmp_path / "text").iterdir()} == {
        "train.src", "train.tgt", "dev.src", "dev.tgt", "dev.tgt.1", "test.src", "test.tgt", "test.tgt.1",
    }  # fmt: skip
    for split, examples in prepared.splits.items():
        columns = [lines(f) for f in sorted((tmp_path / "text").glob(f"{split}.*"))]
        assert [len(column) for column in columns] == [len(examples)] * len(columns)
        assert [
            Example(source, tuple(filter(None, references)), ("",) * len(tuple(filter(None, references))))
            for source, *references in zip(*columns, strict=True)
        ] == list(examples)


def test_what_is_exported_can_be_read_as_parallel_files(tmp_path: Path) -> None:
    prepared = prepare(settings(tmp_path))
    export_text(prepared.splits, tmp_path)
    found = read_parallel(tmp_path / "test.src", [tmp_path / "test.tgt", tmp_path / "test.tgt.1"])
    assert found == prepared.splits["test"]


def test_parallel_files_are_cleaned(tmp_path: Path) -> None:
    (tmp_path / "s").write_text(" a  b \n\nc\n")
    (tmp_path / "r1").write_text("one\u00a0two\nx\n\n")
    (tmp_path / "r2").write_text("\ny\nz\n")
    assert read_parallel(tmp_path / "s", [tmp_path / "r1", tmp_path / "r2"]) == [
        Example("a b", ("one two",), ("",)),
        Example("", ("x", "y"), ("", "")),  # an empty source still counts: every line is answered
        Example("c", ("z",), ("",)),
    ]


def test_parallel_files_that_do_not_fit(tmp_path: Path) -> None:
    (tmp_path / "s").write_text("a\nb\n")
    (tmp_path / "short").write_text("a\n")
    (tmp_path / "gap").write_text("a\n \n")
    with pytest.raises(DataError, match=r"s, line 2: has no counterpart"):
        read_parallel(tmp_path / "s", [tmp_path / "short"])
    with pytest.raises(DataError, match=r"s, line 2: no reference"):
        read_parallel(tmp_path / "s", [tmp_path / "gap"])
