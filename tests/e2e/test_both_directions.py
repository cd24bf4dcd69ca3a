"""A model for both directions from the command line: trained, evaluated, translating, aligning both ways."""

import json
import logging
import shutil
from pathlib import Path

import pytest
from inside import Begin, inside

import nmt
from nmt import align, evaluate, translate
from nmt.data.examples import load_examples
from nmt.data.pairs import reversed_examples
from nmt.export import __main__ as export

MARATHI = "राहुल घरी आहे."


@pytest.fixture(scope="module")
def both(begin: Begin, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run folder of a model for both directions, hardly trained."""
    folder = tmp_path_factory.mktemp("both")
    answer = begin(folder, "data.both_directions=true")
    assert answer.code == 0, answer.err
    assert "directions: en–mr, mr–en; before each source sentence one of <to:mr>, <to:en>; main" in answer.out
    assert "test in the other direction, to en:" in answer.out
    return folder / "runs" / "run"


def test_the_test_set_is_scored_in_both_directions(both: Path) -> None:
    found = {
        name: [
            line.split("\t") for line in (both / name / "translations.tsv").read_text("utf-8").splitlines()
        ]
        for name in ("test", "test-to-en")
    }
    examples = load_examples(both / "data" / "test.jsonl")
    assert [row[0] for row in found["test"][1:]] == [example.source for example in examples]
    turned = reversed_examples(examples)
    assert [row[0] for row in found["test-to-en"][1:]] == [example.source for example in turned]
    metrics = json.loads((both / "test-to-en" / "metrics.json").read_text("utf-8"))
    assert metrics["alignment"], "gold links are turned, too"
    assert json.loads((both / "prepared.json").read_text("utf-8"))["splits"]["train"]["pairs"] % 2 == 0


def test_evaluating_again_gives_the_same(both: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(both, tmp_path / "run"))
    shutil.rmtree(run / "test-to-en")
    answer = inside(evaluate, "--run", run, "--to", "en", "--heatmaps", 0, folder=tmp_path)
    assert answer.code == 0, answer.err
    for name in ("translations.tsv", "attention.pharaoh"):
        assert (run / "test-to-en" / name).read_bytes() == (both / "test-to-en" / name).read_bytes()
    main = inside(evaluate, "--run", run, "--to", "mr", "--heatmaps", 0, folder=tmp_path)
    assert main.code == 0, main.err
    assert (run / "test" / "translations.tsv").read_bytes() == (
        both / "test" / "translations.tsv"
    ).read_bytes()
    (tmp_path / "a.mr").write_text(f"{MARATHI}\n", encoding="utf-8")
    (tmp_path / "a.en").write_text("Rahul is at home.\n", encoding="utf-8")
    files = ("--source", "a.mr", "--reference", "a.en")
    own = inside(evaluate, "--run", run, "--to", "en", *files, folder=tmp_path)
    assert own.code == 0, own.err


def test_translating_in_both_directions(both: Path, tmp_path: Path) -> None:
    """As the library and an exported model do, with the alignment."""
    found = {}
    for to in ("mr", "en"):
        answer = inside(
            translate, "--run", both, "--to", to, "--attention", "a.jsonl", MARATHI, "A cat.", folder=tmp_path
        )
        assert answer.code == 0, answer.err
        found[to] = answer.out.splitlines()
        (first, _) = (tmp_path / "a.jsonl").read_text("utf-8").splitlines()
        assert "<to:" not in first
        assert json.loads(first)["source_words"][:-1] == ["राहुल", "घरी", "आहे", "."]
    translator = nmt.Translator.load(both, device="cpu")
    assert translator.targets == ("mr", "en")
    assert translator.directions == (("en", "mr"), ("mr", "en"))
    for to, lines in found.items():
        assert [one.text for one in translator.translate([MARATHI, "A cat."], to=to)] == lines
    plain = inside(translate, "--run", both, MARATHI, "A cat.", folder=tmp_path)
    assert plain.out.splitlines() == found["mr"]


@pytest.mark.slow
def test_an_exported_model_knows_the_directions(both: Path, tmp_path: Path) -> None:
    logging.disable()  # pytest would keep what the exporter traces, in ten times the time
    try:
        answer = inside(export, "--run", both, "--output", "model", folder=tmp_path)
    finally:
        logging.disable(logging.NOTSET)
    assert answer.code == 0, answer.err
    mine, theirs = (nmt.Translator.load(path, device="cpu") for path in (tmp_path / "model", both))
    assert (mine.targets, mine.directions) == (theirs.targets, theirs.directions)
    for to in ("mr", "en"):
        one, other = (of.translate([MARATHI], to=to, attention=True)[0] for of in (mine, theirs))
        assert one.text == other.text
        assert one.attention == pytest.approx(other.attention, abs=1e-4)


def test_aligning_in_both_directions(both: Path, tmp_path: Path) -> None:
    """And with itself, as the reverse run."""
    (tmp_path / "a.mr").write_text(f"{MARATHI}\n", encoding="utf-8")
    (tmp_path / "a.en").write_text("Rahul is at home.\n", encoding="utf-8")
    arguments = ("--source", "a.mr", "--target", "a.en", "--run", both)
    one = inside(align, *arguments, "--to", "en", folder=tmp_path)
    assert (one.code, one.out.count("-")) == (0, 5), one.err
    union = inside(
        align, *arguments, "--to", "en", "--reverse", both, "--symmetrise", "union", folder=tmp_path
    )
    assert union.code == 0, union.err
    assert set(one.out.split()) <= set(union.out.split())
    back = inside(align, "--source", "a.en", "--target", "a.mr", "--run", both, folder=tmp_path)
    swapped = {"-".join(reversed(link.split("-"))) for link in back.out.split()}
    assert set(union.out.split()) == set(one.out.split()) | swapped


def test_a_language_that_a_model_does_not_know(both: Path, uninterrupted: Path, tmp_path: Path) -> None:
    pair = tmp_path / "a.txt"
    pair.write_text("A cat.\n", encoding="utf-8")
    known = "error: --to fr: the model does not know this language; choose mr (the default) or en\n"
    single = (
        "error: --to en: the model translates in one direction; leave it out, or train a model with "
        "data.both_directions=true\n"
    )
    for run, to, said in ((both, "fr", known), (uninterrupted, "en", single)):
        for command, arguments in (
            (translate, ("A cat.",)),
            (evaluate, ()),
            (align, ("--source", pair, "--target", pair)),
        ):
            answer = inside(command, "--run", run, "--to", to, *arguments, folder=tmp_path)
            assert (answer.code, answer.out, answer.err) == (2, "", said)
    arguments = ("--source", pair, "--target", pair, "--run", uninterrupted, "--reverse", uninterrupted)
    answer = inside(align, *arguments, folder=tmp_path)
    assert answer.code == 2
    assert answer.err.endswith(": the same run as --run; give one that translates the other way\n")


def test_the_directions_of_a_run_are_its_own(both: Path, tmp_path: Path) -> None:
    from nmt import train

    answer = inside(train, f"resume={both}", "data.both_directions=false", folder=tmp_path)
    assert answer.code == 2
    assert "data.both_directions: True → False would mean different training data" in answer.err
