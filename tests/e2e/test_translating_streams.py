"""`nmt.translate` on streams: bounded memory, results as they come, warnings, worst lines, a prompt."""

import gc
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from console import lines_of

from nmt import evaluate, translate
from nmt.export.attention_file import load_attention
from nmt.library.line_output import Each
from nmt.library.translated import Translation

SCRIPTS = Path(__file__).resolve().parents[2] / "scripts"
TEXTS = ["The dog sees.", "Where is my house?", "She sings."]


@pytest.mark.parametrize("output", [["--json"], ["--worst", "5"], ["--attention", "a.jsonl"]])
def test_memory_does_not_grow_with_the_lines(trained, call, monkeypatch, tmp_path, output):
    """No more translations are kept than those of two chunks, and the worst ones."""
    most = 0

    class Counting(Each):
        def add(self, line):
            nonlocal most
            super().add(line)
            if line.number in (50, 100):
                gc.collect()
                most = max(most, sum(type(one) is Translation for one in gc.get_objects()))

    monkeypatch.setattr("nmt.library.line_output.Each", Counting)
    monkeypatch.setattr(translate, "_CHUNK", 8)
    text = "".join(f"{TEXTS[i % 3]}\n" for i in range(100)).encode()
    answer = call(
        translate, "--run", trained, "--beam-size", 1, "--max-length", 4, "--show", *output, stdin=text
    )
    assert answer.code == 0, answer.err
    assert 0 < most < 8 * 2 + 10
    if "a.jsonl" in output:
        assert len(load_attention(tmp_path / "a.jsonl")) == 100


@pytest.mark.slow
@pytest.mark.parametrize("attention", [False, True])
def test_peak_memory(trained, tmp_path, monkeypatch, attention):
    """The script with fewer lines than by default."""
    monkeypatch.chdir(tmp_path)
    script = [sys.executable, SCRIPTS / "check_memory.py", "--run", trained, "--lines", "3000", "30000"]
    done = subprocess.run([*script, *(["--attention"] if attention else [])], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


def test_results_come_before_the_next_line(trained):
    """A line of standard input is translated at once, though more may follow."""
    command = [sys.executable, "-m", "nmt.translate", "--run", trained, "--beam-size", "1"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        for text in TEXTS[:2]:
            process.stdin.write(f"{text}\n".encode())
            process.stdin.flush()
            assert process.stdout.readline().endswith(b"\n")
        out, _ = process.communicate(timeout=60)
    assert (out, process.returncode) == (b"", 0)


def test_white_space_and_line_ends_are_kept(trained, call, tmp_path):
    (tmp_path / "in.txt").write_bytes(b"  The dog sees.\r\n\n\t\nShe sings. \n")
    answer = call(translate, "--run", trained, "--input", "in.txt", "--output", "out.txt", "--max-length", 3)
    assert answer.code == 0
    found = (tmp_path / "out.txt").read_bytes()
    assert re.fullmatch(rb"  ([^\n]*)\r\n\n\t\n([^\n]*) \n", found)


def test_warnings_once_and_long_lines(trained, call):
    long = "The dog sees the house. " * 40
    answer = call(translate, "--run", trained, "--beam-size", 1, "--max-length", 2, TEXTS[0], long, long)
    warnings = [line for line in answer.err.splitlines() if line.startswith("warning: ")]
    split = [line for line in warnings if "translated in parts" in line]
    assert split[0].startswith("warning: line 2: longer than what the model knows")
    assert split[1].startswith("warning: 2 lines: longer than")
    assert len(split) == 2
    assert len(lines_of(answer.out)) == 3


def test_the_worst_lines(trained, call):
    texts = [*TEXTS, "", "xyzzy qwrt"]
    rows = [
        line.split("\t") for line in lines_of(call(translate, "--run", trained, "--worst", 3, *texts).out)
    ]
    assert len(rows) == 3
    assert all(len(row) == 6 for row in rows)
    assert [float(row[0]) for row in rows] == sorted(float(row[0]) for row in rows)
    assert {texts[int(row[1]) - 1] for row in rows} == {row[2] for row in rows}
    assert len(lines_of(call(translate, "--run", trained, "--worst", 9, "--json", *texts).out)) == 4


def test_calibrating_an_old_run(trained, call, tmp_path):
    """It writes what training has written at its end."""
    written = (trained / "confidence.json").read_bytes()
    (trained / "confidence.json").rename(tmp_path / "kept")
    try:
        answer = call(evaluate, "--run", trained, "--calibrate")
        assert answer.code == 0, answer.err
        assert "Spearman correlation" in answer.out
        assert (trained / "confidence.json").read_bytes() == written
    finally:
        (tmp_path / "kept").rename(trained / "confidence.json")
    answer = call(evaluate, "--run", trained, "--calibrate", "--split", "dev")
    assert (answer.code, answer.err) == (2, "error: --calibrate and --split: give only one of them\n")


def test_a_glossary_and_constraints(trained, call, tmp_path):
    (tmp_path / "terms.tsv").write_text("dog\tश्वान\n", encoding="utf-8")
    answer = call(translate, "--run", trained, "--glossary", "terms.tsv", "--forbid", "मांजर", TEXTS[0])
    assert answer.code == 0, answer.err
    assert "श्वान" in answer.out
    assert call(translate, "--run", trained, "--prefix", "घर", TEXTS[0]).out.startswith("घर")
    for arguments, message in (
        (["--keep", "url,verb"], "error: --keep: choose from url"),
        (["--length-penalty", "-1"], "error: --length-penalty -1: must be at least 0"),
        (["--glossary", "gone.tsv"], "error: gone.tsv: cannot be read"),
        (["--forbid", " "], "error: --forbid: a phrase is empty"),
        (["--worst", "0"], "error: --worst 0: must be at least 1"),
    ):
        answer = call(translate, "--run", trained, *arguments, "x")
        assert (answer.code, answer.err[: len(message)]) == (2, message)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no pseudo-terminals")
def test_a_prompt_with_history(trained):
    """On a terminal: a prompt, whose lines can be recalled with the arrow key."""
    import pty

    parent, child = pty.openpty()
    command = [sys.executable, "-m", "nmt.translate", "--run", trained, "--beam-size", "1"]
    environment = os.environ | {"TERM": "xterm"}
    with subprocess.Popen(command, stdin=child, stdout=child, stderr=child, env=environment) as process:
        os.close(child)

        def until(sign: bytes) -> bytes:
            said = b""
            end = time.monotonic() + 60
            while not said.endswith(sign) and time.monotonic() < end:
                said += os.read(parent, 1000)
            return said

        until(b"> ")
        os.write(parent, b"The dog sees.\n")
        until(b"> ")
        os.write(parent, b"\x1b[A\n")  # the line before
        again = until(b"> ")
        os.write(parent, b"\x04")
        process.wait(60)
    os.close(parent)
    assert process.returncode == 0
    assert b"The dog sees." in again
