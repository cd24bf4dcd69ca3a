"""Untrusted files: a run or a cache in which a file is a pickle that contains code. The code is never run."""

import json
import pickle
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
import yaml
from bomb import Bomb
from console import Answer
from inside import CHECKPOINT, check_finished, inside, resume

from nmt import align, evaluate, translate
from nmt.files import sha256

TEXT = "The dog sees."


def plant(file: Path, mark: Path) -> None:
    """A bomb that the loader of the file could trigger; the manifest is made to match."""
    if file.suffix == ".npz":
        np.savez(file, weights=np.array([Bomb(mark)], dtype=object))
    elif file.suffix == ".yaml":
        file.write_text(f"decoding: !!python/object/apply:os.mkdir ['{mark}']")
    elif file.suffix == ".pt":
        torch.save({"progress": Bomb(mark)}, file)
    else:
        file.write_bytes(pickle.dumps(Bomb(mark), protocol=2))
    manifest = file.parent / "manifest.json"
    if manifest.exists() and manifest != file:
        digests = {path.name: sha256(path) for path in file.parent.iterdir() if path != manifest}
        manifest.write_text(json.dumps(digests), encoding="utf-8")


@pytest.mark.parametrize(
    ("name", "explode"),
    [
        ("a.npz", lambda file: np.load(file, allow_pickle=True)["weights"]),
        ("a.yaml", lambda file: yaml.unsafe_load(file.read_text())),
        ("a.pt", lambda file: torch.load(file, weights_only=False)),
        ("a", lambda file: pickle.loads(file.read_bytes())),
    ],
)
def test_the_bombs_are_good(tmp_path, name, explode):
    plant(tmp_path / name, tmp_path / "exploded")
    explode(tmp_path / name)
    assert (tmp_path / "exploded").exists()


def alone(run: Path) -> None:
    """No older checkpoints to fall back to."""
    for name in ("best.1", "last.1"):
        shutil.rmtree(run / "checkpoints" / name, ignore_errors=True)


LOADED = {
    **{f"checkpoints/best/{name}": "translate" for name in CHECKPOINT},
    **{f"checkpoints/last/{name}": "train" for name in (*CHECKPOINT, "training.pt")},
    "config.yaml": "translate train evaluate align",
    "prepared.json": "train evaluate",
    "data/test.jsonl": "evaluate",
    "data/dev.jsonl": "evaluate --split dev",
    "data/source_words.tsv": "evaluate",
}
"""Every file of a run that a command loads."""


def run_command(line: str, run: Path) -> Answer:
    if line == "train":
        return resume(run)
    name, *options = line.split()
    folder = run.parent
    if name == "translate":
        return inside(translate, "--run", run, TEXT, folder=folder)
    if name == "align":
        (folder / "text").write_text(TEXT + "\n", encoding="utf-8")
        return inside(align, "--run", run, "--source", "text", "--target", "text", folder=folder)
    return inside(evaluate, "--run", run, "--heatmaps", "0", *options, folder=folder)


@pytest.mark.parametrize(("file", "commands"), LOADED.items(), ids=LOADED)
def test_code_in_a_file_that_is_loaded_is_refused(copy, mark, file, commands):
    alone(copy)
    plant(copy / file, mark)
    for line in re.findall(r"[a-z]+(?: --\S+ \S+)?", commands):
        answer = run_command(line, copy)
        assert answer.code == 2, answer.err
        assert answer.err.startswith(f"error: {(copy / file).parent}"), answer.err
        assert (copy / file).name in answer.err
        assert len(answer.err.splitlines()) == 1


def test_no_other_file_of_a_run_is_loaded(copy, mark, uninterrupted):
    """All other files are bombs, and every command works."""
    alone(copy)
    loaded = {copy / file for file in LOADED}
    for file in copy.rglob("*"):
        if file.is_file() and file not in loaded and "checkpoints" not in file.parts:
            plant(file, mark)
    commands = ("train", "translate", "evaluate", "evaluate --split dev", "align")
    for line in commands:
        answer = run_command(line, copy)
        assert answer.code == 0, (line, answer.err)
    check_finished(copy, uninterrupted)


def test_code_in_the_cache_is_refused(begin, mark, tmp_path):
    """In each file of the prepared data, the tokenizers and the token ids; there are no other files."""
    cache = tmp_path / "cache"
    assert begin(tmp_path, f"data.cache={cache}", "name=first").code == 0
    files = [path for path in cache.rglob("*") if path.is_file()]
    assert sorted(path.name.split(".", 1)[-1] for path in files) == [
        *["bin"] * 6, "json", "json", "jsonl", "jsonl", "jsonl", "source.model", "target.model",
    ]  # fmt: skip
    for number, file in enumerate(files):
        content = file.read_bytes()
        plant(file, mark)
        answer = begin(tmp_path, f"data.cache={cache}", f"name=run{number}")
        assert answer.code == 2, answer.err
        assert answer.err.startswith(f"error: {file}" if file.suffix == ".model" else f"error: {file.parent}")
        assert len(answer.err.splitlines()) == 1
        file.write_bytes(content)
