"""How the lines to translate are read."""

import gzip
import itertools
import threading
import time

import pytest

from nmt.errors import DataError
from nmt.library.line_input import chunks, given_lines, lines_of_file, waiting_chunks


def test_chunks_of_a_file(tmp_path):
    for path, pack in ((tmp_path / "a", bytes), (tmp_path / "a.gz", gzip.compress)):
        path.write_bytes(pack(b"one\r\n\ntwo\nlast"))
        assert list(lines_of_file(path, progress=True)) == ["one\r\n", "\n", "two\n", "last"]
        assert list(chunks(lines_of_file(path, progress=False), 3)) == [["one\r\n", "\n", "two\n"], ["last"]]


def test_given_texts():
    assert list(given_lines(["one", "", "two\nlines"])) == ["one", "", "two\nlines"]
    with pytest.raises(DataError, match="TEXT 2, line 1: not UTF-8"):
        list(given_lines(["one", "\udcff"]))


def test_lines_are_taken_as_they_come():
    """None waits for others, and no more than twice a chunk is read before it is asked for."""
    step = threading.Semaphore(0)
    read = 0

    def lines():
        nonlocal read
        yield "first"
        step.acquire()
        for number in itertools.count():
            read = number
            yield str(number)

    taken = waiting_chunks(lines(), 10)
    assert next(taken) == ["first"]
    step.release()
    found = []
    while len(found) < 500:
        chunk = next(taken)
        assert 1 <= len(chunk) <= 10
        found += chunk
    assert found == [str(number) for number in range(len(found))]
    time.sleep(0.05)
    assert read <= len(found) + 12


def test_lines_before_an_error_are_yielded():
    def lines():
        yield from ("one", "two")
        raise DataError("bad")

    for read in (chunks(lines(), 9), waiting_chunks(lines(), 9)):
        found = []
        with pytest.raises(DataError, match="bad"):
            found.extend(read)
        assert [line for chunk in found for line in chunk] == ["one", "two"]
    assert [line for chunk in waiting_chunks(iter(()), 9) for line in chunk] == []


def test_a_progress_bar_of_a_file(tmp_path, monkeypatch, capsys):
    """On a terminal only."""
    (tmp_path / "a").write_bytes(b"one\ntwo\n")
    assert len(list(lines_of_file(tmp_path / "a", progress=True))) == 2
    assert capsys.readouterr().err == ""
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert len(list(lines_of_file(tmp_path / "a", progress=True))) == 2
    assert "2/2" in capsys.readouterr().err
    assert len(list(lines_of_file(tmp_path / "a", progress=False))) == 2
    assert capsys.readouterr().err == ""
