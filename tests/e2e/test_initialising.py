"""`training.initialise_from`: a run of another direction as the start of a new one; and `pretraining`: the
same in one command.
"""

import shutil
from pathlib import Path

import pytest
from inside import Begin, resume, weights
from small_corpus import corpus, write_tsv

from nmt.runs.run import Run


def test_start_from_a_run_of_the_other_direction(begin: Begin, uninterrupted: Path, tmp_path: Path) -> None:
    """And a resumed run does not start again: it is the same as one that was not interrupted."""
    initial = f"training.initialise_from={uninterrupted}"
    answer = begin(tmp_path, initial, "data.swap=true")
    assert answer.code == 0, answer.err
    (line,) = [line for line in answer.out.splitlines() if line.startswith("initialised from ")]
    assert str(uninterrupted) in line
    assert line.endswith("not carried over: none")
    whole = tmp_path / "runs" / "run"
    stopped = tmp_path / "runs" / "stopped"
    shutil.copytree(whole, stopped)
    shutil.rmtree(Run(stopped).last)  # as if it was stopped a step before
    answer = resume(stopped)
    assert answer.code == 0, answer.err
    assert "initialised from" not in answer.out
    assert "resuming after step 3 of 4" in answer.out
    assert weights(stopped) == weights(whole)


def test_it_changes_the_weights(begin: Begin, uninterrupted: Path, tmp_path: Path) -> None:
    assert begin(tmp_path, f"training.initialise_from={uninterrupted}").code == 0
    assert weights(tmp_path / "runs" / "run") != weights(uninterrupted)


def test_a_run_that_is_not_there(begin: Begin, tmp_path: Path) -> None:
    answer = begin(tmp_path, "training.initialise_from=nothing")
    assert (answer.code, answer.out) == (2, "")
    assert answer.err == (
        "error: training.initialise_from=nothing: no such run, or one without a checkpoint\n"
    )
    assert not (tmp_path / "runs").exists()


def test_pretraining_is_a_run_on_the_other_corpus_to_start_from(
    begin: Begin, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As by hand, in two commands; and it is not needed once the run has a checkpoint."""
    other = write_tsv(tmp_path / "other.tsv", corpus(100))
    own = ("pretraining.epochs=3", "pretraining.batch_tokens=300", "pretraining.learning_rate=2e-3")
    given = ("pretraining.kind=tsv", "pretraining.path=other.tsv", *own)
    assert begin(tmp_path, *given, "training.rdrop=2.5").code == 0
    run = tmp_path / "runs" / "run"
    by_hand = ("training.epochs=3", "training.batch_tokens=300", "training.learning_rate=2e-3")
    assert begin(tmp_path, "name=first", "data=tsv", f"data.path={other}", *by_hand).code == 0
    first = tmp_path / "runs" / "first"
    assert weights(run / "pretraining") == weights(first)
    initial = f"training.initialise_from={first}"
    assert begin(tmp_path, "name=second", initial, "training.rdrop=2.5").code == 0
    assert weights(run) == weights(tmp_path / "runs" / "second")
    assert not (run / "latest").exists()
    expected = weights(run)
    shutil.rmtree(run / "pretraining")
    shutil.rmtree(Run(run).last)  # as if it was stopped a step before
    other.unlink()
    monkeypatch.chdir(tmp_path)
    answer = resume(run)
    assert answer.code == 0, answer.err
    assert not (run / "pretraining").exists()
    assert weights(run) == expected
