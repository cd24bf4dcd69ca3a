"""Checkpoint rotation: the right number is kept, and a crash never leaves none."""

from pathlib import Path

import pytest
import torch
from tiny import TINY, tiny_model

from nmt.runs.checkpoint import Checkpoint, kept_checkpoints, load_checkpoint, save_checkpoint

CPU = torch.device("cpu")
FILES_WRITTEN = 5


@pytest.fixture
def checkpoint(tokenizers) -> Checkpoint:
    source, target = tokenizers
    return Checkpoint(tiny_model(len(source), len(target)), TINY, source, target, {"step": 7})


@pytest.fixture
def folder(tmp_path, checkpoint) -> Path:
    """Save step 7, with a training state."""
    path = tmp_path / "checkpoints" / "last"
    save_checkpoint(path, checkpoint, {"step": 7})
    return path


def steps(folder: Path) -> list[int]:
    """The steps of all kept checkpoints, newest first; each is complete."""
    return [load_checkpoint(path, CPU).progress["step"] for path in kept_checkpoints(folder)]


def save(folder: Path, checkpoint: Checkpoint, step: int, keep: int) -> None:
    checkpoint.progress = {"step": step}
    save_checkpoint(folder, checkpoint, keep=keep)


def test_a_newer_checkpoint_replaces_it(folder, checkpoint):
    save(folder, checkpoint, 8, keep=1)
    assert load_checkpoint(folder, CPU).progress == {"step": 8}
    assert not (folder / "training.pt").exists()
    assert [path.name for path in folder.parent.iterdir()] == ["last"]  # nothing else


@pytest.mark.parametrize("keep", [1, 2, 3, 12])
def test_so_many_are_kept(folder, checkpoint, keep):
    for step in range(8, 21):
        save(folder, checkpoint, step, keep)
    assert steps(folder) == list(range(20, 20 - keep, -1))
    expected = {"last", *(f"last.{age}" for age in range(1, keep))}
    assert {path.name for path in folder.parent.iterdir()} == expected


def test_keeping_fewer_removes_the_oldest(folder, checkpoint):
    for step in (8, 9, 10):
        save(folder, checkpoint, step, keep=4)
    save(folder, checkpoint, 11, keep=2)
    assert steps(folder) == [11, 10]
    save(folder, checkpoint, 12, keep=1)
    assert [path.name for path in folder.parent.iterdir()] == ["last"]
    save(folder, checkpoint, 13, keep=3)
    assert steps(folder) == [13, 12]


def test_other_names_are_left_alone(folder, checkpoint):
    for name in ("last.old", "last.1x", "best.1", "last2"):
        (folder.parent / name).mkdir()
    save(folder, checkpoint, 8, keep=1)
    assert len(list(folder.parent.iterdir())) == 5
    assert steps(folder) == [8]


class CrashError(Exception):
    pass


def crash_after(survived: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The process dies after `survived` more renames of files or folders."""
    left = [survived]

    def failing(name: str):
        original = getattr(Path, name)

        def wrapped(self, target):
            if not left[0]:
                raise CrashError
            left[0] -= 1
            return original(self, target)

        return wrapped

    for name in ("rename", "replace"):
        monkeypatch.setattr(Path, name, failing(name))


@pytest.mark.parametrize("survived", range(FILES_WRITTEN + 5))
@pytest.mark.parametrize("keep", [1, 2, 3])
def test_a_crash_at_any_moment_leaves_a_checkpoint(folder, checkpoint, monkeypatch, keep, survived):
    """Then it saves again; the kept checkpoints are complete, in order, and not too many."""
    for step in (8, 9):
        save(folder, checkpoint, step, keep)
    before = steps(folder)
    assert before == [9, 8, 7][:keep]
    until_new = {1: 2, 2: 3, 3: 4}[keep]  # folders renamed: each that is rotated, and the new one
    in_all = {1: 3, 2: 3, 3: 4}[keep]  # … and the one that is removed
    with monkeypatch.context() as patch:
        crash_after(survived, patch)
        crashed = False
        try:
            save(folder, checkpoint, 10, keep)
        except CrashError:
            crashed = True
    assert crashed == (survived < FILES_WRITTEN + in_all)
    newest = 9 if survived < FILES_WRITTEN + until_new else 10
    assert load_checkpoint(folder, CPU).progress["step"] == newest
    left = steps(folder)
    assert left == sorted(left, reverse=True)
    if survived < FILES_WRITTEN:  # nothing had been moved yet
        assert left == before
    save(folder, checkpoint, 11, keep)
    assert steps(folder)[:2] == [11, newest][:keep]
    left = steps(folder)
    assert left == sorted(left, reverse=True)
    assert len(left) <= keep
    assert len(list(folder.parent.iterdir())) == len(left)


@pytest.mark.parametrize("keep", [1, 2, 3])
def test_crash_upon_crash_leaves_a_checkpoint(folder, checkpoint, monkeypatch, keep):
    """Each after one more folder rename than the last: the newest complete checkpoint is never lost."""
    for survived in [*range(FILES_WRITTEN, FILES_WRITTEN + 3)] * 2:
        newest = steps(folder)[0]
        with monkeypatch.context() as patch:
            crash_after(survived, patch)
            try:
                save(folder, checkpoint, newest + 1, keep)
            except CrashError:
                assert steps(folder)[0] == newest
            else:
                assert steps(folder)[0] == newest + 1


def test_two_crashes_between_the_renames_leave_a_checkpoint(folder, checkpoint, monkeypatch):
    """The rotated one is then the only one: it must be kept until the next is in place."""
    folder.rename(folder.with_name("last.1"))
    with monkeypatch.context() as patch:
        crash_after(FILES_WRITTEN, patch)
        with pytest.raises(CrashError):
            save(folder, checkpoint, 8, keep=1)
    assert load_checkpoint(folder, CPU).progress["step"] == 7
    save(folder, checkpoint, 9, keep=1)
    assert steps(folder) == [9]


def test_a_half_written_one_is_no_hindrance(folder, checkpoint):
    """A kill leaves it behind."""
    fresh = folder.with_name(".last.new")
    fresh.mkdir()
    (fresh / "model.json").write_text("half")
    (fresh / "other").write_text("half")
    assert steps(folder) == [7]
    save(folder, checkpoint, 8, keep=1)
    assert steps(folder) == [8]
    assert not fresh.exists()
    assert not (folder / "other").exists()
