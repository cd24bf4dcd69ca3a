"""Components and splits: no sentence is in two splits, and nothing moves without need."""

import random
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.config.data import DataConfig
from nmt.data.keys import Keys, text_keys
from nmt.data.prepare import prepare
from nmt.data.split import LARGE_COMPONENT, SPLITS, assign_splits, components
from nmt.data.text import canonical_key

Pair = tuple[str, str]

# few words, so that pairs share sentences; several spellings of one sentence, with the same canonical key
sentence = st.sampled_from(["a", "A.", "a!", "b", "B", "c", "d", "e", "f", "?!", "!?", "क", "क।", "ख", "ग"])
corpora = st.lists(st.tuples(sentence, sentence), max_size=25)


def keys_of(pairs: list[Pair]) -> tuple[Keys, Keys]:
    return text_keys(canonical_key(first) for first, _ in pairs), text_keys(
        canonical_key(second) for _, second in pairs
    )


def splits_of(pairs: list[Pair], dev: float = 0.2, test: float = 0.3) -> list[str]:
    first, second = keys_of(pairs)
    return [SPLITS[k] for k in assign_splits(first, components(first, second), dev, test)]


def closure(pairs: list[Pair]) -> list[set[int]]:
    """For each pair all that sharing connects it to, by the definition: repeat until nothing changes."""
    keys = [(canonical_key(first), canonical_key(second)) for first, second in pairs]
    near = [{j for j, other in enumerate(keys) if one[0] == other[0] or one[1] == other[1]} for one in keys]
    while True:
        wider = [set().union(*(near[j] for j in reached)) for reached in near]
        if wider == near:
            return near
        near = wider


@settings(deadline=None)
@given(corpora)
def test_components_are_the_transitive_closure_of_sharing(pairs: list[Pair]) -> None:
    names = components(*keys_of(pairs)).tolist()
    together = [{j for j, other in enumerate(names) if other == name} for name in names]
    assert together == closure(pairs)


@settings(deadline=None)
@given(pairs=corpora, dev=st.floats(0.01, 0.49), test=st.floats(0.01, 0.49))
def test_no_sentence_of_either_side_is_in_two_splits(pairs: list[Pair], dev: float, test: float) -> None:
    splits = splits_of(pairs, dev, test)
    assert set(splits) <= set(SPLITS)
    for side in (0, 1):
        where: dict[str, set[str]] = {}
        for pair, split in zip(pairs, splits, strict=True):
            where.setdefault(canonical_key(pair[side]), set()).add(split)
        assert all(len(found) == 1 for found in where.values()), where


@settings(deadline=None)
@given(pairs=corpora, seed=st.randoms(use_true_random=False))
def test_the_order_of_pairs_does_not_matter(pairs: list[Pair], seed: random.Random) -> None:
    before = dict(zip(pairs, splits_of(pairs), strict=True))
    seed.shuffle(pairs)
    assert dict(zip(pairs, splits_of(pairs), strict=True)) == before


@settings(deadline=None)
@given(pairs=corpora, number=st.integers(1, 30))
def test_unrelated_pairs_move_nothing(pairs: list[Pair], number: int) -> None:
    others = [(f"other {i}", f"another {i}") for i in range(number)]
    assert splits_of(others[: number // 2] + pairs + others[number // 2 :])[number // 2 :][: len(pairs)] == (
        splits_of(pairs)
    )


@settings(deadline=None)
@given(pairs=corpora.filter(bool), data=st.data())
def test_a_further_translation_of_a_known_sentence_moves_nothing(
    pairs: list[Pair], data: st.DataObject
) -> None:
    first = data.draw(st.sampled_from(pairs))[0]
    spelling = data.draw(st.sampled_from([first, first.swapcase(), f" {first}"]))
    more = [*pairs, (spelling, "entirely new")]
    assert splits_of(more)[:-1] == splits_of(pairs)


def singletons(number: int) -> list[Pair]:
    return [(f"sentence {i}", f"वाक्य {i}") for i in range(number)]


def test_fractions_are_about_right() -> None:
    counts = Counter(splits_of(singletons(5000), dev=0.1, test=0.2))
    # binomial: three standard deviations are 64 and 85
    assert abs(counts["dev"] - 500) < 64
    assert abs(counts["test"] - 1000) < 85


def test_a_larger_test_set_takes_nothing_out_of_it() -> None:
    pairs = singletons(500)
    small, large = splits_of(pairs, 0.1, 0.1), splits_of(pairs, 0.1, 0.3)
    assert all(after == "test" for before, after in zip(small, large, strict=True) if before == "test")
    assert small != large


@pytest.mark.parametrize("extra", [0, 1])
def test_only_a_large_component_is_always_training(extra: int) -> None:
    size = LARGE_COMPONENT + extra
    found = set()
    for number in range(12):  # by chance alone, twelve components would hardly go to one split
        pairs = [(f"source {number} {i}", f"shared {number}") for i in range(size)]
        splits = set(splits_of(pairs, 0.25, 0.25))
        assert len(splits) == 1
        found |= splits
    assert (found == {"train"}) == (extra > 0)


def test_the_bundled_corpus_has_no_leaks(tmp_path: Path) -> None:
    splits = prepare(DataConfig(source="sample", cache=str(tmp_path))).splits
    sources = {split: {canonical_key(e.source) for e in splits[split]} for split in SPLITS}
    targets = {split: {canonical_key(r) for e in splits[split] for r in e.references} for split in SPLITS}
    assert all(len(sources[split]) > 100 for split in SPLITS)
    for sentences in (sources, targets):
        for one, other in (("train", "dev"), ("train", "test"), ("dev", "test")):
            assert not sentences[one] & sentences[other]
