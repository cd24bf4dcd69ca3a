"""`data.input_variants`: training pairs with the source as people type it."""

import itertools
from pathlib import Path

import pytest
from small_corpus import Pair, corpus, settings, write_tsv

from nmt.config.data import DataConfig
from nmt.data import made_pairs
from nmt.data.input_variants import input_variant, input_variants, without_final_mark
from nmt.data.prepare import Prepared, prepare
from nmt.data.text import canonical_key

SAMPLE = Path(__file__).resolve().parents[2] / "data" / "sample" / "corpus.tsv"
BOTH = {"both_directions": True, "languages": ["en", "mr"]}


def sample() -> list[Pair]:
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    return [(line.split("\t")[0], line.split("\t")[1]) for line in lines]


def train(prepared: Prepared) -> list[Pair]:
    return [(example.source, example.references[0]) for example in prepared.splits["train"]]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("I know.", "I know"),
        ("Where is it?!", "Where is it"),
        ("Well …", "Well"),
        ("Wait...", "Wait"),
        ("तो चांगला मुलगा आहे।", "तो चांगला मुलगा आहे"),
        ("इति॥", "इति"),
        ("我知道。", "我知道"),
        ("你好吗？", "你好吗"),
        ("أين هو؟", "أين هو"),
        ("میں جانتا ہوں۔", "میں جانتا ہوں"),
        ("Գիտեմ։", "Գիտեմ"),
        ("እኔ አውቃለሁ።", "እኔ አውቃለሁ"),
        ("Πού είναι;", "Πού είναι"),
        ("¿Dónde está?", "Dónde está"),
        ("Hola, ¿qué tal?", "Hola, qué tal"),
        ("¿Qué? ¡No!", "¿Qué? No"),
        ("It costs $5.20", "It costs $5.20"),
        ('He said: "I know."', 'He said: "I know."'),
        ("?!", "?!"),
        ("", ""),
    ],
)
def test_final_marks(text: str, expected: str) -> None:
    assert without_final_mark(text) == expected


def test_each_variation_has_its_share_and_they_are_independent() -> None:
    made = [input_variant(f"Tom, don't take {n}.", f"टॉम, {n} घेऊ नको.") for n in range(4000)]
    sources = [source for source, _ in made]
    stopped, lower = [s.endswith(".") for s in sources], [s.islower() for s in sources]
    comma, curly = [s.lower().startswith("tom,") for s in sources], ["’" in s for s in sources]
    shares = {
        "final mark": (stopped, 3 / 8),
        "space before it": ([s.endswith(" .") for s in sources], 1 / 8),
        "lower case": (lower, 1 / 2),
        "typographic": (curly, 1 / 4),
        "no apostrophe": (["dont" in s.lower() for s in sources], 1 / 4),
        "comma": (comma, 1 / 2),
        "together": ([all(one) for one in zip(stopped, lower, comma, curly, strict=True)], 3 / 128),
    }
    found = {name: sum(cases) / len(made) for name, (cases, _) in shares.items()}
    assert found == pytest.approx({name: share for name, (_, share) in shares.items()}, abs=0.025)
    for n, (target, stop) in enumerate(zip((target for _, target in made), stopped, strict=True)):
        assert target == f"टॉम, {n} घेऊ नको" + "." * stop


@pytest.mark.parametrize(
    ("target", "typed"),
    [("तो कुठे आहे?", "तो कुठे आहे?"), ("तो कुठे आहे!", "तो कुठे आहे"), ("तो कुठे आहे", "तो कुठे आहे")],
)
def test_a_question_stays_one_in_the_translation(target: str, typed: str) -> None:
    sources = [f"{name}, where is he?" for name in ("Ann", "Tom", "Bob", "Mary", "Dan", "Sue", "Jim", "Al")]
    made = [input_variant(source, target) for source in sources]
    assert {variant for source, variant in made if not source.endswith("?")} == {typed}
    assert {variant for source, variant in made if source.endswith("?")} <= {target}


def test_a_source_without_a_mark_leaves_the_translation_its_own() -> None:
    pairs = [(f"House number {n}", f"घर क्रमांक {n}.") for n in range(20)]
    assert [target for _, target in map(input_variant, *zip(*pairs, strict=True))] == [t for _, t in pairs]


def test_it_is_a_function_of_the_pair() -> None:
    pairs = sample()[:300]
    made = list(input_variants(pairs))
    assert list(input_variants(reversed(pairs))) == made[::-1]
    assert not set(made) & set(pairs)


def test_a_variant_is_the_same_sentence_for_the_split() -> None:
    """So it cannot share a sentence with the dev or test set unless its pair does."""
    more = [("Straße, ÇA VA?", "¿Qué tal?"), ("ΟΔΟΣ, it's 5 p.m.", "ŒUVRE…"), ("Mañana, don’t!", "¡No!")]
    for pair in sample() + more:
        assert [*map(canonical_key, input_variant(*pair))] == [*map(canonical_key, pair)]


# ---------------------------------------------------------------- the prepared corpus


def test_they_are_one_more_corpus(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made_pairs, "MOST_PAIRS", 10)  # they need not be in memory
    plain = prepare(settings(tmp_path), 1)
    prepared = prepare(settings(tmp_path, input_variants=0.2), 1)
    (entry,) = prepared.report["extra"]
    assert (entry["kind"], entry["weight"]) == ("input_variants", 0.2)
    assert [(part.weight, part.reversed) for part in prepared.mixture] == [(1, False), (0.2, False)]
    pairs = train(plain)
    assert train(prepared) == [*pairs, *input_variants(pairs)]
    for split in ("dev", "test"):
        assert prepared.splits[split] == plain.splits[split]
    again = prepare(settings(tmp_path, input_variants=0.3), 1)
    assert (again.folder, again.fresh, again.mixture[1].weight) == (prepared.folder, False, 0.3)
    assert again.folder != plain.folder


def test_the_other_direction_varies_its_own_source(tmp_path: Path) -> None:
    swapped = train(prepare(settings(tmp_path, input_variants=1, swap=True), 1))
    own = train(prepare(settings(tmp_path, swap=True), 1))
    assert swapped == [*own, *input_variants(own)]
    assert all("Sentence" in target for _, target in swapped)


def test_both_directions_vary_their_own_sources(tmp_path: Path) -> None:
    prepared = prepare(settings(tmp_path, input_variants=0.5, **BOTH), 1)
    assert [(part.weight, part.pieces, part.reversed) for part in prepared.mixture] == [
        (1, ("<to:mr>",), False), (1, ("<to:en>",), True),
        (0.5, ("<to:mr>",), False), (0.5, ("<to:en>",), False),
    ]  # fmt: skip
    ends = [0, *itertools.accumulate(part.lines for part in prepared.mixture)]
    pairs = train(prepared)
    own, turned, first, second = (pairs[start:end] for start, end in itertools.pairwise(ends))
    assert first == list(input_variants(own))
    assert second == list(input_variants(turned))
    assert any(source.islower() for source, _ in first)
    assert all(target.startswith("Sentence") for _, target in second)


def test_a_test_set_as_people_type_it_is_not_trained_on(tmp_path: Path) -> None:
    own = write_tsv(tmp_path / "test.tsv", [("sentence 7 is here", "एक"), ("X", "वाक्य 8 इथे आहे।")])
    prepared = prepare(settings(tmp_path, corpus(), input_variants=1, test_path=str(own)), 1)
    keys = {canonical_key(text) for pair in train(prepared) for text in pair}
    assert not keys & {canonical_key("Sentence 7 is here."), canonical_key("वाक्य 8 इथे आहे")}
    assert prepared.report["dropped"]["in_test"] == 2


def test_a_text_that_can_only_be_typed_in_one_way_has_none() -> None:
    assert list(input_variants([("我知道", "मला माहीत आहे")] * 20)) == []


def test_off_by_default() -> None:
    assert DataConfig().made == []
