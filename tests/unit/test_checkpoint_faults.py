"""Saving on a failing disk: the previous checkpoint is kept, no partial one is visible."""

import errno
import io
import json
import os
import re
from pathlib import Path

import pytest
import torch
from faults import Disk, full, largest_file
from safetensors.torch import load_file
from tiny import TINY, tiny_model

from nmt.errors import RunError
from nmt.files import sha256
from nmt.model.translation import NO_DROPOUT
from nmt.runs import checkpoint as module
from nmt.runs.checkpoint import (
    Checkpoint,
    find_checkpoint,
    kept_checkpoints,
    load_checkpoint,
    load_for_resuming,
    save_checkpoint,
)

CPU = torch.device("cpu")
KEEP = 2
FIRST = "source.table.weight"


@pytest.fixture
def checkpoint(tokenizers) -> Checkpoint:
    source, target = tokenizers
    return Checkpoint(tiny_model(len(source), len(target)), TINY, source, target, {})


@pytest.fixture
def folder(tmp_path, checkpoint) -> Path:
    """Steps 1 and 2."""
    path = tmp_path / "checkpoints" / "last"
    for step in (1, 2):
        save(path, checkpoint, step)
    return path


def save(folder: Path, checkpoint: Checkpoint, step: int) -> None:
    """The weights also identify the step."""
    with torch.no_grad():
        checkpoint.model.state_dict()[FIRST].fill_(step)
    checkpoint.progress = {"step": step}
    save_checkpoint(folder, checkpoint, {"step": step, "moments": torch.full((3,), step)}, KEEP)


def step_of(folder: Path) -> int:
    """The step of a checkpoint, checked in all of its files; faster than loading the model."""
    found = find_checkpoint(folder)
    state = torch.load(found / "training.pt", weights_only=True)
    step = json.loads((found / "model.json").read_text(encoding="utf-8"))["progress"]["step"]
    assert (load_file(found / "model.safetensors")[FIRST] == step).all()
    assert state["step"] == step == state["moments"][0]
    return step


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.parent.iterdir()}


def check_after_a_fault(folder: Path, before: int) -> int:
    """Visible checkpoints are complete, and the newest is the previous or the new one; returns which."""
    kept = kept_checkpoints(folder)
    assert [find_checkpoint(path) for path in kept] == kept  # all their digests match
    assert {name for name in names(folder) if not name.startswith(".")} <= {"last", "last.1"}
    step = step_of(folder)
    assert step in (before, before + 1)
    return step


@pytest.mark.parametrize(
    ("fault", "lasting"),
    [(full(), False), (full(), True), (KeyboardInterrupt(), False)],
    ids=["once", "from then on", "Ctrl-C"],
)
def test_a_fault_at_any_call_of_a_save(folder, checkpoint, monkeypatch, fault, lasting):
    monkeypatch.setattr(os, "fsync", lambda descriptor: None)  # hundreds of them are slow
    with monkeypatch.context() as patch:
        disk = Disk(patch)
        save(folder, checkpoint, newest := 3)
    calls, succeeded = disk.count, 0
    assert calls > 50
    for at in range(calls):
        raised = None
        with monkeypatch.context() as patch:
            Disk(patch, at, lasting, fault)
            try:
                save(folder, checkpoint, newest + 1)
            except (OSError, KeyboardInterrupt) as error:
                raised = error
        step = check_after_a_fault(folder, newest)
        if raised is None:  # the failure was in cleaning up, which can wait
            assert step == newest + 1
            succeeded += 1
        else:
            assert type(raised) is type(fault)
            assert getattr(raised, "filename", str(folder)) == str(folder), raised
            assert getattr(raised, "errno", errno.ENOSPC) == errno.ENOSPC
        newest += 2
        save(folder, checkpoint, newest)
        assert names(folder) == {"last", "last.1"}
    loaded = load_checkpoint(folder, CPU)
    assert loaded.progress["step"] == newest
    assert (loaded.model.state_dict()[FIRST] == newest).all()
    assert succeeded < 20


def test_the_system_refuses_at_any_size(folder, checkpoint):
    """A real error: a limit on file size, reached in one file after another."""
    state = {"moments": torch.zeros(200_000)}  # the largest file, written by torch's own writer
    sizes = [file.stat().st_size for file in folder.iterdir()]
    largest = 4 * 200_000
    limits = sorted({0, 1, *(size - 1 for size in sizes), max(sizes), largest // 2, largest})
    for limit in limits:
        with largest_file(limit), pytest.raises(OSError, match="File too large") as caught:
            save_checkpoint(folder, checkpoint, state, KEEP)
        assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(folder))
        check_after_a_fault(folder, 2)
        assert names(folder) == {"last", "last.1"}
    assert step_of(folder) == 2
    save(folder, checkpoint, 3)
    assert step_of(folder) == 3


class Failing(io.BytesIO):
    def __init__(self, error: BaseException, at: int) -> None:
        super().__init__()
        self.error, self.left = error, at

    def write(self, content) -> int:
        if not self.left:
            raise self.error
        self.left -= 1
        return super().write(content)


@pytest.mark.parametrize("error", [full(), KeyboardInterrupt()], ids=["full", "Ctrl-C"])
def test_what_stops_torch_is_not_covered_up(error):
    """Its writer complains about an unexpected position, whatever the reason."""
    state = {"moments": torch.zeros(100_000)}
    with pytest.raises(RuntimeError, match="unexpected pos"):
        torch.save(state, Failing(error, 3))
    writes = writes_of(state)
    assert writes > 4
    for at in range(writes):
        with pytest.raises(type(error)) as caught:
            module._save_state(state, Failing(error, at))
        assert caught.value is error
    intact = Failing(error, writes)
    module._save_state(state, intact)
    torch.testing.assert_close(torch.load(io.BytesIO(intact.getvalue())), state)


def writes_of(state) -> int:
    file = Failing(full(), 1 << 30)
    torch.save(state, file)
    return (1 << 30) - file.left


def test_other_errors_of_torch_stay(tmp_path):
    with pytest.raises(Exception, match="pickle"):
        module._save_state({"function": lambda: None}, io.BytesIO())


def test_a_plain_file_in_the_way(tmp_path, checkpoint):
    (tmp_path / "checkpoints").write_text("mine")
    folder = tmp_path / "checkpoints" / "last"
    with pytest.raises(NotADirectoryError) as caught:
        save_checkpoint(folder, checkpoint)
    assert caught.value.filename == str(folder)
    assert (tmp_path / "checkpoints").read_text() == "mine"
    assert kept_checkpoints(folder) == []


def test_a_plain_file_at_its_path_is_replaced(folder, checkpoint):
    for path in (folder, folder.with_name("last.1")):
        path.rename(path.with_name(f"moved.{path.name}"))
        path.write_text("no folder")
    save(folder, checkpoint, 3)
    assert step_of(folder) == 3


@pytest.mark.parametrize("name", ["manifest.json", "model.safetensors", "training.pt", "source.model"])
def test_what_the_disk_can_no_longer_read_is_corrupt(folder, monkeypatch, name, caplog):
    """A bad sector: the file is there, reading it fails."""
    real = Path.open

    def broken(self: Path, *arguments, **options):
        if self == folder / name:
            raise OSError(errno.EIO, "Input/output error", str(self))
        return real(self, *arguments, **options)

    monkeypatch.setattr(Path, "open", broken)
    monkeypatch.setattr(module.logger, "propagate", True)
    assert step_of(folder) == 1
    assert re.search(rf"warning: {folder / name}: missing or corrupt.*; using an older", caplog.text)


def test_half_of_a_checkpoint_that_goes_is_never_seen(folder, checkpoint, monkeypatch):
    """Deletion is interrupted: what is left has another name."""
    with monkeypatch.context() as patch:
        patch.setattr("shutil.rmtree", lambda path, **_: next(path.glob("m*"), path).unlink(missing_ok=True))
        save(folder, checkpoint, 3)
    check_after_a_fault(folder, 2)
    save(folder, checkpoint, 4)
    assert names(folder) == {"last", "last.1"}


def test_a_training_state_that_is_none(folder):
    """Although its manifest matches: truncated anywhere, or not a file of torch."""
    file, manifest = folder / "training.pt", folder / "manifest.json"
    content, digests = file.read_bytes(), json.loads(manifest.read_text(encoding="utf-8"))
    for broken in (b"x", b"\x80\x02", *(content[:size] for size in range(0, len(content), 97))):
        file.write_bytes(broken)
        manifest.write_text(json.dumps(digests | {file.name: sha256(file)}), encoding="utf-8")
        with pytest.raises(RunError, match=r"last/training\.pt: missing or corrupt"):
            load_for_resuming(folder, CPU, NO_DROPOUT)
