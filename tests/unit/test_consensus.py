"""The translation most like the others, and the command that chooses among files."""

import subprocess
import sys
from itertools import product
from pathlib import Path

import pytest
from sacrebleu.metrics.chrf import CHRF

from nmt.evaluation.consensus import consensus

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = ROOT / "scripts" / "consensus.py"


def expected(translations):
    """The definition, term by term."""
    gain = {
        (i, j): CHRF().sentence_score(translations[i], [translations[j]]).score
        for i, j in product(range(len(translations)), repeat=2)
    }
    means = [
        sum(gain[i, j] + gain[j, i] for j in range(len(translations)) if j != i) / 2 / (len(translations) - 1)
        for i in range(len(translations))
    ]
    return means.index(max(means)), max(means)


@pytest.mark.parametrize(
    "translations",
    [
        ["तो घरी गेला.", "तो घरी गेली.", "मांजर झोपले."],
        ["a b", "a b c d e", "a b c", "x"],
        ["one", "two"],
        ["", "a", "a b"],
    ],
)
def test_it_is_the_one_most_like_the_others(translations):
    index, agreement = consensus(translations)
    assert (index, agreement) == pytest.approx(expected(translations))


def test_what_most_say_wins_with_full_agreement_only_if_all_do():
    assert consensus(["x y", "a b", "a b"])[0] == 1
    assert consensus(["a b", "a b", "a b"]) == (0, 100.0)


def run(*arguments):
    return subprocess.run(
        [sys.executable, SCRIPT, *map(str, arguments)], capture_output=True, encoding="utf-8", cwd=ROOT
    )


def write(folder, **files):
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")


def test_the_command_writes_pairs_that_the_models_agree_on(tmp_path):
    write(
        tmp_path, s="He went.\nA cat.\nHm.\n", a="तो गेला.\nabc\n\n", b="तो गेला.\nxyz\n\n", c="तो गेली.\nक\n\n"
    )
    files = [tmp_path / name for name in "sabc"]
    found = run(*files, "--agreement", 60, "--output", tmp_path / "out.tsv")
    assert (found.returncode, found.stderr) == (0, "")
    assert (tmp_path / "out.tsv").read_text(encoding="utf-8") == "He went.\tतो गेला.\n"
    assert found.stdout == f"1 of 3 pairs: {tmp_path / 'out.tsv'}\n"


@pytest.mark.parametrize(
    ("b", "options", "message"),
    [
        ("one\n", [], "b: ends before line 2 of the others"),
        ("one\ntwo\tthree\n", [], "b, line 2: has a tab"),
        ("one\ntwo\n", ["--agreement", 101], "--agreement 101: must be from 0 to 100"),
    ],
)
def test_a_mistake_is_one_line_and_leaves_no_file(tmp_path, b, options, message):
    write(tmp_path, s="1\n2\n", a="one\ntwo\n", b=b)
    found = run(*(tmp_path / name for name in "sab"), *options, "--output", tmp_path / "out.tsv")
    assert found.returncode == 2
    assert message in found.stderr
    assert len(found.stderr.splitlines()) == 1
    assert not (tmp_path / "out.tsv").exists()


def test_one_file_has_nothing_to_agree_with(tmp_path):
    write(tmp_path, s="1\n", a="one\n")
    found = run(tmp_path / "s", tmp_path / "a", "--output", tmp_path / "out.tsv")
    assert (found.returncode, "nothing to agree with" in found.stderr) == (2, True)
