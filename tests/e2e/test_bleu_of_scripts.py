"""Targets that BLEU with 13a cannot score, from the command line: other tokenizers, other metrics."""

import json
import random
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from inside import inside, resume
from sacrebleu.metrics.bleu import BLEU

from nmt import evaluate, train
from nmt.data.examples import load_examples

SUBJECTS = {"I": "我", "You": "你", "We": "我们", "They": "他们"}
VERBS = {"buy": "买", "sell": "卖", "see": "看见", "know": "认识"}
NOUNS = {"books": "书", "cats": "猫", "houses": "房子", "trees": "树", "cars": "汽车", "friends": "朋友"}
SETTINGS = (
    *("experiment=debug", "data=tsv", "data.path=pairs.tsv", "data.tokenizer.kind=char"),
    *("data.dev_fraction=0.1", "data.test_fraction=0.15"),
    *("training.max_steps=6", "training.validate_every=3", "training.samples=0"),
)


def write_pairs(path: Path, target: Callable[[str, str, str], str]) -> None:
    triples = [(s, v, n) for s in SUBJECTS for v in VERBS for n in NOUNS]
    random.Random(1).shuffle(triples)
    path.write_text("".join(f"{s} {v} {n}.\t{target(s, v, n)}\n" for s, v, n in triples), encoding="utf-8")


def signatures(metrics: Path) -> dict[str, str]:
    scores = json.loads(metrics.read_text(encoding="utf-8"))["scores"]
    return {name: score["signature"] for name, score in scores.items()}


@pytest.fixture(scope="module")
def chinese(tmp_path_factory):
    """The output and the folder."""
    folder = tmp_path_factory.mktemp("chinese")
    write_pairs(folder / "pairs.tsv", lambda s, v, n: f"{SUBJECTS[s]}{VERBS[v]}{NOUNS[n]}。")
    answer = inside(train, *SETTINGS, "name=run", folder=folder)
    assert answer.code == 0, answer.err
    return answer.out, folder / "runs" / "run"


def test_the_tokenizer_is_chosen_logged_and_kept(chinese):
    out, run = chinese
    assert out.count("BLEU tokenizer: zh, chosen by the script of the training targets\n") == 1
    assert json.loads((run / "prepared.json").read_text(encoding="utf-8"))["bleu_tokenizer"] == "zh"
    found = signatures(run / "test" / "metrics.json")
    assert ("|tok:zh|" in found["BLEU"], "|tok:intl|" in found["BLEU-intl"]) == (True, True)
    assert "|tok:zh|" in out
    assert "|tok:zh|" in (run / "report.html").read_text(encoding="utf-8")


def test_evaluating_again_uses_the_same(chinese):
    _, run = chinese
    answer = inside(
        evaluate, "--run", run, "--split", "dev", "--output", "again", "--heatmaps", 0, folder=run.parent
    )
    assert answer.code == 0, answer.err
    assert "|tok:zh|" in answer.out
    metrics = json.loads((run.parent / "again" / "metrics.json").read_text(encoding="utf-8"))
    table = (run.parent / "again" / "translations.tsv").read_text(encoding="utf-8").splitlines()[1:]
    translations = [line.split("\t")[1] for line in table]
    references = [example.references[0] for example in load_examples(run / "data" / "dev.jsonl")]
    expected = BLEU(tokenize="zh").corpus_score(translations, [references]).score
    assert metrics["scores"]["BLEU"]["value"] == expected
    assert [bucket["label"] for bucket in metrics["bleu_by_source_words"]] == ["4-5"]
    assert metrics["bleu_by_source_words"][0]["bleu"] == expected


def test_files_of_the_user_are_scored_with_it(chinese, tmp_path):
    _, run = chinese
    (tmp_path / "src").write_text("I buy books.\nYou see cats.\n", encoding="utf-8")
    (tmp_path / "ref").write_text("我买书。\n你看见猫。\n", encoding="utf-8")
    answer = inside(
        evaluate, "--run", run, "--source", "src", "--reference", "ref", "--heatmaps", 0, folder=tmp_path
    )
    assert answer.code == 0, answer.err
    assert "|tok:zh|" in answer.out


def test_a_run_of_before_is_scored_as_before(chinese, tmp_path):
    _, run = chinese
    old = tmp_path / "old"
    shutil.copytree(run, old)
    record = json.loads((old / "prepared.json").read_text(encoding="utf-8"))
    del record["bleu_tokenizer"]
    (old / "prepared.json").write_text(json.dumps(record), encoding="utf-8")
    answer = inside(evaluate, "--run", old, "--split", "dev", "--heatmaps", 0, folder=tmp_path)
    assert answer.code == 0, answer.err
    assert "|tok:13a|" in answer.out


def test_resuming_keeps_it(chinese, tmp_path):
    _, run = chinese
    copy = tmp_path / "runs" / "copy"
    shutil.copytree(run, copy)
    overrides = (
        f"data.path={run.parent.parent / 'pairs.tsv'}",
        f"data.cache={run.parent.parent / 'data/cache'}",
    )
    refused = resume(copy, *overrides, "training.bleu_tokenizer=char")
    assert refused.code == 2
    assert "training.bleu_tokenizer: zh → char would make" in refused.err
    answer = resume(copy, *overrides, "training.max_steps=7")
    assert answer.code == 0, answer.err
    assert "|tok:zh|" in answer.out


def test_a_tokenizer_that_is_not_installed_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr("nmt.evaluation.bleu_tokenizer.find_spec", lambda name: None)
    write_pairs(tmp_path / "pairs.tsv", lambda s, v, n: f"{SUBJECTS[s]}{VERBS[v]}{NOUNS[n]}。")
    answer = inside(train, *SETTINGS, "training.bleu_tokenizer=ja-mecab", folder=tmp_path)
    (line,) = answer.err.splitlines()
    assert (answer.code, answer.out) == (2, "")
    assert "ja-mecab" in line
    assert line.endswith("pip install sacrebleu[ja]")
    assert [path.name for path in tmp_path.iterdir()] == ["pairs.tsv"]


def test_words_are_selected_by_chrf_and_a_sweep_says_so(tmp_path):
    write_pairs(tmp_path / "pairs.tsv", lambda s, v, n: f"{s}{v}{n}".upper())
    answer = inside(train, "-m", *SETTINGS, "seed=1,2", folder=tmp_path)
    assert answer.code == 0, answer.err
    assert answer.out.count("references are too short for BLEU") == 2  # once per run
    *_, heading, first, second = answer.out.rstrip().splitlines()
    assert heading.split()[:3] == ["seed", "dev", "chrf"]
    for row in (first, second):
        seed, score, name = row.split()
        record = json.loads((tmp_path / name / "training.json").read_text(encoding="utf-8"))
        assert record["metric"] == "chrf"
        best = max(record["validations"], key=lambda scores: (scores["chrf"], -scores["loss"]))
        assert record["best_step"] == best["step"], seed
        assert score == f"{best['chrf']:.2f}"


def test_a_model_that_gives_one_output_is_reported(tmp_path):
    """It can do no better after a single update with a tiny learning rate."""
    write_pairs(tmp_path / "pairs.tsv", lambda s, v, n: f"{SUBJECTS[s]}{VERBS[v]}{NOUNS[n]}。")
    untrained = ("training.max_steps=1", "training.learning_rate=1e-9", "model.initial_range=1e-4")
    answer = inside(train, *SETTINGS, *untrained, "name=run", folder=tmp_path)
    assert answer.code == 0, answer.err
    start = "warning: 15 of 15 different sources get (nearly) the same translation"
    assert sum(line.startswith(start) for line in answer.out.splitlines()) == 1
    run = tmp_path / "runs" / "run"
    for file in (run / "train.log", run / "report.html"):
        assert start in file.read_text(encoding="utf-8")
    again = inside(evaluate, "--run", run, "--heatmaps", 0, folder=tmp_path)
    assert start in again.out
