"""Changes of a source are detected, and sentences that moved between splits are counted."""

import os
from pathlib import Path

from small_corpus import corpus, settings, write_tsv

from nmt.data.prepare import Prepared, prepare


def split_of(prepared: Prepared) -> dict[str, str]:
    return {example.source: split for split, examples in prepared.splits.items() for example in examples}


def test_the_first_preparation_has_nothing_to_compare_with(tmp_path: Path) -> None:
    assert prepare(settings(tmp_path)).report["since_previous"] is None


def test_new_and_gone_sentences_are_counted_and_none_moves(tmp_path: Path) -> None:
    config = settings(tmp_path)
    first = prepare(config)
    write_tsv(tmp_path / "pairs.tsv", [*corpus()[1:], ("A new one.", "नवीन.")])
    report = prepare(config).report["since_previous"]
    gone = 0 if any(source == corpus()[0][0] for source, _ in corpus()[1:]) else 1
    expected = {"previous": first.folder.name, "new_sources": 1, "gone_sources": gone, "moved_sources": 0}
    assert report == expected


def test_sentences_that_a_new_pair_connects_may_move_and_are_counted(tmp_path: Path) -> None:
    config = settings(tmp_path)
    before = split_of(prepare(config))
    trained = next(source for source, split in before.items() if split == "train")
    tested = next(source for source, split in before.items() if split == "test")
    translations = dict(corpus())
    write_tsv(tmp_path / "pairs.tsv", [*corpus(), (trained, translations[tested])])  # connects the two
    prepared = prepare(config)
    after = split_of(prepared)
    assert after[trained] == after[tested]
    moved = sum(after[source] != split for source, split in before.items())
    assert moved >= 1
    assert prepared.report["since_previous"]["moved_sources"] == moved


def test_other_settings_and_corrupt_preparations_are_no_previous_ones(tmp_path: Path) -> None:
    corrupt = prepare(settings(tmp_path)).folder
    (corrupt / "dev.jsonl").write_text("no json\n", encoding="utf-8")
    assert prepare(settings(tmp_path, max_words=7)).report["since_previous"] is None
    write_tsv(tmp_path / "pairs.tsv", corpus()[1:])
    assert prepare(settings(tmp_path)).report["since_previous"] is None


def test_the_newest_of_several_counts(tmp_path: Path) -> None:
    folders = []
    for age, extra in ((30, "One."), (10, "Two."), (20, "Three.")):
        write_tsv(tmp_path / "pairs.tsv", [*corpus(), (extra, "एक.")])
        folder = prepare(settings(tmp_path)).folder
        stamp = 1_700_000_000 - age
        os.utime(folder / "prepared.json", (stamp, stamp))
        folders.append(folder.name)
    write_tsv(tmp_path / "pairs.tsv", corpus())
    assert prepare(settings(tmp_path)).report["since_previous"]["previous"] == folders[1]
