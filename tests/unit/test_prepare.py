"""Preparation of small corpora: what is dropped and counted, what is grouped, what is refused."""

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from small_corpus import Pair, corpus, settings

from nmt.data.keys import text_keys
from nmt.data.prepare import Prepared, prepare
from nmt.data.sources import sample
from nmt.data.split import SPLITS, assign_splits, components
from nmt.data.text import canonical_key
from nmt.errors import DataError


def pairs_of(prepared: Prepared) -> Counter[Pair]:
    examples = [example for split in SPLITS for example in prepared.splits[split]]
    return Counter((e.source, reference) for e in examples for reference in e.references)


# ---------------------------------------------------------------- what is kept


def test_every_pair_is_kept_or_counted_by_reason(tmp_path: Path) -> None:
    kept = corpus()
    dropped = {
        "empty": [("", "क"), ("a", " \u00a0\u2003"), ("\ufeff", "क"), ("", "")],
        "too_long": [("w " * 13, "श " * 12), ("a b", "श " * 13)],
        "ratio": [("ab", "क ख ग घ"), ("a b c d e f g", "क ख")],
        "duplicate": [kept[0], kept[0], (f" {kept[1][0]} ", kept[1][1].replace(" ", "\u00a0"))],
    }
    bad = [pair for group in dropped.values() for pair in group]
    edge = [("bc", "क ख घग"), ("w " * 12, "श " * 12)]  # just within the limits
    prepared = prepare(settings(tmp_path, kept + bad + edge, max_words=12, max_ratio=3))
    report = prepared.report
    assert report["dropped"] == {reason: len(group) for reason, group in dropped.items()}
    assert report["pairs_kept"] == len(kept) + len(edge)
    assert report["pairs_read"] == report["pairs_kept"] + sum(report["dropped"].values())
    assert report["pairs_read"] == len(kept) + len(bad) + len(edge)
    assert pairs_of(prepared) == Counter([*kept, *((s.strip(), t.strip()) for s, t in edge)])


def test_the_report_says_what_the_data_was(tmp_path: Path) -> None:
    pairs = corpus()
    config = settings(tmp_path, pairs)
    prepared = prepare(config)
    report, splits = prepared.report, prepared.splits
    assert report["components"] == 60
    assert report["largest_component"] == 2
    for split in SPLITS:
        references = sum(len(example.references) for example in splits[split])
        assert report["splits"][split] == {
            "examples": len(splits[split]),
            "sources": len({example.source for example in splits[split]}),
            "pairs": references,
        }
    assert sum(report["splits"][split]["pairs"] for split in SPLITS) == len(pairs)
    assert [file["name"] for file in report["files"]] == ["pairs.tsv"]
    assert json.loads((prepared.folder / "prepared.json").read_text()) == report


def test_training_has_an_example_a_pair_and_the_others_one_a_source(tmp_path: Path) -> None:
    pairs = corpus()
    splits = prepare(settings(tmp_path, pairs)).splits
    assert all(len(example.references) == 1 for example in splits["train"])
    translations: dict[str, list[str]] = {}
    for source, target in pairs:
        translations.setdefault(source, []).append(target)
    for split in ("dev", "test"):
        assert any(len(example.references) == 2 for example in splits[split])
        for example in splits[split]:
            assert list(example.references) == translations[example.source]
            assert example.alignments == ("",) * len(example.references)


def test_splits_are_those_of_assign_splits(tmp_path: Path) -> None:
    pairs = corpus()
    first, second = (text_keys(map(canonical_key, side)) for side in zip(*pairs, strict=True))
    expected = assign_splits(first, components(first, second), 0.2, 0.2)
    found = prepare(settings(tmp_path, pairs)).splits
    for split in SPLITS:
        sentences = {source for (source, _), own in zip(pairs, expected, strict=True) if SPLITS[own] == split}
        assert {example.source for example in found[split]} == sentences


def test_no_sentence_in_two_splits_whatever_its_spelling(tmp_path: Path) -> None:
    pairs = corpus()
    variants = [(source.upper(), f"नवे {i}") for i, (source, _) in enumerate(pairs[:40])]
    variants += [(f"New {i}", target.replace(".", "।")) for i, (_, target) in enumerate(pairs[:40])]
    splits = prepare(settings(tmp_path, pairs + variants)).splits
    for side in (lambda e: [e.source], lambda e: e.references):
        found = [{canonical_key(text) for e in splits[split] for text in side(e)} for split in SPLITS]
        assert len(set.union(*found)) == sum(map(len, found))


def test_two_files_side_by_side(tmp_path: Path) -> None:
    pairs = corpus()
    source, target = tmp_path / "a.en", tmp_path / "a.mr"
    source.write_text("".join(f"{pair[0]}\n" for pair in pairs), encoding="utf-8")
    target.write_text("".join(f"{pair[1]}\n" for pair in pairs), encoding="utf-8")
    moses = settings(tmp_path, source="moses", source_path=str(source), target_path=str(target))
    prepared = prepare(moses)
    alike = prepare(settings(tmp_path, pairs)).splits
    assert {split: list(examples) for split, examples in prepared.splits.items()} == {
        split: list(examples) for split, examples in alike.items()
    }
    assert [file["name"] for file in prepared.report["files"]] == ["a.en", "a.mr"]


# ---------------------------------------------------------------- swapping and alignments

GOLD = [(f"one two {i}", f"एक दोन {i}", f"0-1 1-0 2-{i % 3}") for i in range(60)]


def gold_corpus(path: Path, rows: Iterable[tuple[str, str, str]], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the bundled corpus, the one with alignments, be `rows`."""
    path.write_text("".join("\t".join(row) + "\n" for row in rows), encoding="utf-8")
    monkeypatch.setattr(sample, "sample_file", lambda: path)


def test_swapping_keeps_the_split_and_turns_the_alignments(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gold_corpus(tmp_path / "gold.tsv", GOLD, monkeypatch)
    config = settings(tmp_path, source="sample")
    straight = prepare(config)
    swapped = prepare(dataclasses.replace(config, swap=True))
    assert straight.folder != swapped.folder
    turned = {source: " ".join(sorted(f"{t}-{s}" for s, t in _links(gold))) for source, _, gold in GOLD}
    for split in SPLITS:
        assert [(e.references[0], e.source) for e in straight.splits[split]] == [
            (e.source, e.references[0]) for e in swapped.splits[split]
        ]
        assert [e.alignments[0] for e in swapped.splits[split]] == [
            turned[e.references[0]] for e in swapped.splits[split]
        ]
    golds = {source: gold for source, _, gold in GOLD}
    assert all(e.alignments == (golds[e.source],) for split in SPLITS for e in straight.splits[split])


def _links(text: str) -> list[list[str]]:
    return [link.split("-") for link in text.split()]


def test_swapping_groups_by_the_new_source(tmp_path: Path) -> None:
    pairs = [(f"variant {k} of {i}", f"वाक्य {i}") for i in range(40) for k in range(2)]
    config = settings(tmp_path, pairs)
    for example in prepare(dataclasses.replace(config, swap=True)).splits["test"]:
        number = example.source.split()[1]
        assert example.references == (f"variant 0 of {number}", f"variant 1 of {number}")
    assert all(len(example.references) == 1 for example in prepare(config).splits["test"])


def test_a_bad_alignment_is_named_by_file_and_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = tmp_path / "gold.tsv"
    gold_corpus(file, [*GOLD[:6], ("a", "b", "0-0 1:2"), *GOLD[6:]], monkeypatch)
    with pytest.raises(DataError, match="'1:2' is not a link") as caught:
        prepare(settings(tmp_path, source="sample"))
    assert str(caught.value).startswith(f"{file}, line 7: ")


def test_an_alignment_counted_from_1_is_named_as_such(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "gold.tsv"
    right = [("a b", "c d", "0-0 1-1"), ("e f g", "h i j", "0-0 1-2 2-1"), *GOLD]
    shifted = [
        (one, two, " ".join(f"{int(s) + 1}-{int(t) + 1}" for s, t in _links(links)))
        for one, two, links in right
    ]
    hint = "links are counted from 0; this file seems to count from 1"
    for rows, hinted in ((shifted, True), ([*shifted, ("k", "l", "0-0")], False)):
        gold_corpus(file, rows, monkeypatch)
        with pytest.raises(DataError, match="link 2-2 is out of range: the sentences have 2 and") as caught:
            prepare(settings(tmp_path, source="sample"))
        assert str(caught.value).startswith(f"{file}, line 1: ")
        assert (hint in str(caught.value)) == hinted


# ---------------------------------------------------------------- what cannot be


@pytest.mark.parametrize(
    ("key", "options"),
    [
        ("data.dev_fraction", {"dev_fraction": 1e-9}),
        ("data.test_fraction", {"test_fraction": 1e-9}),
    ],
)
def test_an_empty_split_names_its_setting(tmp_path: Path, key: str, options: dict[str, Any]) -> None:
    with pytest.raises(DataError, match=rf"leave the {key[5:].split('_')[0]} set empty: .*; raise {key}, or"):
        prepare(settings(tmp_path, **options))
    assert not list(tmp_path.glob("cache/prepared/*"))


@pytest.mark.parametrize("pairs", [[], [("", "a"), ("b", "")]])
def test_a_corpus_without_pairs(tmp_path: Path, pairs: list[Pair]) -> None:
    with pytest.raises(DataError, match=r"pairs\.tsv: no usable sentence pairs"):
        prepare(settings(tmp_path, pairs))
