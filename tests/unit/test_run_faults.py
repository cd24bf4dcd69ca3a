"""Run folders on a failing disk: one line says what, where and how to resume."""

import errno
import logging
import os

import pytest
from tiny import TINY, tiny_model

from nmt.config.settings import Config
from nmt.errors import RunError
from nmt.runs.checkpoint import Checkpoint, save_checkpoint
from nmt.runs.latest import point_latest
from nmt.runs.run import create_run, locked, open_run, reopen_run


@pytest.fixture
def config(tmp_path) -> Config:
    return Config(runs=str(tmp_path / "runs"))


def refuse(number: int, monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    """Make functions fail as the operating system would."""

    def refused(path: object, *_: object, **__: object) -> None:
        raise OSError(number, os.strerror(number), str(path))

    for name in names:
        monkeypatch.setattr(name, refused)


def test_a_read_only_folder_of_runs(config, tmp_path, monkeypatch):
    refuse(errno.EROFS, monkeypatch, "os.mkdir")
    config.name = "mine"
    with pytest.raises(RunError) as caught:
        create_run(config, "x")
    assert str(caught.value) == (
        f"{tmp_path / 'runs' / 'mine'}: Read-only file system; make it writable or choose another folder"
    )


def test_without_space_for_its_settings_there_is_no_run(config, tmp_path, monkeypatch):
    config.name = "mine"
    with monkeypatch.context() as patch:
        refuse(errno.ENOSPC, patch, "os.replace")
        with pytest.raises(RunError, match=r"mine/config\.yaml: No space left on device; free some space$"):
            create_run(config, "x")
    assert list((tmp_path / "runs").iterdir()) == []
    assert reopen_run(create_run(config, "x").folder)[1] == config  # the name is free


def test_what_cannot_be_written_is_reported_with_the_command_to_resume(config):
    run = create_run(config, "x")
    hint = f"then resume with: python -m nmt.train resume={run.folder}"

    def work(error: BaseException) -> None:
        with locked(run):
            raise error

    for name, where in (("a/b", "a/b"), (None, run.folder)):
        with pytest.raises(RunError) as caught:
            work(OSError(errno.ENOSPC, "No space left on device", name))
        assert str(caught.value) == f"{where}: No space left on device; free some space, {hint}"
    for error in (
        BrokenPipeError(errno.EPIPE, "Broken pipe"),
        OSError("no library"),
        RunError("x"),
        KeyError(),
    ):
        with pytest.raises(type(error)) as other:
            work(error)
        assert other.value is error


@pytest.mark.parametrize(
    ("number", "message"), [(errno.EAGAIN, "another process"), (errno.ENOLCK, "No locks")]
)
def test_a_lock_that_is_not_given(config, monkeypatch, number, message):
    """Because another process holds it, or because the file system does not support locks."""
    run = create_run(config, "x")
    refuse(number, monkeypatch, "portalocker.portalocker.LOCKER")
    with pytest.raises(RunError, match=message), locked(run):
        raise AssertionError


def test_where_links_cannot_be_made_there_is_none(config, tokenizers, tmp_path, monkeypatch, caplog):
    """Some network drives do not support them. The run works without."""
    monkeypatch.setattr(logging.getLogger("nmt"), "propagate", True)
    refuse(errno.EPERM, monkeypatch, "os.symlink")
    run = create_run(config, "x")
    source, target = tokenizers
    save_checkpoint(run.best, Checkpoint(tiny_model(len(source), len(target)), TINY, source, target, {}))
    point_latest(run.folder)
    (message,) = set(caplog.messages)  # pytest also captures loggers that do not propagate
    assert message == (
        f"warning: {tmp_path / 'runs' / 'latest'}: cannot be created (Operation not permitted); "
        f"select this run with --run {run.folder}"
    )
    assert open_run(run.folder).best.is_dir()
    assert [path.name for path in (tmp_path / "runs").iterdir()] == [run.folder.name]
