"""Standard streams that are closed at startup: no traceback, and nothing is lost."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from console import TRAINING, Answer
from inside import inside

from nmt import align, evaluate, translate
from nmt.files import sha256

TEXT = "The dog sees."
CLOSED = "error: standard output is closed; redirect it to a file"


def shell(redirections: str, *arguments: object, folder: Path) -> Answer:
    """`python -m` with these arguments, with streams redirected by a shell."""
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {redirections}', "sh", sys.executable, "-m", *map(str, arguments)],
        cwd=folder,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=300,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    return Answer(done.returncode, done.stdout.decode(), done.stderr.decode())


@pytest.fixture
def files(tmp_path) -> Path:
    for name in ("a.txt", "b.txt"):
        (tmp_path / name).write_text(f"{TEXT}\n")
    return tmp_path


def test_standard_input_is_closed(trained, tmp_path):
    translating = ("nmt.translate", "--run", trained)
    for source in ((), ("--input", "-")):
        answer = shell("<&-", *translating, *source, folder=tmp_path)
        assert answer == (2, "", "error: standard input is closed; give TEXT or --input FILE\n")
    answer = shell("<&-", *translating, TEXT, folder=tmp_path)  # it is not read
    assert (answer.code, answer.out.count("\n")) == (0, 1)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (("nmt.translate", TEXT), f"{CLOSED}, or give --output FILE\n"),
        (("nmt.align", "--source", "a.txt", "--target", "b.txt"), f"{CLOSED}, or give --output FILE\n"),
        (("nmt.evaluate", "--output", "scores"), f"{CLOSED}\n"),
    ],
)
def test_standard_output_is_closed(trained, files, arguments, line):
    answer = shell(">&-", *arguments, "--run", trained, folder=files)
    assert answer == (2, "", line)
    assert shell(">&- 2>&-", *arguments, "--run", trained, folder=files) == (2, "", "")
    assert sorted(path.name for path in files.iterdir()) == ["a.txt", "b.txt"]


def test_output_to_a_file_needs_no_standard_output(trained, files):
    expected = inside(translate, "--run", trained, "--input", "a.txt", folder=files)
    answer = shell(
        "<&- >&-", "nmt.translate", "--run", trained, "--input", "a.txt", "--output", "c.txt", folder=files
    )
    assert answer == (0, "", expected.err)
    assert (files / "c.txt").read_text(encoding="utf-8") == expected.out


@pytest.mark.parametrize(
    ("module", "arguments"),
    [
        (translate, ("--show", TEXT)),
        pytest.param(
            align, ("--source", "a.txt", "--target", "b.txt", "--gold", "gold"), marks=pytest.mark.slow
        ),
        pytest.param(evaluate, ("--heatmaps", "0", "--output", "scores"), marks=pytest.mark.slow),
    ],
)
def test_standard_error_is_closed(trained, files, module, arguments):
    """Its output does not end up elsewhere."""
    (files / "gold").write_text("0-0\n")
    expected = inside(module, *arguments, "--run", trained, folder=files)
    answer = shell("2>&-", module.__name__, *arguments, "--run", trained, folder=files)
    assert expected.out
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.count("\n") == expected.out.count("\n")  # a line of evaluation tells the time it took


@pytest.mark.parametrize("redirections", [pytest.param(">&-", marks=pytest.mark.slow), "<&- >&- 2>&-"])
def test_training_continues_without_a_terminal(trained, tmp_path, redirections):
    cache = f"data.cache={trained.parent.parent / 'data' / 'cache'}"
    answer = shell(redirections, "nmt.train", *TRAINING, cache, "name=run", folder=tmp_path)
    assert answer == (0, "", "")
    run = tmp_path / "runs" / "run"
    model = ("model.safetensors", "model.json", "source.model", "target.model")
    files = [f"checkpoints/{checkpoint}/{name}" for checkpoint in ("best", "last") for name in model]
    for name in (*files, "test/translations.tsv"):
        assert sha256(run / name) == sha256(trained / name)
    log = (run / "train.log").read_text(encoding="utf-8")
    for said in ("run folder: ", "step 20/20", "step 20: development loss", "BLEU ", "nmt.translate --run"):
        assert said in log
