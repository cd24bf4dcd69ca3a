"""A run that was killed, then stopped, then finished is identical to an uninterrupted run."""

import json
import os
import re
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml
from console import TRAINING, Answer
from hydra.core.global_hydra import GlobalHydra
from inside import inside
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nmt import train
from nmt.config.schema import from_dict
from nmt.config.settings import Config
from nmt.files import lock_file

STEPS = 40  # validated every 10, logged every 5
LONGER = (*TRAINING, f"training.max_steps={STEPS}", "training.save_every=6")


def read_json(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def step_of(checkpoint: Path) -> int:
    return read_json(checkpoint / "model.json")["progress"]["step"]


def signalled(number: int, step: int, *arguments: object, folder: Path) -> Answer:
    """`python -m nmt.train`, sent a signal as soon as it has logged a step."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nmt.train", *map(str, arguments)],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert process.stdout is not None
    out = ""
    for line in process.stdout:
        out += line
        if line.startswith(f"step {step}/"):
            process.send_signal(number)
            break
    rest, err = process.communicate(timeout=300)
    return Answer(process.returncode, out + rest, err)


@pytest.fixture(scope="module")
def folder(trained: Path) -> Path:
    """The folder for the runs of these tests: next to the shared run, to reuse its prepared data."""
    return trained.parent.parent


@pytest.fixture(scope="module")
def uninterrupted(folder: Path) -> Path:
    answer = inside(train, *LONGER, "runs=resume", "name=uninterrupted", folder=folder)
    assert answer.code == 0, answer.err
    return folder / "resume" / "uninterrupted"


class Chain(NamedTuple):
    """A run of three processes, their output, and the step after which the second was stopped."""

    run: Path
    killed: Answer
    stopped: Answer
    finished: Answer
    stop: int


@pytest.fixture(scope="module")
def chain(folder: Path) -> Chain:
    """The same training, killed during validation after step 20; step 18 is saved, with the curves up to
    step 15. What is killed and stopped are processes; the rest is done in this one.
    """
    run = folder / "resume" / "broken"
    killed = signalled(signal.SIGKILL, 20, *LONGER, "runs=resume", "name=broken", folder=folder)
    assert killed.code == -signal.SIGKILL, "it finished before the signal was sent"
    stopped = signalled(signal.SIGTERM, 25, f"resume={run}", folder=folder)
    assert stopped.code == 143, stopped.err
    stop = step_of(run / "checkpoints" / "last")
    python, m, module, *overrides = shlex.split(stopped.err.split("resume with: ")[1])
    assert (python, m, module) == ("python", "-m", "nmt.train")
    finished = inside(train, *overrides, "training.samples=2", folder=folder)
    assert finished.code == 0, finished.err
    return Chain(run, killed, stopped, finished, stop)


@pytest.fixture
def broken(chain: Chain) -> Path:
    return chain.run


# ---------------------------------------------------------------- identical results


@pytest.mark.parametrize("name", ["best", "last"])
def test_the_same_weights(uninterrupted, broken, name):
    for file in ("model.safetensors", "model.json"):
        path = Path("checkpoints") / name / file
        assert (broken / path).read_bytes() == (uninterrupted / path).read_bytes()
    assert step_of(broken / "checkpoints" / "last") == STEPS


def test_the_same_validations_and_translations(uninterrupted, broken):
    found, expected = (read_json(run / "training.json") for run in (broken, uninterrupted))
    assert [scores["step"] for scores in expected["validations"]] == [10, 20, 30, 40]
    for name in ("validations", "steps", "best_step", "skipped"):
        assert found[name] == expected[name]
    assert found["seconds"] > 0
    for name in ("test/translations.tsv", "data/dev.jsonl", "data/test.jsonl", "prepared.json"):
        assert (broken / name).read_bytes() == (uninterrupted / name).read_bytes()


def curves(run: Path) -> dict[str, list[tuple[int, float]]]:
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0}).Reload()
    return {tag: [(e.step, e.value) for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}


def test_the_same_curves(uninterrupted, broken):
    """Although the curves of the three processes overlap, and a kill loses what was not yet written."""
    assert len(list((broken / "tensorboard").glob("events.*"))) == 3
    found, expected = curves(broken), curves(uninterrupted)
    assert found.keys() == expected.keys() >= {"train/loss", "train/gradient_norm", "dev/bleu", "final/BLEU"}
    assert [step for step, _ in expected["train/loss"]] == list(range(5, STEPS + 1, 5))
    for name, points in expected.items():
        if name == "train/tokens_per_second":
            assert [step for step, _ in found[name]] == [step for step, _ in points]
        else:
            assert found[name] == points, name


# ---------------------------------------------------------------- log messages


def test_being_stopped_is_one_line_with_the_command_to_resume(chain):
    assert 25 <= chain.stop < STEPS
    assert chain.stopped.err == (
        f"stopped after step {chain.stop}, everything is saved; "
        f"resume with: python -m nmt.train resume={chain.run}\n"
    )
    assert f"resuming after step {chain.stop} of {STEPS}\n" in chain.finished.out


def test_resuming_after_a_kill_is_from_the_newest_checkpoint(chain):
    """From step 18, or a later one if the kill came late."""
    logged = [int(step) for step in re.findall(r"(?m)^step (\d+)/40", chain.killed.out)]
    (begun,) = re.findall(r"resuming after step (\d+) of 40\n", chain.stopped.out)
    assert logged[-1] >= 20
    assert int(begun) in {18, 20, 24, 30, 36}
    assert int(begun) >= logged[-1] - 5


def test_the_log_has_all_of_it(chain):
    log = (chain.run / "train.log").read_text(encoding="utf-8")
    for answer in (chain.killed, chain.stopped, chain.finished):
        assert len(answer.out.splitlines()) > 3
        for line in answer.out.splitlines():
            assert line in log
    assert log.count("resuming after step") == 2


def test_a_change_is_logged_and_kept(chain, uninterrupted):
    assert "training.samples: 4 → 2\n" in chain.finished.out
    assert "→" not in chain.stopped.out
    found, expected = (
        from_dict(Config, yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8")), "config")
        for run in (chain.run, uninterrupted)
    )
    expected.name, expected.training.samples, expected.runs = "broken", 2, str(chain.run.parent)
    assert found == expected
    assert found.resume is None


# ---------------------------------------------------------------- mistakes


@pytest.fixture
def _fresh_hydra(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    GlobalHydra.instance().clear()
    yield
    GlobalHydra.instance().clear()


@pytest.mark.usefixtures("_fresh_hydra")
def test_a_run_that_another_process_trains_is_left_alone(broken, folder, call):
    before = {path: path.read_bytes() for path in broken.rglob("*") if path.is_file()}
    with lock_file(broken / ".lock", wait=False):
        cache = folder / "data" / "cache"
        answer = call(train, f"resume={broken}", f"data.cache={cache}", "training.max_steps=50")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == f"error: {broken}: another process is training in this run\n"
    assert {path: path.read_bytes() for path in broken.rglob("*") if path.is_file()} == before


@pytest.mark.usefixtures("_fresh_hydra")
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["resume=nothing"], "resume=nothing: no such run"),
        (["resume=file"], "resume=file: no such run"),
        (
            ["resume=RUN", "model.attention.size=7"],
            "model.attention.size: 32 → 7 would mean a different model; ",
        ),
        (["resume=RUN", "data=sample"], "data=sample: a resumed run keeps its data; leave it out"),
        (["resume=RUN", "training.epoch=3"], "training.epoch: no such setting"),
        (["resume=RUN", "training.epochs=0"], "training.epochs=0: must be at least 1"),
    ],
)
def test_mistakes(trained, call, tmp_path, arguments, message):
    (tmp_path / "file").touch()
    answer = call(train, *(text.replace("RUN", str(trained)) for text in arguments))
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"error: {message}")
    assert len(answer.err.splitlines()) == 1
