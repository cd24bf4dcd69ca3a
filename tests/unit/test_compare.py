"""`scripts/compare.py`: which models it trains, and the table for made-up results."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from omegaconf import OmegaConf

from nmt.config.schema import to_dict
from nmt.config.settings import Config
from nmt.errors import ConfigError, RunError
from nmt.files import write_json, write_text

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "compare.py"


@pytest.fixture
def compare(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import compare

    return compare


@pytest.fixture
def comparison(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPT.parent))
    import comparison

    return comparison


@pytest.fixture
def results(comparison):
    """Two models on a test set of 1,245 sentences, of which 5 are longer than ten words."""

    def result(model, bleu, aer, *by_length):
        counts = zip(("≤5", "6-10", ">10"), (1234, 11, 5), by_length, strict=True)
        return comparison.Result(
            model=model,
            run=f"out/{model}",
            scores={
                "BLEU": {"value": bleu, "signature": "tok:13a"},
                "chrF2": {"value": 2 * bleu, "signature": "nw:0"},
            },
            aer=aer,
            parameters=1234567,
            tokens_per_second=23456.7,
            minutes=2.345,
            sentences=1250,
            buckets=[comparison.Bucket(label, number, score) for label, number, score in counts],
        )

    return [result("bahdanau", 30.125, 0.25, 40.0, 30.0, 20.0), result("seq2seq", 9.999, None, 35.0, 12.0, 0)]


# ---------------------------------------------------------------- the table


def rows(report):
    lines = [line.strip("|").split("|") for line in report.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line] for line in lines]


def test_table(comparison, results):
    report = comparison.table(
        ["seq2seq", "luong", "bahdanau"], results, "Short", ["experiment=demo", "seed=3"]
    )
    head, line, *body = rows(report)
    assert head == ["model", "BLEU", "chrF2", "AER", "parameters", "target tokens/s", "minutes"]
    assert line == ["---"] + ["---:"] * 6
    assert body == [
        ["seq2seq", "10.00", "20.00", "–", "1,234,567", "23,457", "2.3"],
        ["luong", "failed", "–", "–", "–", "–", "–"],
        ["bahdanau", "30.12", "60.25", "0.250", "1,234,567", "23,457", "2.3"],
    ]
    assert report.startswith("# Short\n")
    assert report.endswith("(bleu_by_length.png)\n")
    for words in ("`experiment=demo seed=3`", "1,250 test sentences", "`tok:13a`"):
        assert words in report


def test_no_alignments_no_column(comparison, results):
    head, *_ = rows(comparison.table(["seq2seq"], results[1:], "", []))
    assert "AER" not in head
    assert "default settings" in comparison.table(["seq2seq"], results[1:], "", [])


def test_nothing_but_failures(comparison):
    head, _, *body = rows(comparison.table(["a", "b"], [], "", []))
    assert [(row[:2], len(row)) for row in body] == [
        (["a", "failed"], len(head)),
        (["b", "failed"], len(head)),
    ]


# ---------------------------------------------------------------- which models are trained

SEQUENCE = iter(range(1, 1000))


def finish(folder, name, config, fingerprint="f"):
    """A minimal run folder that can be found; each newer than the previous one."""
    run = folder / name
    values = to_dict(replace(config, name=name, runs=str(folder)))
    write_text(run / "config.yaml", OmegaConf.to_yaml(OmegaConf.create(values)))
    write_json(run / "prepared.json", {"fingerprint": fingerprint})
    write_json(run / "test" / "metrics.json", {})
    moment = next(SEQUENCE)
    os.utime(run / "test" / "metrics.json", (moment, moment))
    return run


@pytest.fixture
def sweeps(compare, monkeypatch):
    """The arguments of the sweeps; nothing is trained: models in `works` get a finished run."""

    class Sweeps(list):
        works: tuple[str, ...] = ()
        settings: dict[str, Config]
        folder: Path

    seen = Sweeps()

    def run_sweep(*overrides):
        seen.append(list(overrides))
        for model in overrides[0].removeprefix("model=").split(","):
            if model in seen.works:
                finish(seen.folder, f"{model}-{len(seen)}", seen.settings[model])

    monkeypatch.setattr(compare, "run_sweep", run_sweep)
    return seen


SETTINGS = {"one": Config(runs="", seed=1), "two": Config(runs="", seed=2)}


def test_only_what_is_missing_is_trained(compare, sweeps, tmp_path):
    sweeps.settings, sweeps.folder, sweeps.works = SETTINGS, tmp_path, ("one",)
    found = compare.train_missing(SETTINGS, tmp_path, ["device=cpu"])
    assert sweeps == [["model=one,two", f"runs='{tmp_path}'", "device=cpu"]]
    assert found == {"one": tmp_path / "one-1"}  # two has failed, without affecting one
    sweeps.works = ("one", "two")
    found = compare.train_missing(SETTINGS, tmp_path, [])
    assert sweeps[1][0] == "model=two"
    assert found == {"one": tmp_path / "one-1", "two": tmp_path / "two-2"}
    assert compare.train_missing(SETTINGS, tmp_path, []) == found
    assert len(sweeps) == 2
    changed = SETTINGS | {"two": replace(SETTINGS["two"], threads=1)}
    sweeps.settings = changed
    assert compare.train_missing(changed, tmp_path, []) == found | {"two": tmp_path / "two-3"}
    assert sweeps[2][0] == "model=two"
    assert compare.train_missing(SETTINGS, tmp_path, []) == found  # and back: the old run is still used
    assert len(sweeps) == 3


def test_again(compare, sweeps, tmp_path):
    sweeps.settings, sweeps.folder, sweeps.works = SETTINGS, tmp_path, ("two",)
    for model, config in SETTINGS.items():
        finish(tmp_path, f"{model}-old", config)
    found = compare.train_missing(SETTINGS, tmp_path, [], again=True)
    assert sweeps[0][0] == "model=one,two"
    assert found == {"two": tmp_path / "two-1"}  # one has failed: its old run does not count as new
    assert compare.train_missing(SETTINGS, tmp_path, [])["one"] == tmp_path / "one-old"


def test_what_counts_as_finished(compare, tmp_path):
    config = SETTINGS["one"]
    run = finish(tmp_path, "complete", config)
    (tmp_path / "latest").symlink_to("complete")
    (finish(tmp_path, "begun", config) / "test" / "metrics.json").unlink()
    (finish(tmp_path, "corrupt", config) / "config.yaml").write_bytes(b"seed: [")
    (finish(tmp_path, "stranger", config) / "config.yaml").write_text("seed: 1\nflavour: sweet\n")
    (finish(tmp_path, "bare", config) / "config.yaml").unlink()
    assert compare.finished_runs(tmp_path) == {run: config}
    assert compare.finished_runs(tmp_path / "nowhere") == {}


def test_a_folder_with_signs_of_the_shell_in_its_name(compare, sweeps, tmp_path):
    folder = tmp_path / "it's a, b=c"
    compare.train_missing({"one": Config()}, folder, [])
    from hydra.core.override_parser.overrides_parser import OverridesParser

    (override,) = OverridesParser.create().parse_overrides([sweeps[0][1]])
    assert override.value() == str(folder)
    assert not override.is_sweep_override()


def test_other_data_are_refused(comparison, tmp_path):
    one = finish(tmp_path, "one", SETTINGS["one"])
    two = finish(tmp_path, "two", SETTINGS["two"])
    comparison._refuse_other_data([one, two])
    comparison._refuse_other_data([])
    three = finish(tmp_path, "three", SETTINGS["two"], fingerprint="g")
    with pytest.raises(RunError, match=f"^{one}: trained on different data than {three}; "):
        comparison._refuse_other_data([one, three])


@pytest.mark.parametrize("content", ["{", "[]", "{}", "3"])
def test_a_corrupt_run_is_named(comparison, tmp_path, content):
    run = finish(tmp_path, "one", SETTINGS["one"])
    write_text(run / "prepared.json", content)
    with pytest.raises(RunError, match=f"^{run}/prepared.json: missing or corrupt"):
        comparison.read_results({"one": run})


# ---------------------------------------------------------------- mistakes

MISTAKES = {
    "no models": ([], "o", [], "--models: give at least one"),
    "comma": (["a,b"], "o", [], "--models 'a,b': give names from configs/model/, separated by spaces"),
    "no output": (["a"], None, [], "--output: give the folder"),
    "a file": (["a"], "file", [], "--output file: file is a file"),
    "below a file": (["a"], "file/x/y", [], "--output file/x/y: file is a file"),
    "no setting": (["a"], "o", ["luong"], "luong: settings are KEY=VALUE"),
    "name": (["a"], "o", ["name=x"], "name=x: name is set by"),
    "resume": (["a"], "o", ["resume=x"], "resume=x: resume is set by"),
    "runs": (["a"], "o", ["++runs=x"], r"\+\+runs=x: runs is set by"),
    "model": (["a"], "o", ["model=x"], "model=x: model is set by"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes(compare, monkeypatch, tmp_path, name):
    models, output, overrides, message = MISTAKES[name]
    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(ConfigError, match="^" + message):
        compare._check(models, output, overrides)


def test_settings_of_the_model_may_be_given(compare, tmp_path):
    assert compare._check(["a"], str(tmp_path / "new"), ["training.dropout=0.1"]) == tmp_path / "new"


def test_help_imports_nothing_heavy():
    program = "import runpy, sys; script, sys.argv = sys.stdin.read(), ['compare.py', '--help']\n"
    program += "sys.path.insert(0, script.rpartition('/')[0])\n"
    program += "try: runpy.run_path(script, run_name='__main__')\n"
    program += "except SystemExit as left: assert not left.code\n"
    program += "assert not {'torch', 'hydra', 'omegaconf', 'numpy', 'matplotlib'} & set(sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], input=str(SCRIPT), capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("usage: python scripts/compare.py --models")
