"""`nmt.Translator` of several untrained systems with different tokenizers, and with a reverse model."""

import dataclasses
from pathlib import Path

import pytest
from test_library import DOCUMENT, check
from tiny import ENGLISH
from tiny_systems import DECODING, TEXTS, tiny_system, two_sides

import nmt
from nmt.decoding.combination import CombinedTranslator
from nmt.decoding.reranking import Reranker
from nmt.decoding.translator import Translator as SearchTranslator
from nmt.errors import ConfigError
from nmt.evaluation.confidence import UNCALIBRATED, Calibration, Curve
from nmt.library.collecting import Finishing
from nmt.library.loaded import Loaded
from nmt.library.loading import check_reverse
from nmt.library.options import OptionError

CALIBRATIONS = (UNCALIBRATED, Calibration(Curve((-9.0, 0.0), (0.25, 0.25)), Curve((-9.0, 0.0), (0.5, 0.5))))


def loaded(system: SearchTranslator, name: str, calibration: Calibration = UNCALIBRATED) -> Loaded:
    return Loaded(
        name=name,
        make=lambda config: SearchTranslator(system.model, system.source, system.target, config),
        decoding=system.config,
        source=system.source,
        heads=system.heads,
        finishing=Finishing(system.target, calibration),
        limit=40,
        languages=None,
    )


@pytest.fixture(scope="module")
def systems():
    one, other = two_sides()
    return [tiny_system(*one), tiny_system(*other, seed=4)]


@pytest.fixture(scope="module")
def reverse(systems):
    return tiny_system(systems[1].target, systems[1].source, seed=7)


@pytest.fixture(scope="module")
def together(systems) -> nmt.Translator:
    return nmt.Translator(*map(loaded, systems, "ab", CALIBRATIONS))


def test_it_is_the_consensus_that_an_evaluation_has(together, systems, reverse):
    for reranked, found in (
        (Reranker(True), together),
        (Reranker(True, reverse), nmt.Translator(*map(loaded, systems, "ab"), reverse=loaded(reverse, "r"))),
        (Reranker(False, reverse), nmt.Translator(loaded(systems[0], "a"), reverse=loaded(reverse, "r"))),
    ):
        expected = CombinedTranslator(systems if reranked.consensus else systems[:1], reranked)
        for text, best in zip(ENGLISH, expected.translate(ENGLISH, 3), strict=True):
            (one,) = found.translate([text], nbest=3)
            assert [x.text for x in (one, *one.alternatives)] == [x.text for x in best]
            assert [x.score for x in (one, *one.alternatives)] == pytest.approx(
                [x.score for x in best], abs=1e-4
            )
    assert together.name == "a+b"


def test_all_that_a_translation_has(together):
    found = together.translate([*TEXTS, DOCUMENT], nbest=4, attention=True)
    for text, one in zip([*TEXTS, DOCUMENT], found, strict=True):
        check(one, together.heads, attention=True)
        (alone,) = together.translate([text], nbest=4)
        assert [x.text for x in alone.alternatives] == [x.text for x in one.alternatives]
    every = [x for one in found for x in (one, *one.alternatives) if len(x.segments) == 1]
    assert {x.segments[0].system for x in every} == {0, 1}
    for one in every:
        if one.segments[0].system:  # its calibration says so
            assert one.confidence == 0.5
            assert {word.confidence for word in one.words} <= {0.25}
        else:
            assert one.confidence != 0.5


def test_what_is_asked_holds_for_every_candidate(together):
    asked = {"prefix": "मांजर", "required": ["घर"], "forbidden": ["गाव"], "nbest": 6}
    for one in together.translate(ENGLISH, **asked):
        for other in (one, *one.alternatives):
            assert other.text.startswith("मांजर")
            assert "घर" in other.text.split() or "घर" in other.text
            assert "गाव" not in other.text.split()
    for one in together.alternatives(ENGLISH[0], "मा", 3):
        assert one.text.startswith("मा")
    with pytest.raises(ConfigError, match="forbidden"):
        together.translate(["a"], required=["घर"], forbidden=["घर"])
    (given,) = together.translate(["He has\nit 42"], keep=["number"])
    assert "42" in given.text.partition("\n")[2]


def test_a_stream_comes_when_it_is_chosen(together):
    for text in (ENGLISH[0], DOCUMENT, ""):
        pieces = list(together.stream(text))
        assert "".join(pieces) == together.translate([text])[0].text
        assert len(pieces) <= 1 + text.strip().count("\n\n")  # each of the segments


def test_many_texts_are_translated_in_parts(together, systems, monkeypatch):
    whole = together.translate(TEXTS)
    both = CombinedTranslator(systems, Reranker(True))
    best = both.translate(TEXTS, attention=[4])
    for module in ("nmt.library.combining", "nmt.decoding.combination"):
        monkeypatch.setattr(f"{module}.TOGETHER", 2)
    assert [one.text for one in together.translate(TEXTS)] == [one.text for one in whole]
    again = both.translate(TEXTS, attention=[4])
    assert [[one.text for one in own] for own in again] == [[one.text for one in own] for own in best]
    assert [own[0].attention is not None for own in again] == [False, False, False, False, True]


@pytest.mark.parametrize("given_up", [0, 3])
def test_a_text_that_is_given_up_has_no_outcome(together, monkeypatch, given_up):
    monkeypatch.setattr("nmt.library.combining.TOGETHER", 2)
    steps = iter(range(1000))
    every = [nmt.TranslationOptions()] * 4
    outcomes = together.translate_batch(
        ENGLISH[:4], every, cancelled=lambda index: index == given_up and next(steps) > 2
    )
    assert [outcome is None for outcome in outcomes] == [index == given_up for index in range(4)]
    assert outcomes[1].text == together.translate(ENGLISH[1:2])[0].text


def test_more_candidates_and_samples(together, systems, reverse):
    few, many = (together.translate(ENGLISH, candidates=count, nbest=9) for count in (1, 6))
    assert all(1 + len(one.alternatives) <= 9 for one in many)
    assert sum(len(one.alternatives) for one in many) >= sum(len(one.alternatives) for one in few)
    drawn = together.translate(ENGLISH, sample=True, candidates=5, seed=2)
    assert [one.text for one in drawn] == [
        together.translate([text], sample=True, candidates=5, seed=2)[0].text for text in ENGLISH
    ]
    ranking = nmt.Translator(loaded(systems[0], "a"), reverse=loaded(reverse, "r"))
    (tree,) = ranking.translate(ENGLISH[:1], tree=True)
    assert tree.tree is not None
    assert together.translate(ENGLISH[:1], tree=True)[0].tree is None
    weights = [ranking.translate(ENGLISH, reverse_weight=weight, candidates=8) for weight in (0, 50)]
    assert [one.text for one in weights[0]] != [one.text for one in weights[1]]


@pytest.mark.parametrize("name", ["mbr", "reverse_weight"])
def test_an_option_without_effect_is_named(together, name):
    value = {"mbr": "nbest", "reverse_weight": 0.5}[name]
    with pytest.raises(OptionError, match=f"^{name}: has no effect") as caught:
        together.translate(["a"], **{name: value})
    assert caught.value.field == name


def test_candidates_have_no_effect_for_one_run(systems):
    alone = nmt.Translator(loaded(systems[0], "a"))
    with pytest.raises(OptionError, match="candidates: has no effect"):
        alone.translate(["a"], candidates=5)
    with pytest.raises(OptionError, match="candidates=0: must be at least 1"):
        alone.translate(["a"], candidates=0)


def test_a_reverse_model_is_of_the_other_direction():
    for languages, found in (
        (("eng", "mar"), ("mar", "eng")),
        (None, ("eng", "mar")),
        (("eng", "mar"), None),
    ):
        check_reverse(Path("back"), found, Path("a"), languages)
    with pytest.raises(ConfigError, match=r"back: translates from eng to mar, but a needs a model of its"):
        check_reverse(Path("back"), ("eng", "mar"), Path("a"), ("eng", "mar"))


def test_a_run_whose_settings_choose_by_mbr_gives_its_n_best(systems):
    """The settings of a run are not in the way."""
    mbr = dataclasses.replace(DECODING, method="mbr")
    own = [
        SearchTranslator(one.model, one.source, one.target, config)
        for one, config in zip(systems, (mbr, mbr), strict=True)
    ]
    found = nmt.Translator(*map(loaded, own, "ab")).translate(ENGLISH)
    plain = nmt.Translator(*map(loaded, systems, "ab")).translate(ENGLISH)
    assert [one.text for one in found] == [one.text for one in plain]
