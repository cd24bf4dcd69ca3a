"""User-provided development and test sets: read completely, and no pair of the corpus shares a sentence with
them.
"""

import json
from pathlib import Path
from typing import Any

import pytest
from small_corpus import Pair, corpus, settings, write_tsv

from nmt.config.data import DataConfig, TokenizerConfig
from nmt.config.settings import Config
from nmt.config.validation import check
from nmt.data.examples import Example
from nmt.data.prepare import Prepared, prepare
from nmt.data.text import canonical_key
from nmt.data.vocabulary import load_corpus
from nmt.errors import ConfigError, DataError

DEV = [
    ("A new sentence.", "एक नवीन वाक्य."),
    ("sentence 3 IS here", "दुसरे."),  # a source of the corpus, but for case and punctuation
    ("A new sentence.", "नवीन वाक्य."),
]
TEST = [("Something else.", "वाक्य 7 इथे आहे!"), ("And more.", "अजून एक.")]  # a target of the corpus


def write_lines(path: Path, lines: list[str]) -> str:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")
    return str(path)


def shared(prepared: Prepared, split: str) -> set[str]:
    """Canonical keys of the sentences of a split that are also in training."""
    found = {}
    for name in ("train", split):
        examples = prepared.splits[name]
        sources = {"source " + canonical_key(e.source) for e in examples}
        found[name] = sources | {"target " + canonical_key(text) for e in examples for text in e.references}
    return found["train"] & found[split]


def test_tsv_files(tmp_path: Path) -> None:
    dev, test = write_tsv(tmp_path / "dev (1).tsv", DEV), write_tsv(tmp_path / "test.tsv", TEST)
    prepared = prepare(settings(tmp_path, dev_path=str(dev), test_path=str(test)))
    assert prepared.splits["dev"] == [
        Example("A new sentence.", ("एक नवीन वाक्य.", "नवीन वाक्य."), ("", "")),
        Example("sentence 3 IS here", ("दुसरे.",), ("",)),
    ]
    assert [e.source for e in prepared.splits["test"]] == ["Something else.", "And more."]
    report = prepared.report
    assert report["dropped"]["in_dev"] == 2  # sentence 3 has two translations
    assert report["dropped"]["in_test"] == 1
    assert report["pairs_read"] == len(corpus())
    assert report["splits"]["train"]["pairs"] == report["pairs_kept"] == len(corpus()) - 3
    assert report["splits"]["dev"] == {"examples": 2, "sources": 2, "pairs": 3}
    assert [(file["name"], file.get("split")) for file in report["files"]] == [
        ("pairs.tsv", None),
        ("dev (1).tsv", "dev"),
        ("test.tsv", "test"),
    ]
    assert report["dev_in_test"] == 0
    assert not shared(prepared, "dev") | shared(prepared, "test")


def text_files(tmp_path: Path, split: str = "test") -> dict[str, Any]:
    source = write_lines(tmp_path / f"{split}.en", ["One.", "Sentence 5 is here.", "One."])
    first = write_lines(tmp_path / f"{split}.0.mr", ["एक.", "पाच.", "एक."])
    second = write_lines(tmp_path / f"{split}.1.mr", ["एकच.", "", "वाक्य 9 इथे आहे."])
    return {f"{split}_source_path": source, f"{split}_target_paths": [first, second]}


@pytest.mark.parametrize("corpus_of", ["tsv", "moses"])
def test_plain_text_with_several_references(tmp_path: Path, corpus_of: str) -> None:
    """One example a line, repeated ones included, so that scores compare with other systems'."""
    options = text_files(tmp_path)
    if corpus_of == "moses":
        sides = [list(side) for side in zip(*corpus(), strict=True)]
        paths = [write_lines(tmp_path / f"train.{k}", side) for k, side in enumerate(sides)]
        options |= {"source": "moses", "source_path": paths[0], "target_path": paths[1]}
    prepared = prepare(settings(tmp_path, **options))
    assert prepared.splits["test"] == [
        Example("One.", ("एक.", "एकच."), ("", "")),
        Example("Sentence 5 is here.", ("पाच.",), ("",)),
        Example("One.", ("एक.", "वाक्य 9 इथे आहे."), ("", "")),
    ]
    assert prepared.report["dropped"]["in_test"] == 2  # sentence 5, and one translation of sentence 9
    assert not shared(prepared, "test")
    assert prepared.splits["dev"]  # still a fraction of the corpus
    assert not shared(prepared, "dev")


def test_swapped_with_the_corpus(tmp_path: Path) -> None:
    dev = write_tsv(tmp_path / "dev.tsv", DEV)
    options = text_files(tmp_path)
    options["test_target_paths"] = options["test_target_paths"][:1]
    prepared = prepare(settings(tmp_path, dev_path=str(dev), swap=True, **options))
    assert [e.source for e in prepared.splits["dev"]] == ["एक नवीन वाक्य.", "दुसरे.", "नवीन वाक्य."]
    assert prepared.splits["test"][0] == Example("एक.", ("One.",), ("",))
    assert prepared.report["dropped"]["in_dev"] == 2
    assert not shared(prepared, "dev") | shared(prepared, "test")


def test_columns_and_alignments_are_those_of_the_corpus(tmp_path: Path) -> None:
    rows = [f"x\tवाक्य {i}\tSentence {i}\t0-0 1-1" for i in range(60)]
    corpus_file = write_lines(tmp_path / "corpus.tsv", rows)
    dev = write_lines(tmp_path / "dev.tsv", ["-\tएक दोन\tOne two\t0-1 1-0"])
    columns = {"source_column": 3, "target_column": 2, "alignment_column": 4}
    prepared = prepare(settings(tmp_path, path=corpus_file, dev_path=dev, **columns))
    assert prepared.splits["dev"] == [Example("One two", ("एक दोन",), ("0-1 1-0",))]
    swapped = prepare(settings(tmp_path, path=corpus_file, dev_path=dev, swap=True, **columns))
    assert swapped.splits["dev"] == [Example("एक दोन", ("One two",), ("0-1 1-0",))]


def test_the_fingerprint_covers_them(tmp_path: Path) -> None:
    dev = write_tsv(tmp_path / "dev.tsv", DEV)
    without, with_dev = prepare(settings(tmp_path)), prepare(settings(tmp_path, dev_path=str(dev)))
    as_test = prepare(settings(tmp_path, test_path=str(dev)))
    write_tsv(dev, [*DEV, ("More.", "आणखी.")])
    changed = prepare(settings(tmp_path, dev_path=str(dev)))
    assert len({one.report["fingerprint"] for one in (without, with_dev, as_test, changed)}) == 4
    moved = write_tsv(tmp_path / "elsewhere.tsv", DEV)
    assert prepare(settings(tmp_path, dev_path=str(moved))).folder == with_dev.folder


def test_sentences_in_both_sets_are_counted(tmp_path: Path) -> None:
    dev = write_tsv(tmp_path / "dev.tsv", [*DEV, TEST[1]])
    test = write_tsv(tmp_path / "test.tsv", TEST)
    prepared = prepare(settings(tmp_path, dev_path=str(dev), test_path=str(test)))
    assert prepared.report["dev_in_test"] == 1


def test_a_corpus_all_of_which_is_in_the_sets(tmp_path: Path) -> None:
    test = write_tsv(tmp_path / "test.tsv", corpus())
    with pytest.raises(DataError, match="no usable sentence pairs; 80 share a sentence with the dev"):
        prepare(settings(tmp_path, test_path=str(test)))


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([], r"dev\.tsv: contains no sentences"),
        ([("a", "b"), ("", "c")], r"dev\.tsv, line 2: the source sentence is empty"),
        ([("a", " ")], r"dev\.tsv, line 1: the target sentence is empty"),
    ],
)
def test_what_is_missing_is_named(tmp_path: Path, pairs: list[Pair], message: str) -> None:
    dev = write_tsv(tmp_path / "dev.tsv", pairs)
    with pytest.raises(DataError, match=message):
        prepare(settings(tmp_path, dev_path=str(dev)))


def test_missing_lines_and_files_are_named(tmp_path: Path) -> None:
    options = text_files(tmp_path)
    with pytest.raises(DataError, match=r"^data\.test_target_paths=none: no such file in /"):
        prepare(settings(tmp_path, **options | {"test_target_paths": ["none"]}))
    write_lines(tmp_path / "test.en", ["One.", "", "One."])
    with pytest.raises(DataError, match=r"test\.en, line 2: an empty line cannot be translated"):
        prepare(settings(tmp_path, **options))
    write_lines(tmp_path / "test.1.mr", ["एक."])
    with pytest.raises(DataError, match=r"has no counterpart: \S*test\.1\.mr has 1 lines"):
        prepare(settings(tmp_path, **options))


@pytest.mark.parametrize(
    ("options", "key"),
    [
        (
            {"dev_path": "a", "dev_source_path": "b", "dev_target_paths": ["c"]},
            "data.dev_path and data.dev",
        ),
        ({"test_source_path": "b"}, "data.test_target_paths: data.test_source_path needs it"),
        ({"test_target_paths": ["b"]}, "data.test_source_path: data.test_target_paths needs it"),
        (
            {"dev_source_path": "a", "dev_target_paths": ["b", "c"], "swap": True},
            "data.dev_target_paths:",
        ),
    ],
)
def test_files_that_do_not_go_together(options: dict[str, Any], key: str) -> None:
    with pytest.raises(ConfigError, match=f"^{key}"):
        check(Config(data=DataConfig(**options)))


def test_a_fraction_beside_a_set_of_ones_own_is_refused() -> None:
    config = Config(data=DataConfig(dev_path="dev.tsv", dev_fraction=0.1))
    check(config)  # an experiment may set it
    with pytest.raises(ConfigError, match=r"^data\.dev_fraction=0\.1: has no effect with data\.dev_path=dev"):
        check(config, {"data.dev_fraction"})


def test_what_hangs_together_cannot_be_split(tmp_path: Path) -> None:
    pairs = [(f"Source {i}.", target) for i in range(300) for target in ("एक.", "दोन.")]
    with pytest.raises(DataError) as caught:
        prepare(settings(tmp_path, pairs))
    said = str(caught.value)
    assert "all of its 600 usable pairs are connected through shared sentences" in said
    assert "the largest connected component has 600" in said
    assert "data.dev_path=FILE.tsv" in said
    assert "fraction" not in said
    test = write_tsv(tmp_path / "test.tsv", TEST)
    dev = write_tsv(tmp_path / "dev.tsv", DEV)
    assert prepare(settings(tmp_path, pairs, dev_path=str(dev), test_path=str(test))).splits["train"]


# ---------------------------------------------------------------- tokens


def tokenised(tmp_path: Path, extra: list[Pair], **options: Any) -> Prepared:
    config = settings(tmp_path, [*corpus(), *extra], tokenizer=TokenizerConfig(vocab_size=320), **options)
    return load_corpus(config).prepared


def test_pairs_of_too_many_tokens_are_dropped_and_counted(tmp_path: Path) -> None:
    extra = [("x" * 3000, "वाक्य" * 500), ("ab" * 90, "लांब " * 50)]
    prepared = tokenised(tmp_path, extra, max_tokens=100)
    full = json.loads((prepared.folder / "prepared.json").read_text())
    assert prepared.report["dropped"] == full["dropped"] | {"too_many_tokens": 2}
    assert prepared.report["pairs_kept"] == full["pairs_kept"] - 2 == len(corpus())
    assert sum(size["pairs"] for size in prepared.report["splits"].values()) == len(corpus())
    texts = [
        text for examples in prepared.splits.values() for e in examples for text in (e.source, *e.references)
    ]
    assert max(map(len, texts)) < 100


def test_without_such_pairs_nothing_changes(tmp_path: Path) -> None:
    prepared = tokenised(tmp_path, [])
    assert "too_many_tokens" not in prepared.report["dropped"]


def test_nothing_of_a_set_of_ones_own_is_dropped(tmp_path: Path) -> None:
    test = write_tsv(tmp_path / "test.tsv", [*TEST, ("x" * 3000, "क" * 3000)])
    with pytest.raises(
        DataError, match=r"test\.tsv: test sentence 3 has more than data\.max_tokens=500 tokens"
    ):
        tokenised(tmp_path, [], test_path=str(test))


def test_a_limit_that_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"^data\.max_tokens=1: leaves the train set empty; raise it"):
        tokenised(tmp_path, [], max_tokens=1)


def test_a_set_may_lack_the_column_of_alignments(tmp_path: Path) -> None:
    rows = [f"Sentence {i}\tवाक्य {i}\t0-0 1-1" for i in range(60)]
    corpus_file = write_lines(tmp_path / "corpus.tsv", rows)
    dev = write_lines(tmp_path / "dev.tsv", ["One two\tएक दोन"])
    prepared = prepare(settings(tmp_path, path=corpus_file, dev_path=dev, alignment_column=3))
    assert prepared.splits["dev"] == [Example("One two", ("एक दोन",), ("",))]


@pytest.mark.parametrize("fraction", [0.02, 0.2])
def test_a_few_components_cannot_be_split(tmp_path: Path, fraction: float) -> None:
    """No fraction helps."""
    pairs = [(f"Source {i}.", "एक.") for i in range(12)]
    with pytest.raises(DataError, match="all of its 12 usable pairs are connected") as caught:
        prepare(settings(tmp_path, pairs, dev_fraction=fraction, test_fraction=fraction))
    assert "fraction" not in str(caught.value)


def test_what_dropped_most_of_the_corpus_is_named(tmp_path: Path) -> None:
    pairs = [(f"A very long source sentence, number {i}.", "क") for i in range(50)]
    with pytest.raises(DataError, match=r"; 50 more were dropped by data\.max_ratio$"):
        prepare(settings(tmp_path, [("a b", "क ख"), *pairs]))
