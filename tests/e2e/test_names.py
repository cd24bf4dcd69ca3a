"""Files and folders of any name: settings and arguments take them as typed, and printed commands can be
pasted.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from console import Answer
from inside import SHORT, inside, resume

from nmt import evaluate, train, translate

NAMES = [
    "pairs (1).tsv",
    "daten-größe.tsv",
    "मराठी.tsv",
    "a=b.tsv",
    "a,b.tsv",
    "it's [x] {y} $z.tsv",
    "2024_10_01",
]
FOLDER = "My Drive's ünïcode"
RUN = "2024_10_01 (copy)"


@pytest.fixture(scope="module")
def corpus() -> str:
    """Short pairs of the bundled corpus."""
    file = Path(__file__).resolve().parents[2] / "data" / "sample" / "corpus.tsv"
    lines = file.read_text(encoding="utf-8").splitlines()
    return "".join(line + "\n" for line in lines if len(line.split("\t")[0].split()) <= 4)


def composed(folder: Path, *overrides: str) -> Answer:
    """The settings that a command line is parsed to."""
    return inside(train, *overrides, "--cfg", "job", folder=folder)


@pytest.mark.parametrize("name", NAMES)
def test_a_corpus_of_any_name_is_found(name: str, corpus: str, tmp_path: Path) -> None:
    """Data is prepared; a vocabulary that is too small ends the command before training."""
    (tmp_path / name).write_text("".join(corpus.splitlines(keepends=True)[:200]), encoding="utf-8")
    small = ("data.tokenizer.vocab_size=9",)
    for overrides in (
        ("data=moses", f"data.source_path={name}", f"data.target_path={name}"),
        ("data=tsv", f"data.path={tmp_path / name}", f"data.dev_path={name}"),
        ("data=tsv", f"data.path={name}", f"data.cache=cache of {name}"),
    ):
        answer = inside(train, "experiment=debug", *overrides, *small, folder=tmp_path)
        expected = (
            "vocab_size=9" if "dev_path" not in overrides[-1] else "share a sentence with the development"
        )
        assert expected in answer.err, (overrides, answer.err)
        assert answer.code == 2
    assert (tmp_path / f"cache of {name}" / "prepared").is_dir()


@pytest.mark.parametrize("name", ["no such (1).tsv", "a=b,c.tsv", "~/no such", "~no_such_user/x"])
def test_a_corpus_that_is_not_there_is_named(name: str, tmp_path: Path) -> None:
    answer = inside(train, "experiment=debug", "data=tsv", f"data.path={name}", folder=tmp_path)
    assert answer.code == 2
    shown = name.replace("~/", f"{Path.home()}/")
    assert answer.err.startswith(f"error: data.path={shown}: no such file")


def test_the_home_folder_is_found(corpus: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("USERPROFILE", str(tmp_path / "home"))
    (tmp_path / "home").mkdir()
    (tmp_path / "home" / "corpus.tsv").write_text(corpus, encoding="utf-8")
    overrides = ("data=tsv", "data.path=~/corpus.tsv", "data.tokenizer.vocab_size=9", "data.cache=~/cache")
    assert "vocab_size=9" in inside(train, *overrides, folder=tmp_path).err
    assert (tmp_path / "home" / "cache" / "prepared").is_dir()


# ---------------------------------------------------------------- runs


@pytest.fixture(scope="module")
def stopped(corpus: str, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Answer]:
    """A folder with an unusual name, and the output of training there with unusual names in all settings."""
    folder = tmp_path_factory.mktemp("names") / FOLDER
    folder.mkdir()
    (folder / "pairs (1).tsv").write_text(corpus, encoding="utf-8")
    overrides = (*SHORT, "data=tsv", "data.path=pairs (1).tsv", "runs=my runs", f"name={RUN}")
    return folder, inside(train, *overrides, folder=folder)


def pasted(line: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """A line as split by a shell; `python` is this interpreter."""
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    return subprocess.run(["sh", "-c", line], cwd=folder, env=environment, capture_output=True, text=True)


def printed(answer: Answer, label: str) -> str:
    found = re.search(rf"{label}: +(.*)", answer.out + answer.err)
    assert found, answer
    return found[1]


def test_a_name_is_taken_as_it_was_typed(stopped: tuple[Path, Answer]) -> None:
    folder, answer = stopped
    assert answer.code == 0, answer.err
    assert {path.name for path in (folder / "my runs").iterdir()} == {RUN, "latest"}
    shown = composed(folder, "name=2024_10_01", "runs=~/x (1)")
    assert "name: '2024_10_01'" in shown.out


@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_the_command_to_translate_can_be_pasted(stopped: tuple[Path, Answer]) -> None:
    folder, answer = stopped
    done = pasted(printed(answer, "translate"), folder)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("\n") == 1


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell")
def test_the_command_to_resume_can_be_pasted(
    stopped: tuple[Path, Answer], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder, _ = stopped
    with monkeypatch.context() as patch:
        patch.setattr("nmt.training.signals.StopSignals.received", 15, raising=False)
        patch.setattr("nmt.runs.reporting.MainCallbacks.stopping", lambda self: 15)
        overrides = ("resume=my runs/" + RUN, "training.max_steps=6")
        answer = inside(train, *overrides, folder=folder)
    assert answer.code == 143, answer
    done = pasted(printed(answer, "with"), folder)
    assert done.returncode == 0, done.stderr
    assert "step 6" in done.stdout


def test_the_other_commands_find_it(stopped: tuple[Path, Answer]) -> None:
    folder, _ = stopped
    (folder / "letter (1).txt").write_text("Who is hungry?\n", encoding="utf-8")
    run, out = f"my runs/{RUN}", "out [1].txt"
    options = ("--run", run, "--input", "letter (1).txt", "--output", out, "--attention", "a=b.jsonl")
    answer = inside(translate, *options, folder=folder)
    assert answer.code == 0, answer.err
    assert (folder / out).read_text(encoding="utf-8").count("\n") == 1
    assert (folder / "a=b.jsonl").is_file()
    assert inside(evaluate, f"--run={run}", "--heatmaps", "0", folder=folder).code == 0


@pytest.mark.parametrize("key", ["resume", "--run"])
def test_a_run_that_is_not_there_is_named(key: str, tmp_path: Path) -> None:
    if key == "resume":
        answer = inside(train, "resume=runs/no such (1)", folder=tmp_path)
    else:
        answer = inside(translate, "--run", "runs/no such (1)", "x", folder=tmp_path)
    assert answer.code == 2
    assert "runs/no such (1): no such run" in answer.err


def test_a_run_that_was_moved_can_be_resumed(stopped: tuple[Path, Answer], tmp_path: Path) -> None:
    folder, _ = stopped
    moved = tmp_path / "a=b, (c)"
    shutil.copytree(folder / "my runs" / RUN, moved)
    overrides = (f"data.path={folder / 'pairs (1).tsv'}", f"data.cache={folder / 'data' / 'cache'}")
    answer = resume(moved, *overrides, "training.max_steps=8")
    assert answer.code == 0, answer.err
