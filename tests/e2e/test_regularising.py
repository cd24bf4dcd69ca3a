"""R-Drop, sub-word sampling and word dropout through the command line, and resumed."""

import shutil
from pathlib import Path

from inside import Begin, resume, weights

from nmt.runs.run import Run

SETTINGS = (
    "training.rdrop=2.5",
    "training.subword_sampling=0.2",
    "training.subword_sampling_below=20",
    "training.word_dropout=0.1",
)


def test_a_resumed_run_is_the_same(begin: Begin, uninterrupted: Path, tmp_path: Path) -> None:
    answer = begin(tmp_path, *SETTINGS)
    assert answer.code == 0, answer.err
    whole, stopped = tmp_path / "runs" / "run", tmp_path / "runs" / "stopped"
    assert weights(whole) != weights(uninterrupted)
    shutil.copytree(whole, stopped)
    shutil.rmtree(Run(stopped).last)  # as if it was stopped a step before
    answer = resume(stopped)
    assert answer.code == 0, answer.err
    assert "resuming after step 3 of 4" in answer.out
    assert weights(stopped) == weights(whole)
    answer = resume(stopped, "training.subword_sampling=0.3")
    assert answer.code == 2
    assert answer.err.startswith(
        "error: training.subword_sampling: 0.2 → 0.3 would mean different training data"
    )
