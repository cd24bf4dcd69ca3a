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
        shutil.copytree(PROJECT / name, copy / name)
    for name, content in FILES:
        with (copy / name).open("a", encoding="utf-8") as file:
            file.write(f"\n\n{content}" if file.tell() else content)
    lines = (copy / "data" / "sample" / "corpus.tsv").read_text(encoding="utf-8").splitlines()[:600]
    pairs = [dict(zip(("source", "target"), line.split("\t"), strict=False)) for line in lines]
    (copy / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs), encoding="utf-8")
    return copy


TRAINING = "the command of the page"
FEW = ("training.max_steps=4", "training.validate_every=2", "training.samples=0", "decoding.beam_size=1")
MISTAKES = {
    "settings of another source": (
        ["data.path=null", "data.source_column=1"],
        [
            "data.path: data=jsonl needs it",
            "add data.path=FILE",
            "data.source_column=1: has no effect with data=jsonl, only with data=tsv",
            "leave it out",
        ],
    ),
    "a setting of another score": (
        ["model.attention.size=32", "model.attention.positions=9"],
        [
            "model.attention.positions=9: has no effect with model.attention.score=low_rank, only with "
            "model.attention.score=location",
            "leave it out",
        ],
    ),
    "heads that do not divide the size": (
        ["model.attention.heads=16", "model.attention.size=24"],
        ["model.attention.heads=16: does not divide model.attention.size=24"],
    ),
    "a line that is not a pair": (
        ["data.path=bad.jsonl", "runs=runs"],
        ['bad.jsonl, line 2: not an object {"source": "…", "target": "…"}'],
    ),
}
HYPOTHESES, REFERENCES = ["a b c d", "e"], [["a c b d", "a b"], ["f g"]]
PROGRAM = f"""
import json, shlex, sys
from pathlib import Path
from inside import inside
from nmt import train
from nmt.evaluation.metrics import quick_scores
given = json.loads(sys.stdin.read())
answers = {{}}
for name, settings in given.items():
    answers[name] = inside(train, *settings, folder=Path(), whole=name == {TRAINING!r})
print(json.dumps([answers, quick_scores({HYPOTHESES!r}, {REFERENCES!r})]))
"""


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


@pytest.fixture(scope="module")
def answers(project: Path) -> tuple[dict[str, list], dict[str, float]]:
    """What the command of the page answers, and to each of the mistakes, and quick scores: all in one
    process.
    """
    (project / "bad.jsonl").write_text('{"source": "a", "target": "b"}\n{"source": "a"}\n', encoding="utf-8")
    _, m, module, *usual = shlex.split(COMMAND)
    assert (m, module) == ("-m", "nmt.train")
    given = {name: [*usual, *settings] for name, (settings, _) in MISTAKES.items()}
    given[TRAINING] = [*usual, *FEW, "model.attention.heads=2", "runs=runs", "name=all"]
    path = os.pathsep.join([str(project), str(Path(__file__).parent)])
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], input=json.dumps(given), cwd=project, capture_output=True, text=True,
        env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    found, scores = json.loads(done.stdout)
    return found, scores


def test_the_command_of_the_page_trains_with_all_of_them(
    project: Path, answers: tuple[dict[str, list], dict[str, float]]
) -> None:
    code, _, said = answers[0][TRAINING]
    assert code == 0, said
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


@pytest.mark.parametrize("name", MISTAKES)
def test_what_validation_knows_of_them(name: str, answers: tuple[dict[str, list], dict[str, float]]) -> None:
    """And a line that is not a pair is named."""
    code, _, said = answers[0][name]
    assert code == 2
    assert said.removeprefix("error: ").rstrip().split("; ") == MISTAKES[name][1]


def test_the_new_scorer_is_sacrebleus(answers: tuple[dict[str, list], dict[str, float]]) -> None:
    expected = TER().corpus_score(HYPOTHESES, [["a c b d", "f g"], ["a b", None]]).score
    assert answers[1]["ter"] == expected
