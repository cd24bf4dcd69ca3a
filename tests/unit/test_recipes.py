"""Comparison of recipes: statistics against sacreBLEU's own test and a loop, and what is read and said."""

import json
import math
from pathlib import Path
from statistics import fmean, stdev

import numpy as np
import pytest
import yaml
from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.significance import PairedTest

from nmt.data.examples import Example, save_examples
from nmt.errors import ConfigError, RunError
from nmt.evaluation.metrics import reference_streams
from nmt.files import write_bytes, write_json, write_text

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
WORDS = ["the", "a", "dog", "cat", "sees", "likes", "small", "big", "house", "river", "near", "in"]


@pytest.fixture(autouse=True)
def scripts(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))


def texts(seed, count=40):
    random = np.random.default_rng(seed)
    return [" ".join(random.choice(WORDS, random.integers(4, 9))) for _ in range(count)]


REFERENCES = [[text, *([other] if i % 3 else [])] for i, (text, other) in enumerate(zip(texts(1), texts(2)))]  # noqa: B905
STREAMS = reference_streams(texts(1), REFERENCES)


def noisy(seed, share):
    """The references, of which a share has a wrong word."""
    random = np.random.default_rng(seed)
    outputs = []
    for reference, *_ in REFERENCES:
        some = reference.split()
        if random.random() < share:
            some[random.integers(len(some))] = "wrong"
        outputs.append(" ".join(some))
    return outputs


METRICS = {"BLEU": BLEU(force=True), "chrF2": CHRF()}


# ---------------------------------------------------------------- statistics


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize(("good", "bad"), [(0.2, 0.3), (0.1, 0.9)])
def test_one_run_each_is_the_test_of_sacrebleu(name, good, bad):
    from recipes.significance import paired_bootstrap, sentence_statistics

    metric, outputs = METRICS[name], [noisy(3, bad), noisy(4, good)]
    baseline, system = (sentence_statistics(metric, [one], STREAMS) for one in outputs)
    test = PairedTest([("a", outputs[0]), ("b", outputs[1])], {"m": metric}, STREAMS, "bs", n_samples=1000)
    _, found = test()
    (result,) = [values[1] for key, values in found.items() if key != "System"]
    assert paired_bootstrap(metric, baseline, system) == result.p_value
    assert 0 < result.p_value < 1


@pytest.mark.parametrize("name", METRICS)
def test_scores_of_runs_and_of_some_sentences_are_those_of_the_corpora(name):
    from recipes.significance import run_scores, sentence_statistics

    metric, outputs = METRICS[name], [noisy(3, 0.5), noisy(4, 0.1), noisy(5, 0.9)]
    statistics = sentence_statistics(metric, outputs, STREAMS)
    assert run_scores(metric, statistics) == [metric.corpus_score(one, STREAMS).score for one in outputs]
    some = [0, 7, 9, 30]
    streams = [[stream[i] for i in some] for stream in STREAMS]
    expected = [metric.corpus_score([one[i] for i in some], streams).score for one in outputs]
    assert run_scores(metric, statistics, some) == expected


def test_the_bootstrap_of_several_runs_against_a_loop(monkeypatch):
    """In a loop over resamples, as corpora of text."""
    from recipes import significance

    monkeypatch.setattr(significance, "RESAMPLES", 60)
    metric, before, after = (
        METRICS["BLEU"],
        [noisy(3, 0.5), noisy(4, 0.5)],
        [noisy(s, 0.48) for s in (5, 6, 7)],
    )
    statistics = [significance.sentence_statistics(metric, runs, STREAMS) for runs in (before, after)]

    def mean(runs, drawn):
        streams = [[stream[i] for i in drawn] for stream in STREAMS]
        return fmean(metric.corpus_score([run[i] for i in drawn], streams).score for run in runs)

    drawn = np.random.default_rng(12345).choice(40, size=(60, 40), replace=True)
    real = abs(mean(after, range(40)) - mean(before, range(40)))
    differences = [abs(mean(after, some) - mean(before, some)) for some in drawn]
    extreme = sum(one - fmean(differences) > real for one in differences)
    assert 0 < extreme < 60
    assert significance.paired_bootstrap(metric, *statistics) == (extreme + 1) / 61


@pytest.mark.parametrize(
    ("difference", "spread", "p", "expected"),
    [
        (1.0, 0.5, 0.01, "better"),
        (-1.0, 0.5, 0.01, "worse"),
        (1.0, 0.5, 0.05, "no difference"),
        (0.4, 0.5, 0.001, "no difference"),
        (-0.4, 0.5, 0.001, "no difference"),
        (1.0, None, 0.01, "no claim"),
        (1.0, None, 0.2, "no difference"),
        (1.0, 0.0, 0.01, "better"),
    ],
)
def test_what_may_be_said(difference, spread, p, expected):
    from recipes.results import verdict

    assert verdict(difference, spread, p) == expected


# ---------------------------------------------------------------- runs


def make_run(folder, name, outputs, seed=1, counts=True, changed=(), **settings):
    run = folder / name
    examples = [
        Example(f"s{i} word{i % 4}", tuple(refs), ("",) * len(refs)) for i, refs in enumerate(REFERENCES)
    ]
    for split in ("dev", "test"):
        save_examples(run / "data" / f"{split}.jsonl", [*examples, *changed])
    config = {"seed": seed, "name": name, "training": {"dropout": 0.1} | settings}
    write_text(run / "config.yaml", json.dumps(config))
    write_json(run / "prepared.json", {"bleu_tokenizer": "13a"})
    if counts:
        words = {f"s{i}": [0, 1, 5, 20, 100][i % 5] for i in range(40)} | {f"word{i}": 500 for i in range(4)}
        write_text(run / "data" / "source_words.tsv", "".join(f"{k}\t{v}\n" for k, v in words.items() if v))
    write_evaluation(run / "test", [*examples, *changed], [*outputs, *("more" for _ in changed)])
    return run


def write_evaluation(folder, examples, outputs):
    rows = [["source", "translation", "chrF2", "references"]]
    rows += [[one.source, text, "0", *one.references] for one, text in zip(examples, outputs, strict=True)]
    write_text(folder / "translations.tsv", "".join("\t".join(row) + "\n" for row in rows))
    write_json(folder / "metrics.json", {"scores": {"BLEU": {"signature": "nrefs:var|tok:13a|v:2"}}})


@pytest.fixture
def runs(tmp_path):
    for seed in (1, 2, 3):
        make_run(tmp_path, f"a{seed}", noisy(seed, 0.9), seed)
        make_run(tmp_path, f"b{seed}", noisy(10 + seed, 0.1), seed, dropout=0.2)
    (tmp_path / "alatest").mkdir()
    (tmp_path / "alatest" / "config.yaml").symlink_to("../a1/config.yaml")
    return tmp_path


@pytest.fixture
def compare(monkeypatch, capsys):
    import compare

    def call(*arguments):
        monkeypatch.setattr("sys.argv", ["compare.py", *map(str, arguments)])
        compare.main()
        return capsys.readouterr().out

    return call


def test_means_spreads_and_tables(runs, compare):
    out = compare("--recipe", f"a={runs}/a*", "--recipe", f"b={runs}/b1,{runs}/b[23]", "--output", runs / "o")
    found = json.loads((runs / "o" / "recipes.json").read_text(encoding="utf-8"))
    assert (runs / "o" / "bleu_by_length.png").read_bytes().startswith(b"\x89PNG")
    a, b = found["recipes"]
    assert [Path(run).name for run in a["runs"] + b["runs"]] == ["a1", "a2", "a3", "b1", "b2", "b3"]
    for name, metric in METRICS.items():
        scores = [metric.corpus_score(noisy(seed, 0.9), STREAMS).score for seed in (1, 2, 3)]
        assert a["scores"][name] == {"runs": scores, "mean": fmean(scores), "deviation": stdev(scores)}
        change = b["differences"][name]
        assert change["value"] == b["scores"][name]["mean"] - fmean(scores) > 0
        assert change["spread"] == max(one["scores"][name]["deviation"] for one in (a, b))
        assert change["verdict"] == "better"
    assert a["differences"] == {}
    labels = [(one["label"], one["sentences"]) for one in b["by_rarest"]]
    assert labels == [("0", 8), ("1-2", 8), ("3-9", 8), ("10-49", 8), (">49", 8), ("1-9", 16)]
    few = [i for i in range(40) if i % 5 in (1, 2)]
    streams = [[stream[i] for i in few] for stream in STREAMS]
    bleu = [
        METRICS["BLEU"].corpus_score([noisy(10 + s, 0.1)[i] for i in few], streams).score for s in (1, 2, 3)
    ]
    assert b["by_rarest"][-1]["bleu"] == pytest.approx(fmean(bleu))
    assert [one["label"] for one in b["by_length"]] == ["≤3"]
    assert b["by_length"][0]["bleu"] == pytest.approx(b["scores"]["BLEU"]["mean"])
    (sentence,) = found["verdicts"]
    assert sentence.startswith("b against a: BLEU +")
    assert sentence in out
    assert "Warning" not in out
    text = (runs / "o" / "recipes.md").read_text(encoding="utf-8")
    mean, deviation = (a["scores"]["BLEU"][key] for key in ("mean", "deviation"))
    assert f"| a | 3 | {mean:.2f} ± {deviation:.2f} | " in text
    assert "| rarest word seen | sentences | BLEU a | BLEU b | chrF2 a | chrF2 b |" in text


def test_the_same_outputs_are_no_difference(runs, compare):
    for seed in (1, 2, 3):
        make_run(runs, f"c{seed}", noisy(seed, 0.9), seed)
    out = compare("--recipe", f"a={runs}/a*", "--recipe", f"c={runs}/c*")
    assert out.count(", p 1.000): no difference") == 2


def test_what_makes_a_bad_sample_is_said(runs, compare):
    make_run(runs, "d1", noisy(1, 0.5), 1, dropout=0.1)
    make_run(runs, "d2", noisy(2, 0.5), 1, dropout=0.3, counts=False)
    out = compare("--recipe", f"d={runs}/d1,{runs}/d2", "--recipe", f"e={runs}/b1")
    for warning in (
        "d: its runs differ in more than the seed: training.dropout.",
        "d: some of its runs have the same seed, so they are not independent.",
        "d: 2 of the 3 seeds that a claim needs.",
        "e: 1 of the 3 seeds that a claim needs.",
    ):
        assert f"Warning: {warning}" in out
    assert "rarest word seen" in out  # one run knows the counts
    out = compare("--recipe", f"d={runs}/d2")
    assert "No table by the rarest word" in out
    assert "against" not in out


def test_each_student_has_its_own_synthetic_pairs(runs, compare):
    for seed in (1, 2, 3):
        run = make_run(runs, f"s{seed}", noisy(seed, 0.5), seed)
        settings = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
        extra = {"kind": "tsv", "path": f"before/s{seed}/distillation/synthetic.tsv", "weight": 1.0}
        settings |= {"name": f"s{seed}", "data": {"extra": [extra]}}
        write_text(run / "config.yaml", yaml.safe_dump(settings))
    assert "Warning" not in compare("--recipe", f"s={runs}/s*")
    settings["data"]["extra"][0]["weight"] = 2.0
    write_text(run / "config.yaml", yaml.safe_dump(settings))
    assert "s: its runs differ in more than the seed: data.extra." in compare("--recipe", f"s={runs}/s*")


def test_an_evaluation_is_compared_as_a_run_is(runs, compare):
    make_run(runs / "elsewhere", "run", noisy(5, 0.3))
    (runs / "elsewhere" / "run" / "test").rename(runs / "beam9")
    out = compare("--recipe", f"a={runs}/a*", "--recipe", f"b={runs}/beam*", "--output", runs / "o")
    found = json.loads((runs / "o" / "recipes.json").read_text(encoding="utf-8"))["recipes"][1]
    assert (found["seeds"], found["runs"]) == ([None], [str(runs / "beam9")])
    assert found["scores"]["BLEU"]["mean"] == METRICS["BLEU"].corpus_score(noisy(5, 0.3), STREAMS).score
    assert f"Rarest word seen: times in the training sources of {runs}/a1." in out


def test_one_seed_each_is_no_claim(runs, compare):
    out = compare("--recipe", f"a={runs}/a1", "--recipe", f"b={runs}/b1")
    assert "(spread unknown, p 0.001): no claim" in out


MISTAKES = {
    "form": (["--recipe", "a"], ConfigError, "--recipe a: give NAME=RUN,RUN,…"),
    "nothing": (["--recipe", "a=nothing*"], ConfigError, r"--recipe a: no run matches nothing\*"),
    "twice": (["--recipe", "a=a1,a2,a1"], ConfigError, "--recipe a: .*a1 is given twice"),
    "names": (["--recipe", "a=a1", "--recipe", "a=a2"], ConfigError, "--recipe: give each recipe a name"),
    "of two": (["--recipe", "a=a1,a2", "--recipe", "b=a2"], ConfigError, "--recipe b: a2 is a run of a too"),
    "models": (["--recipe", "a=a1", "--models", "b"], ConfigError, "--recipe: give it without --models"),
    "settings": (["--recipe", "a=a1", "seed=1"], ConfigError, "--recipe: give it without"),
    "split": (["--models", "a", "--split", "dev"], ConfigError, "--split: give it with --recipe only"),
    "not evaluated": (
        ["--recipe", "a=a1", "--split", "dev"],
        RunError,
        "a1/dev: no evaluation, or corrupt; evaluate the run with: python -m nmt.evaluate --run a1",
    ),
    "other set": (["--recipe", "a=a1,x"], RunError, "x: its test set is not that of a1"),
    "corrupt": (["--recipe", "a=a1,y"], RunError, "y/test: no evaluation, or corrupt"),
    "other tokenizer": (["--recipe", "a=a1,z"], RunError, "z: BLEU's tokenizer is zh, that of a1 13a"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(runs, compare, monkeypatch, name):
    arguments, error, message = MISTAKES[name]
    monkeypatch.chdir(runs)
    make_run(runs, "x", noisy(1, 0.5), changed=[Example("more", ("more",), ("",))])
    write_text(
        make_run(runs, "y", noisy(1, 0.5)) / "test" / "translations.tsv", "source\ttranslation\na\tb\n"
    )
    metrics = {"scores": {"BLEU": {"signature": "nrefs:var|tok:zh"}}}
    write_json(make_run(runs, "z", noisy(1, 0.5)) / "test" / "metrics.json", metrics)
    with pytest.raises(error, match="^" + message):
        compare(*arguments)


# ---------------------------------------------------------------- which metric predicts the test score


def test_spearman():
    """By hand, and against the formula for ranks without ties."""
    from recipes.correlation import ranks, spearman

    assert ranks(np.array([10.0, 30, 20, 20, 5])).tolist() == [2, 5, 3.5, 3.5, 1]
    assert spearman(np.array([1.0, 2, 3]), np.array([4.0, 50, 600])) == pytest.approx(1)
    assert spearman(np.array([1.0, 2, 3]), np.array([3.0, 2, 1])) == pytest.approx(-1)
    assert math.isnan(spearman(np.array([1.0, 1, 1]), np.array([3.0, 2, 1])))
    random = np.random.default_rng(1)
    one, other = random.permutation(12), random.permutation(12)
    squares = ((one - other) ** 2).sum()
    expected = 1 - 6 * squares / (12 * (12**2 - 1))
    assert spearman(one.astype(float), other.astype(float)) == pytest.approx(expected)


@pytest.fixture
def trained(tmp_path, tokenizers):
    """Runs whose test scores are ordered as chrF on dev, and nearly as the loss."""
    _, target = tokenizers
    for number, (bleu, chrf, loss) in enumerate([(1, 1, 9), (3, 2, 8), (2, 3, 6), (4, 4, 7), (0, 5, 1)]):
        run = make_run(tmp_path, f"r{number}", noisy(number, 0.5), number)
        chosen = {"step": 20, "bleu": bleu, "chrf": 10 * chrf, "loss": loss}
        record = {"best_step": 20, "validations": [chosen | {"step": 10, "chrf": -number}, chosen]}
        write_json(run / "training.json", record)
        values = {"BLEU": {"value": chrf}, "chrF2": {"value": -2 * chrf}}
        write_json(run / "test" / "metrics.json", {"scores": values})
        write_bytes(run / "checkpoints" / "best" / "target.model", target.model)
    return tmp_path


def test_metric_correlation(trained, tokenizers, monkeypatch, capsys):
    import metric_correlation

    make_run(trained, "unfinished", noisy(1, 0.5))
    runs = sorted(str(run) for run in trained.iterdir())
    monkeypatch.setattr("sys.argv", ["metric_correlation.py", *runs, "--output", str(trained / "out.json")])
    metric_correlation.main()
    out = capsys.readouterr().out
    assert out.startswith(f"5 runs; left out, as they are not finished: {trained}/unfinished\n")
    (first, *_) = json.loads((trained / "out.json").read_text(encoding="utf-8"))["runs"]
    _, target = tokenizers
    texts = [text for references in REFERENCES for text in references]
    tokens = sum(len(target.encode(text)) + 1 for text in texts)
    assert first["dev"]["loss"] == pytest.approx(9 * tokens / sum(map(len, texts)))
    found = json.loads((trained / "out.json").read_text(encoding="utf-8"))["metrics"]
    by_name = {(one["test"], one["dev"]): one for one in found}
    assert len(by_name) == 3 * 4
    chrf = by_name["BLEU", "chrf"]
    assert (chrf["rho"], chrf["pairs"], chrf["chosen"], chrf["best"]) == (pytest.approx(1), 1, 5, 5)
    assert (chrf["high"], chrf["first"]) == (pytest.approx(1), 1)
    assert by_name["BLEU", "loss"]["rho"] == pytest.approx(0.9)
    assert by_name["BLEU", "loss"]["pairs"] == 0.9
    bleu = by_name["BLEU", "bleu"]  # ranks 2 4 3 5 1 against 1 2 3 4 5
    assert (bleu["rho"], bleu["chosen"]) == (pytest.approx(1 - 6 * 22 / 120), 4)
    assert by_name["chrF2", "chrf"]["rho"] == pytest.approx(-1)
    lines = [line.split()[:2] for line in out.splitlines()[2:6]]
    assert lines[:2] == [["dev", "chrf"], ["dev", "bleu+chrf"]]


def test_a_run_that_does_not_exist_is_not_left_out(trained, monkeypatch):
    """An unfinished run is left out, which is said; a misspelt one would be missed in silence."""
    import metric_correlation

    runs = sorted(str(run) for run in trained.iterdir())
    monkeypatch.setattr("sys.argv", ["metric_correlation.py", *runs, str(trained / "r6*")])
    with pytest.raises(RunError, match=r"r6\*: no such folder"):
        metric_correlation.main()


def test_a_metric_without_a_correlation_is_named(trained, monkeypatch, capsys):
    import metric_correlation

    for run in (runs := sorted(trained.iterdir())):
        record = json.loads((run / "training.json").read_text(encoding="utf-8"))
        record["validations"][1]["bleu"] = 0.0
        write_json(run / "training.json", record)
    monkeypatch.setattr("sys.argv", ["metric_correlation.py", *map(str, runs)])
    metric_correlation.main()
    out = capsys.readouterr().out
    assert "dev bleu " not in out
    assert "left out, as it is the same for all runs or not finite: dev bleu\n" in out


def test_runs_that_cannot_be_compared(trained):
    from recipes.correlation import read_points

    runs = sorted(trained.iterdir())
    with pytest.raises(RunError, match=r"^finished runs: 3; a rank correlation needs 4"):
        read_points(runs[:3])
    write_text(runs[4] / "data" / "dev.jsonl", "")
    with pytest.raises(RunError, match=f"^{runs[4]}: its dev set is not that of {runs[0]}"):
        read_points(runs)
    write_text(runs[1] / "training.json", "{}")
    with pytest.raises(RunError, match=f"^{runs[1]}: training.json or test/metrics.json is corrupt"):
        read_points(runs[:4])
