"""Printed commands: a shell passes exactly the intended arguments."""

import json
import subprocess
import sys

import pytest

from nmt.shell import command, option

WORDS = [
    "My Drive",
    "it's",
    "$HOME",
    "`x`",
    "a\\b",
    "मराठी",
    "(1)",
    "*",
    "-x",
    "",
    'a"b',
    "a\nb",
    "~",
    "!",
    "a;b",
]


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_a_shell_passes_on_the_words():
    program = [sys.executable, "-c", "import json, sys; print(json.dumps(sys.argv[1:]))"]
    line = command(*program, *WORDS)
    done = subprocess.run(["sh", "-c", line], capture_output=True, check=True)
    assert json.loads(done.stdout) == WORDS


def test_plain_words_stay_plain():
    assert command("python", "-m", "nmt.train", "resume=runs/x") == "python -m nmt.train resume=runs/x"


def test_a_value_that_begins_with_a_hyphen_is_no_option():
    assert command("x", *option("--run", "-runs/a b")) == "x '--run=-runs/a b'"
    assert command("x", *option("--run", "runs/a")) == "x --run runs/a"
