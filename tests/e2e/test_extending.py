"""The examples of docs/extending.md, added to a copy of the project and used from the command line."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from sacrebleu.metrics.ter import TER

PROJECT = Path(__file__).resolve().parents[2]
PAGE = (PROJECT / "docs" / "extending.md").read_text(encoding="utf-8")
FILES = re.findall(r"^`([\w/.]+)`[^\n]*:\n\n```(?:python|yaml)\n(.*?)```$", PAGE, re.MULTILINE | re.DOTALL)
(COMMAND,) = re.findall(r"```bash\n(.*)\n```", PAGE)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the project with the files of the page."""
    copy = tmp_path_factory.mktemp("project")
    for name in ("nmt", "configs", "data/sample"):
        shutil.copytree(PROJECT / name, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name, content in FILES:
        with (copy / name).open("a", encoding="utf-8") as file:
            file.write(f"\n\n{content}" if file.tell() else content)
    lines = (copy / "data" / "sample" / "corpus.tsv").read_text(encoding="utf-8").splitlines()[:600]
    pairs = [dict(zip(("source", "target"), line.split("\t"), strict=False)) for line in lines]
    (copy / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs), encoding="utf-8")
    return copy


def run(project: Path, command: str, *more: str) -> subprocess.CompletedProcess[str]:
    arguments = [sys.executable, *shlex.split(command)[1:], *more]
    environment = os.environ | {"PYTHONPATH": str(project), "OMP_NUM_THREADS": "1"}
    return subprocess.run(
        arguments, cwd=project, env=environment, capture_output=True, text=True, timeout=300, check=False
    )


def test_each_takes_one_module_and_its_yaml() -> None:
    assert [name for name, _ in FILES] == [
        "nmt/data/sources/jsonl.py",
        "configs/data/jsonl.yaml",
        "nmt/model/attention/scores/low_rank.py",
        "configs/model/low_rank.yaml",
        "nmt/config/selection_metrics.py",
    ]
    new = [name for name, _ in FILES if not (PROJECT / name).exists()]
    assert len(new) == 4, "the page explains how to add what is there already"


def test_the_command_of_the_page_trains_with_all_of_them(project: Path) -> None:
    few = ("training.max_steps=4", "training.validate_every=2", "training.samples=0", "decoding.beam_size=1")
    answer = run(project, COMMAND, *few, "model.attention.heads=2", "runs=runs", "name=all")
    assert answer.returncode == 0, answer.stderr
    folder = project / "runs" / "all"
    report = json.loads((folder / "prepared.json").read_text(encoding="utf-8"))
    assert (report["source"], report["licence"], report["pairs_read"]) == ("jsonl", None, 600)
    model = json.loads((folder / "checkpoints" / "best" / "model.json").read_text(encoding="utf-8"))
    assert '"low_rank"' in json.dumps(model)
    training = json.loads((folder / "training.json").read_text(encoding="utf-8"))
    found = {scores["step"]: scores["ter"] for scores in training["validations"]}
    assert list(found) == [2, 4]
    assert training["metric"] == "ter"
    assert found[training["best_step"]] == min(found.values())
    assert "Development TER (greedy)" in (folder / "report.html").read_text(encoding="utf-8")


@pytest.mark.parametrize(
    ("settings", "faults"),
    [
        (
            ["data.path=null", "data.source_column=1"],
            [
                "data.path: data=jsonl needs it",
                "add data.path=FILE",
                "data.source_column=1: has no effect with data=jsonl, only with data=tsv",
                "leave it out",
            ],
        ),
        (
            ["model.attention.size=32", "model.attention.positions=9"],
            [
                "model.attention.positions=9: has no effect with model.attention.score=low_rank, only with "
                "model.attention.score=location",
                "leave it out",
            ],
        ),
        (
            ["model.attention.heads=16", "model.attention.size=24"],
            ["model.attention.heads=16: does not divide model.attention.size=24"],
        ),
    ],
)
def test_what_validation_knows_of_them(project: Path, settings: list[str], faults: list[str]) -> None:
    answer = run(project, COMMAND, *settings)
    assert answer.returncode == 2
    assert answer.stderr.removeprefix("error: ").rstrip().split("; ") == faults


def test_a_line_that_is_not_a_pair_is_named(project: Path) -> None:
    (project / "bad.jsonl").write_text('{"source": "a", "target": "b"}\n{"source": "a"}\n', encoding="utf-8")
    answer = run(project, COMMAND.replace("pairs.jsonl", "bad.jsonl"), "runs=runs")
    assert answer.returncode == 2
    assert answer.stderr.startswith("error: bad.jsonl, line 2: not an object")


def test_the_new_scorer_is_sacrebleus(project: Path) -> None:
    program = (
        "from nmt.evaluation.metrics import quick_scores;"
        "print(quick_scores(['a b c d', 'e'], [['a c b d', 'a b'], ['f g']])['ter'])"
    )
    answer = run(project, f"python -c {shlex.quote(program)}")
    expected = TER().corpus_score(["a b c d", "e"], [["a c b d", "f g"], ["a b", None]]).score
    assert float(answer.stdout) == expected
