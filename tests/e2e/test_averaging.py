"""`scripts/average_checkpoints.py`: the average of several checkpoints is a run that can translate."""

import sys
from pathlib import Path

import pytest
import torch
from console import TRAINING, Answer, command
from inside import inside
from safetensors.torch import load_file

from nmt import train

sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
import average_checkpoints


@pytest.fixture(scope="module")
def run(trained: Path) -> Path:
    """A run that keeps three checkpoints of each kind, with 20 updates, validated every 5."""
    folder = trained.parent.parent
    settings = ("training.keep=3", "training.validate_every=5", "training.ema=0", "training.metric=loss")
    answer = inside(train, *TRAINING, *settings, "runs=averaging", "name=kept", folder=folder)
    assert answer.code == 0, answer.err
    return folder / "averaging" / "kept"


def average(*arguments: object) -> Answer:
    return inside(average_checkpoints, *arguments, folder=Path.cwd())


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "count"), [("last", 3), ("best", 2)])
def test_the_average_is_the_mean_and_translates(run, tmp_path, kind, count):
    answer = average(run, tmp_path / "mean", "--kind", kind, "--count", count)
    assert answer.code == 0, answer.err
    scores = answer.out.splitlines()
    assert [line.split(":")[0] for line in scores[: count + 1]] == [
        *(f"step {step}" for step in (20, 15, 10)[:count]),
        "average",
    ]
    assert all("bleu" in line and "loss" in line for line in scores[: count + 1])
    folders = [run / "checkpoints" / name for name in (kind, f"{kind}.1", f"{kind}.2")[:count]]
    averaged = [load_file(folder / "model.safetensors") for folder in folders]
    mean = load_file(tmp_path / "mean" / "checkpoints" / "best" / "model.safetensors")
    assert mean.keys() == averaged[0].keys()
    for name, value in mean.items():
        expected = sum(one[name].double() for one in averaged) / count
        torch.testing.assert_close(value.double(), expected, atol=1e-7, rtol=0)
        assert name.endswith("padding") or not torch.equal(value, averaged[0][name])
    translated = command("nmt.translate", "--run", tmp_path / "mean", "She is tall.", folder=tmp_path)
    assert translated.code == 0, translated.err
    assert translated.out.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--count", 4], "keeps 3 checkpoints; train with training.keep=4"),
        (["--count", 0], "--count 0: must be at least 1"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_nothing(run, tmp_path, arguments, said):
    answer = average(run, tmp_path / "mean", *arguments)
    assert answer.code == 2
    assert answer.err.startswith("error: ")
    assert said in answer.err
    assert answer.err.count("\n") == 1
    assert not (tmp_path / "mean").exists()


def test_an_existing_folder_is_not_touched(run, tmp_path):
    answer = average(run, tmp_path)
    assert (answer.code, list(tmp_path.iterdir())) == (2, [])
    assert f"{tmp_path}: exists" in answer.err
