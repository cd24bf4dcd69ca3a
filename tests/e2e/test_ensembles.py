"""`nmt.translate` and `nmt.evaluate` with several runs."""

import json
import shutil
from pathlib import Path

import pytest
from inside import Begin, inside

import nmt
from nmt import evaluate, translate


@pytest.fixture(scope="module")
def others(begin: Begin, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A run with another seed and another kind of model, one with another tokenizer, and one of the other
    direction.
    """
    folder = tmp_path_factory.mktemp("others")
    for name, *settings in (
        ("luong", "model=luong", "seed=2"),
        ("pieces", "data.tokenizer.vocab_size=400", "model=seq2seq", f"data.cache={folder / 'cache'}"),
        ("back", "data.swap=true", f"data.cache={folder / 'cache'}"),
    ):
        answer = begin(folder, f"name={name}", *settings)
        assert answer.code == 0, answer.err
    return {name: folder / "runs" / name for name in ("luong", "pieces", "back")}


def test_a_run_with_itself_is_the_run(copy, tmp_path):
    text = ["The dog sees the cat.", "Sita likes this house."]
    arguments = ["--json", "--nbest", 3, *text]
    alone = inside(translate, "--run", copy, *arguments, folder=tmp_path)
    twice = inside(translate, "--run", copy, "--run", copy, *arguments, folder=tmp_path)
    for one, other in zip(alone.out.splitlines(), twice.out.splitlines(), strict=True):
        every = ([best, *best["alternatives"]] for best in (json.loads(one), json.loads(other)))
        for found, again in zip(*every, strict=True):
            assert again["text"] == found["text"]
            assert again["log_probability"] == pytest.approx(found["log_probability"], abs=1e-5)


def test_runs_of_different_kinds_translate_together(copy, others, tmp_path):
    both = ["--run", copy, "--run", others["luong"]]
    (tmp_path / "text").write_text("The dog sees the cat.\n\nSita likes this house.\n" * 3, encoding="utf-8")
    line_by_line, large = (
        inside(translate, *both, "--input", "text", "--json", *options, folder=tmp_path)
        for options in ((), ("--batch-tokens", "65536", "--attention", "a.jsonl"))
    )
    assert line_by_line.code == large.code == 0, large.err
    assert len(large.out.splitlines()) == 9
    for one, other in zip(line_by_line.out.splitlines(), large.out.splitlines(), strict=True):
        found, again = json.loads(one), json.loads(other)
        assert again["text"] == found["text"]
        assert again["score"] == pytest.approx(found["score"], abs=1e-5)
    for run in (copy, others["luong"]):
        alone = inside(translate, "--run", run, "--input", "text", "--json", folder=tmp_path)
        assert alone.out != large.out


def test_an_evaluation_of_runs_says_which(copy, others, tmp_path):
    before = (copy / "test" / "metrics.json").read_bytes()
    both = ["--run", copy, "--run", others["luong"], "--heatmaps", "0"]
    answer = inside(evaluate, *both, folder=tmp_path)
    assert answer.code == 0, answer.err
    folder = copy / "ensemble" / "test"
    assert f"translations, scores and attention: {folder}" in answer.out
    metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["ensemble"] == [copy.name, "luong"]
    assert "BLEU" in metrics["scores"]
    assert (copy / "test" / "metrics.json").read_bytes() == before
    assert "ensemble" not in json.loads(before)
    answer = inside(evaluate, *both, "--split", "dev", "--output", "x", folder=tmp_path)
    assert (answer.code, (tmp_path / "x" / "metrics.json").exists()) == (0, True)


def test_runs_that_do_not_fit_are_refused(copy, others, tmp_path):
    answer = inside(translate, "--run", copy, "--run", others["pieces"], "x", folder=tmp_path)
    assert answer.code == 2
    assert answer.err.count("\n") == 1
    assert f"{others['pieces']}: its source and target tokenizers are not the same as in" in answer.err
    changed = tmp_path / "changed"
    shutil.copytree(copy, changed)
    lines = (changed / "data" / "test.jsonl").read_text(encoding="utf-8").splitlines(keepends=True)
    (changed / "data" / "test.jsonl").write_text("".join(lines[1:]), encoding="utf-8")
    answer = inside(evaluate, "--run", copy, "--run", changed, folder=tmp_path)
    assert answer.code == 2
    assert f"{changed}: not the same test set as in {copy}" in answer.err
    dev = ("--split", "dev", "--heatmaps", 0)
    assert inside(evaluate, "--run", copy, "--run", changed, *dev, folder=tmp_path).code == 0
    answer = inside(translate, "--run", copy, "--batch-tokens", "0", "x", folder=tmp_path)
    assert (answer.code, "--batch-tokens 0: must be at least 1" in answer.err) == (2, True)


def test_runs_with_other_tokenizers_agree_on_a_translation(copy, others, tmp_path):
    """The command, the library and an evaluation choose the same."""
    runs = ["--run", copy, "--run", others["pieces"]]
    text = ["The dog sees the cat.", "", "Sita likes this house."]
    options = ["--combine", "consensus", "--candidates", 4, "--nbest", 3, "--json"]
    answer = inside(translate, *runs, *options, *text, folder=tmp_path)
    assert answer.code == 0, answer.err
    found = [json.loads(line) for line in answer.out.splitlines()]
    loaded = nmt.Translator.load(copy, others["pieces"], combine="consensus")
    for line, one in zip(found, loaded.translate(text, nbest=3, candidates=4), strict=True):
        assert line == one.to_dict()
        scores = [other["score"] for other in (line, *line["alternatives"])]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 100 + 1e-6 for score in scores)
    with_reverse = [*runs, "--reverse", others["back"], "--reverse-weight", 3]
    for name, arguments in (("ensemble", runs), ("reranked", with_reverse)):
        options = [*arguments, "--combine", "consensus", "--heatmaps", "0"]
        answer = inside(evaluate, *options, folder=tmp_path)
        assert answer.code == 0, answer.err
        metrics = json.loads((copy / name / "test" / "metrics.json").read_text(encoding="utf-8"))
        assert metrics["ensemble"] == [copy.name, "pieces"]
        assert metrics.get("reverse") == ("back" if name == "reranked" else None)
        assert metrics["decoding"]["combine"] == "consensus"
        with (copy / name / "test" / "translations.tsv").open(encoding="utf-8") as file:
            rows = [line.split("\t")[:2] for line in file][1:]
        (tmp_path / "lines").write_text("".join(f"{source}\n" for source, _ in rows), encoding="utf-8")
        options = [*arguments, "--combine", "consensus", "--input", "lines"]
        answer = inside(translate, *options, folder=tmp_path)
        assert answer.out.splitlines() == [translation for _, translation in rows]


def test_the_setting_of_the_first_run_says_how(copy, others, tmp_path):
    """Without `--combine`."""
    config = (copy / "config.yaml").read_text(encoding="utf-8")
    assert "  combine: mean\n" in config
    changed = config.replace("  combine: mean\n", "  combine: consensus\n")
    (copy / "config.yaml").write_text(changed, encoding="utf-8")
    answer = inside(translate, "--run", copy, "--run", others["pieces"], "x", folder=tmp_path)
    assert answer.code == 0, answer.err
    assert inside(translate, "--run", copy, "x", folder=tmp_path).code == 0
    options = ["--run", copy, "--run", others["pieces"], "--combine", "mean"]
    assert inside(translate, *options, "x", folder=tmp_path).code == 2


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--combine", "consensus"], "--combine: has no effect with one run; give several --run"),
        (["--reverse-weight", 1], "--reverse-weight: has no effect without --reverse RUN"),
        (["--candidates", 3], "--candidates: has no effect without --combine consensus or --reverse RUN"),
        (["--reverse", "nowhere"], "nowhere: no such run"),
        (["--reverse", "back", "--candidates", 0], "--candidates 0: must be at least 1"),
        (["--reverse", "back", "--reverse-weight", "nan"], "--reverse-weight nan: must be at least 0"),
    ],
)
def test_what_has_no_effect_is_one_line(copy, others, tmp_path, arguments, message):
    arguments = [others["back"] if one == "back" else one for one in arguments]
    for command, more in ((translate, ["x"]), (evaluate, [])):
        answer = inside(command, "--run", copy, *arguments, *more, folder=tmp_path)
        assert (answer.code, answer.err.count("\n"), answer.out) == (2, 1, "")
        assert message in answer.err
