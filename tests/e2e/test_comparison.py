"""`scripts/compare.py` with two tiny models: what it writes, what it trains, and when it retrains."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from statistics import median

import pytest
from console import TRAINING, Answer
from inside import inside
from matplotlib import image

from nmt import train
from nmt.data.examples import load_examples

SCRIPT = Path(__file__).resolve().parents[2] / "scripts" / "compare.py"
sys.path.insert(0, str(SCRIPT.parent))
import compare as script  # noqa: E402

OVERRIDES = (*TRAINING, "training.max_steps=8", "training.log_every=2", "data.dev_fraction=0.01")


def compare(folder: Path, *arguments: object) -> Answer:
    """The script in this process. What it trains is a process, unless `sweep_here` is in use."""
    return inside(script, *arguments, folder=folder)


@pytest.fixture
def sweep_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also what it trains is done in this process, which needs no imports."""
    monkeypatch.setattr(
        script, "run_sweep", lambda *overrides: inside(train, "-m", *overrides, folder=Path())
    )


def numbers(folder: Path) -> dict:
    return json.loads((folder / "out" / "comparison.json").read_text(encoding="utf-8"))


def runs(folder: Path) -> set[str]:
    return {path.parent.name for path in (folder / "out").glob("*/config.yaml")} - {"latest"}


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with `out`, the comparison of a model with attention and one without."""
    folder = tmp_path_factory.mktemp("comparing")
    answer = compare(
        folder, "--models", "bahdanau", "seq2seq", "--output", "out", "--title", "Two", *OVERRIDES
    )
    assert answer.code == 0, answer.err
    assert "| bahdanau |" in answer.out
    return folder


def test_what_it_writes(compared):
    out = compared / "out"
    found = numbers(compared)
    assert (found["title"], found["overrides"], found["failed"]) == ("Two", list(OVERRIDES), [])
    assert [one["model"] for one in found["models"]] == ["bahdanau", "seq2seq"]
    for one in found["models"]:
        run = compared / one["run"]
        assert one["model"] in run.name
        metrics = json.loads((run / "test" / "metrics.json").read_text(encoding="utf-8"))
        assert one["scores"] == metrics["scores"]
        assert one["buckets"] == metrics["bleu_by_source_words"]
        assert sum(bucket["sentences"] for bucket in one["buckets"]) == one["sentences"]
        assert one["sentences"] == len(load_examples(run / "data" / "test.jsonl"))
        log = (run / "train.log").read_text(encoding="utf-8")
        assert f"model: {one['parameters']:,} parameters" in log
        speeds = [int(speed.replace(",", "")) for speed in re.findall(r"([\d,]+) tokens/s", log)]
        assert len(speeds) == 4
        assert one["tokens_per_second"] == pytest.approx(median(speeds), abs=1)
        (seconds,) = re.findall(r"trained in (\d+)s", log)
        assert one["minutes"] * 60 == pytest.approx(int(seconds), abs=1.5)
    attention, none = found["models"]
    assert 0 < attention["aer"] < 1
    assert none["aer"] is None
    lines = (out / "comparison.md").read_text(encoding="utf-8").splitlines()
    assert lines[0] == "# Two"
    (row,) = [line for line in lines if line.startswith("| bahdanau |")]
    assert f"| {attention['scores']['BLEU']['value']:.2f} |" in row
    assert f"| {attention['aer']:.3f} | {attention['parameters']:,} |" in row
    assert image.imread(out / "bleu_by_length.png").std() > 0
    assert (out / "bleu_by_length.svg").read_text(encoding="utf-8").startswith("<?xml")


def test_comparing_the_finished_runs_as_recipes(compared):
    folders = [one["run"] for one in numbers(compared)["models"]]
    recipes = [f"--recipe={name}={run}" for name, run in zip("ab", folders, strict=True)]
    answer = compare(compared, *recipes, "--output", "recipes")
    assert answer.code == 0, answer.err
    found = json.loads((compared / "recipes" / "recipes.json").read_text(encoding="utf-8"))
    for recipe, run in zip(found["recipes"], folders, strict=True):
        metrics = json.loads((compared / run / "test" / "metrics.json").read_text(encoding="utf-8"))
        for name, scores in recipe["scores"].items():
            assert scores["mean"] == metrics["scores"][name]["value"]
        assert recipe["by_length"] == metrics["bleu_by_source_words"]
        assert [one for one in recipe["by_rarest"] if one["label"] != "1-9"] == metrics[
            "by_rarest_source_word"
        ]
    assert found["verdicts"][0] in answer.out
    assert (compared / "recipes" / "recipes.md").exists()
    again = compare(compared, *recipes, "--split", "dev")
    assert again.code == 2
    assert "evaluate the run with: python -m nmt.evaluate --run out/" in again.err


@pytest.mark.usefixtures("sweep_here")
def test_trained_only_when_needed(compared):
    """The same again; the models in reverse order, one with other settings; and back."""
    before, trained = numbers(compared), runs(compared)
    assert len(trained) == 2
    answer = compare(
        compared, "--models", "bahdanau", "seq2seq", "--output", "out", "--title", "Two", *OVERRIDES
    )
    assert answer.code == 0, answer.err
    assert answer.out.count("already trained") == 2
    assert (runs(compared), numbers(compared)) == (trained, before)
    answer = compare(compared, "--output", "out", *OVERRIDES, "--models", "seq2seq", "training.max_steps=4")
    assert answer.code == 0, answer.err
    (new,) = runs(compared) - trained
    (one,) = numbers(compared)["models"]
    assert one["run"] == f"out/{new}"
    assert "max_steps: 4" in (compared / "out" / new / "config.yaml").read_text(encoding="utf-8")
    answer = compare(compared, "--models", "seq2seq", "--output", compared / "out", *OVERRIDES)
    assert answer.code == 0, answer.err
    assert Path(numbers(compared)["models"][0]["run"]).name == Path(before["models"][1]["run"]).name
    assert len(runs(compared)) == 3


@pytest.mark.usefixtures("sweep_here")
def test_a_failing_training_leaves_the_others(compared):
    """The prepared data is corrupted between two calls."""
    (prepared,) = (compared / "data" / "cache" / "prepared").glob("*/prepared.json")
    original = prepared.read_bytes()
    before = (compared / "out" / "comparison.md").read_bytes()
    prepared.write_text("{")
    nothing = compare(compared, "--models", "luong", "--output", "out", *OVERRIDES)
    assert (compared / "out" / "comparison.md").read_bytes() == before
    answer = compare(compared, "--models", "luong", "bahdanau", "--output", "out", *OVERRIDES)
    prepared.write_bytes(original)
    assert nothing.code == 2
    assert nothing.err.splitlines()[-1].startswith("error: no training run has finished")
    assert answer.code == 1
    assert answer.err.splitlines()[-1] == "error: 1 of 2 training runs failed: luong"
    found = numbers(compared)
    assert found["failed"] == ["luong"]
    assert [one["model"] for one in found["models"]] == ["bahdanau"]
    report = (compared / "out" / "comparison.md").read_text(encoding="utf-8")
    assert "| luong | failed |" in report
    assert "| bahdanau | " in report


def test_a_test_scored_with_another_search_is_refused(compared):
    run = compared / numbers(compared)["models"][0]["run"]
    metrics = run / "test" / "metrics.json"
    original = metrics.read_text(encoding="utf-8")
    metrics.write_text(original.replace('"beam_size": 2', '"beam_size": 1'), encoding="utf-8")
    answer = compare(compared, "--models", "bahdanau", "--output", "out", *OVERRIDES)
    metrics.write_text(original, encoding="utf-8")
    assert answer.code == 2
    (line,) = answer.err.splitlines()
    assert "scored with decoding settings other than" in line


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["--models", "bahdanau", "nope", "--output", "new"],
            "model=nope: no such choice; available: bahdanau",
        ),
        (["--models", "bahdanau", "--output", "new", "training.epoch=2"], "did you mean training.epochs?"),
        (["--models", "bahdanau", "--output", "file"], "--output file: file is a file"),
        (["--output", "new"], "--models: give at least one"),
    ],
)
def test_mistakes_before_any_training(tmp_path, arguments, message):
    (tmp_path / "file").touch()
    answer = compare(tmp_path, *arguments)
    assert (answer.code, answer.out) == (2, "")
    (line,) = answer.err.splitlines()
    assert line.startswith("error: ")
    assert message in line
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


SIGNALLED = """\
#!/bin/sh
trap 'exit 143' TERM
kill -s TERM $PPID
for wait in 1 2 3 4 5 6 7 8 9 10; do sleep 1 & wait; done
exit 1
"""


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_a_signal_is_handed_on_to_the_training(tmp_path, monkeypatch):
    """The training is a stand-in that lets this process get a signal, and ends if it gets one itself."""
    training = tmp_path / "python"
    training.write_text(SIGNALLED, encoding="utf-8")
    training.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(training))
    answer = compare(tmp_path, "--models", "bahdanau", "luong", "--output", "out", *OVERRIDES)
    assert answer.code == 143
    assert answer.err.splitlines()[-1].startswith("then run this command again")
    assert not (tmp_path / "out" / "comparison.md").exists()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_the_training_and_loses_nothing(tmp_path, number):
    settings = (
        *TRAINING,
        "training.max_steps=100000",
        "training.log_every=1",
        "training.validate_every=9999",
    )
    arguments = ("--models", "bahdanau", "luong", "--output", "out", *settings)
    running = subprocess.Popen(
        [sys.executable, str(SCRIPT), *arguments],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        process_group=0,
    )
    try:
        assert running.stdout is not None
        for line in running.stdout:
            if line.startswith("step 2/"):
                break
        os.killpg(running.pid, number)  # like the terminal
        _, said = running.communicate(timeout=120)
    finally:
        running.kill()
    assert running.returncode == 128 + number
    (name,) = runs(tmp_path)  # luong is not run
    assert re.search(
        rf"^stopped after step \d+, everything is saved; .* resume=out/{name}$", said, re.MULTILINE
    ), said
    assert said.splitlines()[-1].startswith("then run this command again")
    assert not (tmp_path / "out" / "comparison.md").exists()
