"""`data.rare_words`: the new pairs as a part of the prepared training set."""

import dataclasses
from pathlib import Path

import pytest

from nmt.config.data import DataConfig
from nmt.data import made_pairs
from nmt.data.mixture import Part
from nmt.data.prepare import Prepared, prepare
from nmt.data.substitution.substitute import Substitution
from nmt.errors import ConfigError
from tests.small_corpus import settings

Pair = tuple[str, str]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[list[Pair], int]]:
    """What `substitutions` is called with, in place of its work: for each pair it returns one with a new
    word, and for the first one also the pair itself.
    """
    calls: list[tuple[list[Pair], int]] = []

    def substitutions(pairs: list[Pair], per_word: int) -> list[Substitution]:
        calls.append((pairs, per_word))
        made = [(f"New {source}", f"नवीन {target}") for source, target in pairs]
        return [Substitution(*pair, "New", "नवीन") for pair in [*made, pairs[0]]]

    monkeypatch.setattr("nmt.data.substitution.substitute.substitutions", substitutions)
    return calls


def train(prepared: Prepared) -> list[Pair]:
    return [(example.source, example.references[0]) for example in prepared.splits["train"]]


def test_new_pairs_follow_the_training_set(tmp_path: Path, asked: list[tuple[list[Pair], int]]) -> None:
    plain = prepare(settings(tmp_path), 1)
    config = settings(tmp_path, rare_words=3)
    prepared = prepare(config, 1)
    pairs = train(plain)
    assert asked == [(pairs, 3)]
    assert train(prepared) == pairs + [(f"New {source}", f"नवीन {target}") for source, target in pairs]
    assert prepared.mixture == (Part(len(pairs)), Part(len(pairs)))
    (entry,) = prepared.report["extra"]
    assert (entry["kind"], entry["pairs_kept"], entry["dropped"]["duplicate"]) == (
        "rare_words",
        len(pairs),
        1,
    )
    for split in ("dev", "test"):
        assert prepared.splits[split] == plain.splits[split]
    assert prepare(config, 1) == prepared
    assert len(asked) == 1


def test_a_new_pair_that_shares_a_sentence_with_the_test_set_is_dropped(
    tmp_path: Path, asked: list[tuple[list[Pair], int]]
) -> None:
    own = tmp_path / "test.tsv"
    own.write_text("new sentence 7 is HERE\tएक\n", encoding="utf-8")
    prepared = prepare(settings(tmp_path, rare_words=1, test_path=str(own)), 1)
    assert not any(source.startswith("New Sentence 7 ") for source, _ in train(prepared))
    assert prepared.report["extra"][0]["dropped"]["in_test"] >= 1


def test_the_other_direction(tmp_path: Path, asked: list[tuple[list[Pair], int]]) -> None:
    """The rare words are those of the source of the translation."""
    prepared = prepare(settings(tmp_path, rare_words=2, swap=True), 1)
    pairs = train(prepared)
    half = len(pairs) // 2
    assert asked == [(pairs[:half], 2)]
    assert pairs[0][0].startswith("वाक्य")
    assert pairs[half:] == [(f"New {source}", f"नवीन {target}") for source, target in pairs[:half]]


def test_another_number_is_another_preparation(tmp_path: Path, asked: list[tuple[list[Pair], int]]) -> None:
    folders = {prepare(settings(tmp_path, rare_words=number), 1).folder for number in (0, 1, 2)}
    assert len(folders) == 3
    assert [per_word for _, per_word in asked] == [1, 2]


def test_with_extra_corpora_it_comes_last(tmp_path: Path, asked: list[tuple[list[Pair], int]]) -> None:
    from nmt.config.extra_corpus import ExtraCorpus

    more = tmp_path / "more.tsv"
    more.write_text("Other words\tइतर शब्द\n", encoding="utf-8")
    config = dataclasses.replace(settings(tmp_path, rare_words=1), extra=[ExtraCorpus(path=str(more))])
    prepared = prepare(config, 1)
    assert [entry["kind"] for entry in prepared.report["extra"]] == ["tsv", "rare_words"]
    assert ("Other words", "इतर शब्द") not in asked[0][0]
    assert [part.lines for part in prepared.mixture][1] == 1


def test_a_large_training_set_is_refused(
    tmp_path: Path, asked: list[tuple[list[Pair], int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(made_pairs, "MOST_PAIRS", 10)
    with pytest.raises(ConfigError, match=r"data\.rare_words=1: for training sets of at most 10 pairs"):
        prepare(settings(tmp_path, rare_words=1), 1)


@pytest.mark.slow
def test_bundled_corpus(tmp_path: Path) -> None:
    """Nothing is mocked: in the other direction, where words are inflected, many are rare."""
    config = DataConfig(source="sample", cache=str(tmp_path), rare_words=1, swap=True)
    prepared = prepare(config, 1)
    made = prepared.report["extra"][0]["pairs_kept"]
    assert 20 < made == prepared.mixture[1].lines
