"""Substitution of rare words: its parts against plain loops, and what comes out."""

import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from nmt.data.substitution import fit, substitute, vectors
from nmt.data.substitution.fit import Fit, Joins
from nmt.data.substitution.sides import read_side
from nmt.data.substitution.slots import Slots, find_slots, slots_of
from nmt.data.substitution.substitute import substitutions
from nmt.data.substitution.vectors import word_vectors
from nmt.data.text import words

CORPUS = Path(__file__).resolve().parents[2] / "data" / "sample" / "corpus.tsv"
RARE, TRANSLATION = "room", "खोलीत"


def sample(lines: int = 3000) -> list[tuple[str, str]]:
    rows = [line.split("\t") for line in CORPUS.read_text(encoding="utf-8").splitlines()[:lines]]
    return [(row[0], row[1]) for row in rows]


@pytest.fixture(scope="module")
def pairs() -> list[tuple[str, str]]:
    """The bundled corpus with three of its sentences about a room."""
    rows = sample()
    about = [number for number, row in enumerate(rows) if RARE in words(row[0].casefold())]
    kept = [number for number in about if TRANSLATION in words(rows[number][1])][:3]
    return [row for number, row in enumerate(rows) if number in kept or number not in about]


@pytest.fixture(scope="module")
def found(pairs: list[tuple[str, str]]) -> list[substitute.Substitution]:
    return substitutions(pairs, 4)


def test_words_of_a_side() -> None:
    side = read_side(["The Cat sat.", "A cat sat.", "The Cat sat.", "Up"])
    assert [side.vocabulary[word] for word in side.ids[2:6]] == ["the", "cat", "sat", "."]
    assert side.words(1) == ["a", "cat", "sat", "."]
    count = dict(zip(side.vocabulary, side.counts.tolist(), strict=True))
    assert count == {"\n": 0, "the": 1, "cat": 2, "sat": 2, ".": 2, "a": 1, "up": 1}
    form = dict(zip(side.vocabulary, side.forms, strict=True))
    assert (form["cat"], form["the"], form["up"]) == ("Cat", "The", "Up")
    at = np.array(side.starts)
    assert (side.ids[at - 1] == 0).all()
    assert (side.ids[at + side.sizes] == 0).all()


def test_words_of_one_shape_can_stand_for_each_other() -> None:
    side = read_side(["x big red Tom Mary don't केळी पोळी बटाटा मूल घर ."])
    shape = dict(zip(side.vocabulary, side.shapes().tolist(), strict=True))
    assert shape["big"] == shape["red"]
    assert shape["tom"] == shape["mary"] != shape["big"]
    assert shape["don't"] not in (shape["big"], shape["tom"])
    assert shape["केळी"] == shape["पोळी"]
    assert len({shape[w] for w in ("केळी", "बटाटा", "मूल", "big")}) == 3
    assert shape["मूल"] == shape["घर"]


def test_vectors_have_the_similarities_of_the_full_decomposition(monkeypatch: pytest.MonkeyPatch) -> None:
    """A plain table of weighted contexts, decomposed by `numpy.linalg.svd`."""
    monkeypatch.setattr(vectors, "DIMENSIONS", 4)
    monkeypatch.setattr(vectors, "_MORE", 1000)  # more than there are words: exact
    sentences = [pair[0] for pair in sample(40)] * 2  # those that are repeated count once
    side = read_side(sentences)
    contexts: dict[str, Counter[tuple[object, ...]]] = {word: Counter() for word in side.vocabulary}
    for sentence in dict.fromkeys(sentences):
        row = ["\n", "\n", *words(sentence.casefold()), "\n", "\n"]
        for k, word in enumerate(row[2:-2], 2):
            b2, b, a, a2 = row[k - 2], row[k - 1], row[k + 1], row[k + 2]
            contexts[word].update([(1, b), (2, a), (3, b2), (4, a2), (5, b, a), (6, b2, b), (7, a, a2)])
            contexts[word].update([(8, b[-2:]), (9, a[-2:]), (10, b[-2:], a[-2:]), (11, row[-4][-2:])])
    table: dict[tuple[str, tuple[object, ...]], float] = {}
    for word, counter in contexts.items():
        occurrences = sum(count for context, count in counter.items() if context[0] == 1)
        table |= {(word, one): math.sqrt(count / occurrences) for one, count in counter.items()}
        table |= {(word, (f"own {n}", word[-n:])): w for n, w in ((1, 0.5), (2, 0.5), (3, 0.3))}
    shared = Counter(context for _, context in table)
    columns = [context for context, count in shared.items() if count > 1]
    V = len(side.vocabulary)
    matrix = np.array(
        [[table.get((w, c), 0) * math.log(V / shared[c]) for c in columns] for w in side.vocabulary]
    )
    lengths = np.linalg.norm(matrix, axis=1, keepdims=True)
    left, values, _ = np.linalg.svd(matrix / np.where(lengths > 0, lengths, 1))
    expected = left[:, :4] * np.sqrt(values[:4])
    expected /= np.linalg.norm(expected, axis=1, keepdims=True)
    expected[lengths[:, 0] == 0] = 0
    result = word_vectors(side)
    np.testing.assert_allclose(result @ result.T, expected @ expected.T, atol=1e-9)


def test_fit_is_the_estimate_without_the_slots_own_pair() -> None:
    source = read_side([pair[0] for pair in sample(300)])
    target = read_side([pair[1] for pair in sample(300)])
    slots = find_slots(source, target)
    of_pair = slots_of(slots.pair, len(slots.source_words))
    chosen = sorted(range(len(of_pair)), key=lambda k: -len(of_pair[k]))[:3]
    weights = np.array([0.9, 0.5, 0.2])
    result = Fit(source, target, slots)([of_pair[k] for k in chosen], weights)

    def beside(slot: int, place: int) -> str:
        side, at = ((source, slots.source), (target, slots.target))[place // 2]
        return side.vocabulary[side.ids[at[slot] + (-1, 1)[place % 2]]]

    expected = []
    for own in chosen:
        for slot in of_pair[own]:
            row = []
            for place in range(4):
                ratios = []
                for letters in (None, 2):
                    last = slice(None) if letters is None else slice(-letters, None)
                    seen = Counter(beside(k, place)[last] for k in range(len(slots.pair)))
                    context, estimate, total = beside(int(slot), place)[last], 0.0, 0.0
                    for pair, weight in zip(chosen, weights, strict=True):
                        if pair != own:
                            same = sum(beside(int(k), place)[last] == context for k in of_pair[pair])
                            estimate += weight * same / len(of_pair[pair])
                            total += weight
                    ratios.append(estimate / total / (seen[context] / len(slots.pair)))
                row.append(math.log(fit.WORD * ratios[0] + fit.ENDING * ratios[1] + 1e-3))
            expected.append(row)
    np.testing.assert_allclose(result, expected, atol=1e-9)


def test_joins_are_by_the_letters_that_were_seen() -> None:
    side = read_side(["an apple", "an animal", "a tree", "a table", "an ode", "a ax", "a seal"])
    word = {text: number for number, text in enumerate(side.vocabulary)}
    joins = Joins(side)
    after_an, after_a = side.starts[0] + 1, side.starts[2] + 1
    assert joins(np.array([after_an, after_a]), word["animal"]).tolist() == [True, False]  # "a ax" once
    assert joins(np.array([after_an, after_a]), word["table"]).tolist() == [False, True]


def test_slots_have_one_sure_link(pairs: list[tuple[str, str]]) -> None:
    source, target = read_side([pair[0] for pair in pairs]), read_side([pair[1] for pair in pairs])
    slots = find_slots(source, target)
    assert isinstance(slots, Slots)
    assert len(slots.pair) > len(pairs)
    here = list(zip(source.ids[slots.source], target.ids[slots.target], strict=True))
    assert here == [(slots.source_words[k], slots.target_words[k]) for k in slots.pair]
    assert len(set(slots.source.tolist())) == len(slots.source) == len(set(slots.target.tolist()))
    assert all(source.vocabulary[one][0] >= "a" for one, _ in here)  # no punctuation
    of_pair = slots_of(slots.pair, len(slots.source_words))
    assert all((slots.pair[members] == k).all() for k, members in enumerate(of_pair))


def test_a_rare_word_comes_with_its_translation_into_other_sentences(
    pairs: list[tuple[str, str]], found: list[substitute.Substitution]
) -> None:
    known = dict(pairs)
    rooms = [one for one in found if one.word == RARE]
    assert 2 <= len(rooms) <= 4
    for one in rooms:
        assert one.translation == TRANSLATION
        assert RARE in words(one.source)
        assert TRANSLATION in words(one.target)
        assert one.source not in known
        original = [
            (source, target)
            for source, target in pairs
            if len(a := words(source)) == len(b := words(one.source))
            and sum(x != y for x, y in zip(a, b, strict=True)) == 1
            and len(c := words(target)) == len(d := words(one.target))
            and sum(x != y for x, y in zip(c, d, strict=True)) == 1
        ]
        assert original  # one word differs on each side


def test_every_rare_word_has_at_most_so_many_and_no_pair_twice(
    pairs: list[tuple[str, str]], found: list[substitute.Substitution]
) -> None:
    counts = Counter(word for source in {pair[0] for pair in pairs} for word in words(source.casefold()))
    new = Counter(one.word.casefold() for one in found)
    assert new
    assert max(new.values()) <= 4
    assert all(counts[word] <= substitute.RARE for word in new)
    assert len({one.source for one in found}) == len(found)


def test_a_word_at_the_beginning_is_capitalised(found: list[substitute.Substitution]) -> None:
    assert all(one.source[0].isupper() for one in found)


def test_nothing_is_random(pairs: list[tuple[str, str]], found: list[substitute.Substitution]) -> None:
    assert substitutions(pairs, 4) == found


def test_without_pairs_there_is_nothing() -> None:
    assert substitutions([], 3) == []
