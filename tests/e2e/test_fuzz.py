"""Any text has a translation: random lines of everything that UTF-8 can hold, through the command."""

from pathlib import Path

import pytest
from console import lines_of
from inside import inside
from random_text import LONG, random_lines

from nmt import translate


def check(run: Path, folder: Path, lines: list[str], *options: object) -> None:
    """As many lines out as in, none of them with a character that ends a line for anyone."""
    (folder / "lines").write_text("\n".join(lines) + "\n", encoding="utf-8", newline="")
    answer = inside(translate, "--run", run, "--input", "lines", *options, folder=folder)
    assert answer.code == 0, answer.err
    assert "Traceback" not in answer.err
    found = lines_of(answer.out)
    assert len(found) == len(lines)
    assert not [line for line in found if len(line.splitlines()) > 1 or "\x00" in line]


def test_random_lines(copy, tmp_path):
    lines = random_lines(60, long=1, seed=1)
    assert max(map(len, lines)) == LONG
    check(copy, tmp_path, lines, "--beam-size", 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    "options", [("--beam-size", 1), ("--beam-size", 3, "--nbest", 3)], ids=["greedy", "beam"]
)
def test_ten_thousand_random_lines(copy, tmp_path, options):
    check(copy, tmp_path, random_lines(10_000, long=50, seed=2), *options)
