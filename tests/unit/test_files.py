"""Atomic file writes."""

import errno
import hashlib
import io
import json
import os
import stat
import threading
from pathlib import Path

import pytest
from faults import largest_file

from nmt.errors import explain
from nmt.files import lock_file, naming, replacing, sha256, sync_folder, write_json, write_text


@pytest.mark.parametrize("before", [None, "old\n"])
def test_an_exception_leaves_everything_as_it_was(tmp_path: Path, before: str | None) -> None:
    path = tmp_path / "file.txt"
    if before is not None:
        path.write_text(before)

    def interrupted() -> None:
        with replacing(path) as file:
            file.write("half")
            file.flush()
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert list(tmp_path.iterdir()) == ([] if before is None else [path])
    assert before is None or path.read_text() == before


def test_the_old_file_stays_until_the_new_one_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    path.write_text("old")
    with replacing(path) as file:
        file.write("new")
        file.flush()
        assert path.read_text() == "old"
    assert path.read_text() == "new"
    assert list(tmp_path.iterdir()) == [path]


def test_the_temporary_file_is_hidden_and_in_the_same_folder(tmp_path: Path) -> None:
    path = tmp_path / "file.txt"
    with replacing(path):
        (temporary,) = tmp_path.iterdir()  # in the same folder: a rename only works within one file system
        assert temporary.name.startswith(".file.txt.")


def test_a_folder_that_stands_there_is_not_replaced(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    with pytest.raises(OSError, match="folder"), replacing(tmp_path / "folder") as file:
        file.write("x")
    assert [found.name for found in tmp_path.iterdir()] == ["folder"]


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o077, 0o600), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path: Path, umask: int, mode: int) -> None:
    before = os.umask(umask)
    try:
        write_text(tmp_path / "file", "x")
        assert os.umask(umask) == umask  # and it is unchanged
    finally:
        os.umask(before)
    assert (tmp_path / "file").stat().st_mode & 0o777 == mode


def test_the_folders_are_made(tmp_path: Path) -> None:
    write_text(tmp_path / "a" / "b" / "file", "x")
    assert (tmp_path / "a" / "b" / "file").read_text() == "x"


def test_text_is_utf8_and_line_ends_stay(tmp_path: Path) -> None:
    write_text(tmp_path / "file", "मराठी\r\nx\n\r")
    assert (tmp_path / "file").read_bytes() == "मराठी\r\nx\n\r".encode()


def test_bytes(tmp_path: Path) -> None:
    with replacing(tmp_path / "file", "wb") as file:
        file.write(b"\x00\xff\r\n")
    assert (tmp_path / "file").read_bytes() == b"\x00\xff\r\n"


def test_json_is_readable_by_programs_and_people(tmp_path: Path) -> None:
    value = {"text": 'मराठी "x"', "number": 0.1, "none": None, "list": [1, 2]}
    write_json(tmp_path / "file.json", value)
    content = (tmp_path / "file.json").read_text(encoding="utf-8")
    assert json.loads(content) == value
    assert "मराठी" in content
    assert content.count("\n") > len(value)
    assert content.endswith("}\n")


def test_what_is_no_json_leaves_the_old_file(tmp_path: Path) -> None:
    path = tmp_path / "file.json"
    write_json(path, {"a": 1})
    with pytest.raises(TypeError):
        write_json(path, {"a": object()})
    assert json.loads(path.read_text()) == {"a": 1}
    assert list(tmp_path.iterdir()) == [path]


def test_sha256(tmp_path: Path) -> None:
    (tmp_path / "empty").touch()
    (tmp_path / "abc").write_bytes(b"abc")
    large = os.urandom(1 << 20)
    (tmp_path / "large").write_bytes(large)
    # the first two are the test vectors of FIPS 180-2
    assert sha256(tmp_path / "empty") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    assert sha256(tmp_path / "abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    assert sha256(tmp_path / "large") == hashlib.sha256(large).hexdigest()


def test_everything_is_flushed_before_and_after_the_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The content is synced before the rename, and the folder after it."""
    events: list[str] = []
    real_sync, real_replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        events.append("folder" if stat.S_ISDIR(os.fstat(descriptor).st_mode) else "file")
        real_sync(descriptor)

    def replace(self: Path, target: Path) -> Path:
        events.append("rename")
        return real_replace(self, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    write_text(tmp_path / "file", "x")
    assert events == ["file", "rename", "folder"]


def test_syncing_a_missing_folder_fails(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError):
        sync_folder(tmp_path / "nowhere")


# ---------------------------------------------------------------- failures and their messages


@pytest.mark.parametrize("size", [10, 100_000])  # met when the buffer is flushed, and while writing
def test_a_write_that_the_system_refuses_names_the_file(tmp_path: Path, size: int) -> None:
    path = tmp_path / "file"
    path.write_text("old")
    with largest_file(5), pytest.raises(OSError, match="File too large") as caught:
        write_text(path, "x" * size)
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert explain(caught.value, "") == f"{path}: File too large; allow larger files (ulimit -f)"
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", ["mkstemp", "chmod", "replace"])
def test_no_temporary_name_is_reported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    def refused(path: object = None, *_: object, **options: object) -> None:
        temporary = str(path) if path else f"{options['dir']}/{options['prefix']}x.tmp"
        raise OSError(errno.EROFS, "Read-only file system", temporary)

    monkeypatch.setattr("tempfile.mkstemp" if name == "mkstemp" else f"os.{name}", refused)
    with pytest.raises(OSError, match="Read-only") as caught:
        write_text(tmp_path / "file", "x")
    assert caught.value.filename == str(tmp_path / "file")


def test_other_names_stay() -> None:
    """Of a file that is read meanwhile, or with a similar name; and errors that are not about a file."""
    path = Path("folder/file")
    for name in ("other", "folder/.fil", "folder/file", "folder/.file", 7):
        error = OSError(errno.ENOENT, "No such file", name)
        with pytest.raises(OSError, match="No such file") as caught, naming(path):
            raise error
        assert caught.value is error
    unsupported = io.UnsupportedOperation("not readable")
    with pytest.raises(io.UnsupportedOperation) as caught, naming(path):
        raise unsupported
    assert caught.value is unsupported
    with pytest.raises(FileNotFoundError) as caught, naming(path):
        raise OSError(errno.ENOENT, "No such file", "folder/.file.new/part")
    assert caught.value.filename == "folder/file"


def test_a_file_in_place_of_a_folder_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(OSError, match="exists") as caught:
        write_text(tmp_path / "file" / "part", "x")
    assert caught.value.filename == str(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "mine"


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (OSError(errno.ENOSPC, "No space left", "a/b"), "a/b: No space left; free some space"),
        (OSError(errno.ENOSPC, "No space left"), "here: No space left; free some space"),
        (
            OSError(errno.EROFS, "Read-only", "a"),
            "a: Read-only; make it writable or choose another folder",
        ),
        (OSError(errno.EIO, "Input/output error", "a"), "a: Input/output error; fix that"),
        (OSError("odd"), "here: odd; fix that"),
    ],
)
def test_what_is_said(error: OSError, message: str) -> None:
    assert explain(error, "here") == message


# ---------------------------------------------------------------- platforms


def test_where_folders_cannot_be_opened_they_are_not_flushed(tmp_path, monkeypatch):
    """Windows has no such flag."""
    monkeypatch.delattr(os, "O_DIRECTORY")
    opened, real = [], os.open

    def watched(path, *rest, **options):
        opened.append(Path(path))
        return real(path, *rest, **options)

    monkeypatch.setattr(os, "open", watched)
    write_text(tmp_path / "file", "x")
    assert opened
    assert tmp_path not in opened


def test_names_that_are_not_utf8_can_be_written(tmp_path):
    """Python reads them from the file system as lone surrogates."""
    name = os.fsdecode(b"gr\xf6\xdfe.tsv")
    write_json(tmp_path / "file.json", {"name": name})
    assert json.loads((tmp_path / "file.json").read_text(encoding="utf-8")) == {"name": name}
    write_text(tmp_path / "file.txt", f"{name}\n")
    assert (tmp_path / "file.txt").read_text(encoding="utf-8") == "gr\\udcf6\\udcdfe.tsv\n"


def test_a_lock_is_held_by_one_at_a_time(tmp_path):
    path, order = tmp_path / ".lock", []

    def wait() -> None:
        with lock_file(path, wait=True):
            order.append("second")

    def refuse() -> None:
        with lock_file(path, wait=False):
            order.append("never")

    with lock_file(path, wait=False):
        waiting = threading.Thread(target=wait)
        waiting.start()
        with pytest.raises(BlockingIOError) as caught:
            refuse()
        assert caught.value.filename == str(path)
        order.append("first")
    waiting.join(timeout=60)
    assert order == ["first", "second"]
