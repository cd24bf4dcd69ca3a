"""Full disks, files in the way, corrupt checkpoints: one clear line each, and nothing is lost."""

import json
import os
import re
import shutil
import tempfile
from pathlib import Path

import pytest
from console import Answer
from inside import CHECKPOINT, STEPS, check_finished, inside, resume

from nmt import translate
from nmt.export.attention_file import load_attention
from nmt.runs.checkpoint import find_checkpoint, kept_checkpoints

TEXT = "The dog sees."
pytestmark = pytest.mark.skipif(not Path("/dev/full").exists(), reason="no device that is full, as Linux has")


def full_at(name: str, number: int, patch: pytest.MonkeyPatch) -> None:
    """The `number`th file of this name (from 1) is written to a full device."""
    real, left = tempfile.mkstemp, [number]

    def wrapped(*, prefix: str, **options):
        descriptor, temporary = real(prefix=prefix, **options)
        left[0] -= prefix == f".{name}."
        if prefix == f".{name}." and not left[0]:
            os.close(descriptor)
            descriptor = os.open("/dev/full", os.O_WRONLY)
        return descriptor, temporary

    patch.setattr(tempfile, "mkstemp", wrapped)


def check_complete(folder: Path) -> None:
    """Every file with a final name is complete, and nothing else is left."""
    for path in folder.rglob("*"):
        assert path.name in (".lock", "latest") or not path.name.startswith(".")
        if path.suffix == ".json":
            json.loads(path.read_text(encoding="utf-8"))
        if path.suffix == ".jsonl":
            assert [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
        if path.name == "attention.npz":
            load_attention(path)
    for name in ("best", "last"):
        kept = kept_checkpoints(folder / "run" / "checkpoints" / name)
        assert [find_checkpoint(folder) for folder in kept] == kept


def kept_steps(run: Path) -> list[int]:
    kept = kept_checkpoints(run / "checkpoints" / "last")
    return [
        json.loads((folder / "model.json").read_text(encoding="utf-8"))["progress"]["step"] for folder in kept
    ]


@pytest.mark.parametrize(
    ("name", "number", "where", "steps"),
    [
        pytest.param("test.jsonl", 1, "data/test.jsonl", [], id="creation"),
        pytest.param("training.pt", 1, "checkpoints/last", [], id="first checkpoint"),
        pytest.param("training.pt", 4, "checkpoints/last", [3, 2], id="last checkpoint"),
        pytest.param("attention.npz", 1, "test/attention.npz", [4, 3], id="test results"),
    ],
)
def test_a_full_disk(begin, uninterrupted, monkeypatch, tmp_path, name, number, where, steps):
    run = tmp_path / "runs" / "run"
    with monkeypatch.context() as patch:
        full_at(name, number, patch)
        answer = begin(tmp_path)
    assert answer.code == 2
    assert answer.err == (
        f"error: runs/run/{where}: No space left on device; free some space, "
        "then resume with: python -m nmt.train resume=runs/run\n"
    )
    check_complete(run.parent)
    assert kept_steps(run) == steps
    if kept_checkpoints(run / "checkpoints" / "best"):
        answer = inside(translate, "--run", run, TEXT, folder=tmp_path)
        assert (answer.code, len(answer.out.splitlines())) == (0, 1)
    answer = resume(run)
    assert (answer.code, answer.err) == (0, "")
    check_finished(run, uninterrupted)
    check_complete(run.parent)


def test_a_disk_without_space_for_the_settings(begin, monkeypatch, tmp_path):
    """No run is left that could not be resumed, and its name is free."""
    with monkeypatch.context() as patch:
        full_at("config.yaml", 1, patch)
        answer = begin(tmp_path)
    assert answer.code == 2
    assert answer.err == "error: runs/run/config.yaml: No space left on device; free some space\n"
    assert list((tmp_path / "runs").iterdir()) == []


# ---------------------------------------------------------------- files in the way


HINT = "a file is in the way of a folder: move it or choose another folder"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("runs", rf"runs/run: Not a directory; {HINT}\n"),
        ("runs/run", r"name=run: runs/run exists; choose another name\n"),
    ],
)
def test_a_file_in_place_of_a_folder(begin, tmp_path, path, message):
    file = tmp_path / path
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    answer = begin(tmp_path)
    assert (answer.code, answer.out) == (2, "")
    assert re.fullmatch(f"error: {message}", answer.err)
    assert file.read_text() == "mine"


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("checkpoints", rf"/checkpoints/last: Not a directory; {HINT}"),
        ("tensorboard", rf"/tensorboard: File exists; {HINT}"),
        ("data", rf"/data: File exists; {HINT}"),
    ],
)
def test_a_file_in_place_of_a_folder_of_the_run(uninterrupted, tmp_path, path, message):
    """Before the first checkpoint."""
    run = tmp_path / "run"
    run.mkdir()
    shutil.copy(uninterrupted / "config.yaml", run)
    (run / path).write_text("mine")
    answer = resume(run)
    assert answer.code == 2
    hint = f"then resume with: python -m nmt.train resume={run}"
    assert re.fullmatch(f"error: {run}{message}, {hint}\n", answer.err)
    assert (run / path).read_text() == "mine"


@pytest.mark.parametrize("path", ["cache", "cache/prepared"])
def test_a_file_in_place_of_the_cache(begin, tmp_path, path):
    file = tmp_path / path
    file.parent.mkdir(exist_ok=True)
    file.write_text("mine")
    answer = begin(tmp_path, "data.cache=cache")
    assert (answer.code, answer.out) == (2, "")
    assert re.fullmatch(
        r"error: cache/prepared/\w{16}: cannot be written \(Not a directory\); free some space or choose "
        r"another folder with data\.cache=FOLDER\n",
        answer.err,
    )
    assert file.read_text() == "mine"
    assert not (tmp_path / "runs").exists()


def test_a_full_disk_for_the_cache(begin, monkeypatch, tmp_path):
    """The next preparation starts over."""
    with monkeypatch.context() as patch:
        full_at("dev.jsonl", 1, patch)
        answer = begin(tmp_path, "data.cache=cache")
    assert (answer.code, answer.out) == (2, "")
    assert ": cannot be written (No space left on device); free some space or choose another" in answer.err
    assert len(answer.err.splitlines()) == 1
    assert not list(tmp_path.rglob("prepared.json"))


def test_output_to_a_full_disk(uninterrupted, tmp_path):
    """A device is written to directly."""
    answer = inside(translate, "--run", uninterrupted, "--output", "/dev/full", TEXT, folder=tmp_path)
    assert answer.code == 2
    assert answer.err.endswith("error: the output: No space left on device; free some space\n")
    with pytest.MonkeyPatch.context() as patch:
        full_at("out.txt", 1, patch)
        answer = inside(translate, "--run", uninterrupted, "--output", "out.txt", TEXT, folder=tmp_path)
    assert answer.code == 2
    assert answer.err.endswith(f"error: {tmp_path / 'out.txt'}: No space left on device; free some space\n")
    assert list(tmp_path.iterdir()) == []


# ---------------------------------------------------------------- corruption


def halve(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


def scores(run: Path) -> Answer:
    return inside(translate, "--run", run, "--json", TEXT, folder=run)


@pytest.mark.parametrize("name", CHECKPOINT)
def test_translating_with_a_corrupt_best_checkpoint(copy, name):
    """The previous one is used."""
    best = copy / "checkpoints" / "best"
    for older, newer in (("last.1", "best.1"), ("last", "best")):  # two different ones
        shutil.rmtree(best.with_name(newer), ignore_errors=True)
        best.with_name(older).rename(best.with_name(newer))
    newest = scores(copy)
    halve(best / name)
    answer = scores(copy)
    warning = answer.err.splitlines()[0]
    assert warning.startswith(f"warning: {best / name}: missing or corrupt")
    assert warning.endswith(f"; using an older checkpoint: {best}.1")
    assert answer.err == warning + "\n" + newest.err  # once
    shutil.rmtree(best)
    assert answer.code == 0
    assert answer.out == scores(copy).out != newest.out
    halve(best.with_name("best.1") / name)
    answer = scores(copy)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"error: {best}.1/{name}: missing or corrupt")
    assert len(answer.err.splitlines()) == 1


@pytest.mark.parametrize("name", ["manifest.json", "training.pt"])
def test_resuming_from_a_corrupt_last_checkpoint(copy, uninterrupted, name):
    """From the previous one; and the result is identical."""
    last = copy / "checkpoints" / "last"
    halve(last / name)
    answer = resume(copy)
    assert answer.code == 0, answer.err
    assert f"warning: {last / name}: missing or corrupt" in answer.out
    assert f"resuming after step {STEPS - 1} of {STEPS}\n" in answer.out
    assert answer.err == ""
    check_finished(copy, uninterrupted)
