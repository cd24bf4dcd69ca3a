"""Resuming a run: which settings may change, that changes are logged, and what is rejected."""

import copy
import functools
import json
import logging
from pathlib import Path
from typing import Any

import pytest

from nmt.config.schema import settings
from nmt.config.settings import Config
from nmt.data.prepare import Prepared
from nmt.errors import NmtError, RunError
from nmt.runs.resume import Request, keep_settings, refuse_other_data, resumed
from nmt.runs.run import Run, create_run, reopen_run

CONFIG = Config(name="one")
CONFIG.data.source, CONFIG.data.path = "tsv", "pairs.tsv"
CONFIG.model.encoder.size, CONFIG.training.epochs = 64, 4


@pytest.fixture
def run(tmp_path) -> Run:
    config = copy.deepcopy(CONFIG)
    config.runs = str(tmp_path / "runs")
    return create_run(config, "tsv-bahdanau")


def request(run: Run, **changes: Any) -> Request:
    """`key=value` as on the command line: other settings have their defaults, not the values of the run."""
    config = Config(resume=str(run.folder))
    for dotted, value in changes.items():
        *groups, name = dotted.split(".")
        setattr(functools.reduce(getattr, groups, config), name, value)
    overrides = [f"{key}={'null' if value is None else value}" for key, value in changes.items()]
    return Request(config, "manythings-bahdanau", (f"resume={run.folder}", *overrides))


def with_overrides(run: Run, *overrides: str) -> Request:
    return Request(Config(resume=str(run.folder)), "x", (f"resume={run.folder}", *overrides))


def refused(asked: Request) -> str:
    before = Path(str(asked.config.resume), "config.yaml").read_bytes()
    with pytest.raises(NmtError) as caught:
        resumed(asked)
    assert "\n" not in str(caught.value)
    assert Path(str(asked.config.resume), "config.yaml").read_bytes() == before
    return str(caught.value)


def values(config: Config) -> dict[str, Any]:
    return {key: value for key, _, value in settings(config)}


# ---------------------------------------------------------------- what may change


def test_without_changes_the_settings_are_those_of_the_run(run, tmp_path):
    config, found = resumed(request(run))
    assert found.folder == run.folder.resolve()
    expected = values(CONFIG) | {"runs": str(tmp_path / "runs"), "resume": str(run.folder)}
    assert values(config) == expected


CHANGES: dict[str, Any] = {
    "training.epochs": 9,
    "training.max_steps": 1000,
    "training.batch_tokens": 320,
    "training.learning_rate": 1e-4,
    "training.patience": 3,
    "training.precision": "fp32",
    "training.ema": 0.0,
    "training.accumulate": 2,
    "training.metric": "chrf",
    "training.keep": 5,
    "decoding.beam_size": 2,
    "device": "cpu",
    "threads": 2,
    "data.path": "moved/with blanks, (and) signs.tsv",
    "data.cache": "elsewhere",
}


@pytest.mark.parametrize("key", CHANGES)
def test_what_may_change(run, key):
    config, _ = resumed(request(run, **{key: CHANGES[key]}))
    before = values(resumed(request(run))[0])
    assert before[key] != CHANGES[key]
    assert values(config) == before | {key: CHANGES[key]}


def test_several_changes_and_each_form_of_them(run):
    asked = request(run, **{"training.epochs": 9, "threads": 2, "training.patience": None})
    resume, *overrides = asked.overrides
    config, _ = resumed(Request(asked.config, "x", (resume, *("++" + one for one in overrides))))
    assert (config.training.epochs, config.threads, config.training.patience) == (9, 2, None)


def test_the_name_and_the_folder_of_runs_stay(run, tmp_path):
    config, _ = resumed(request(run, name="other", runs="elsewhere"))
    assert (config.name, config.runs) == ("one", str(tmp_path / "runs"))


def test_a_moved_run_stays_where_it_is(run, tmp_path):
    moved = run.folder.rename(tmp_path / "moved")
    config, found = resumed(request(Run(moved)))
    assert found.folder == moved.resolve()
    assert config.runs == str(tmp_path)


# ---------------------------------------------------------------- kept and logged


@pytest.fixture
def logged(caplog, monkeypatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("nmt"), "propagate", True)
    caplog.set_level(logging.WARNING, "nmt")
    return caplog


def test_changes_are_logged_and_kept(run, logged):
    asked = {"training.epochs": 9, "training.max_steps": 700, "decoding.beam_size": 5}  # 5 it was
    config, found = resumed(request(run, **asked))
    assert logged.messages == []
    assert reopen_run(run.folder)[1].training.epochs == 4  # nothing is written before everything is validated
    keep_settings(found, config)
    assert logged.messages == ["training.epochs: 4 → 9", "training.max_steps: None → 700"]
    kept = reopen_run(run.folder)[1]
    assert kept.resume is None
    assert values(kept) == values(config) | {"resume": None}
    logged.clear()
    keep_settings(found, resumed(request(run))[0])  # the next time they are the settings of the run
    assert logged.messages == []
    assert values(reopen_run(run.folder)[1]) == values(kept)


# ---------------------------------------------------------------- refused


@pytest.mark.parametrize(
    ("key", "value", "what"),
    [
        ("model.encoder.size", 128, "a different model"),
        ("model.encoder.size", 33, "a different model"),  # invalid anyway
        ("model.initial_range", 0.5, "a different model"),
        ("model.attention.score", "general", "a different model"),
        ("data.max_words", 5, "different training data"),
        ("data.source", "sample", "different training data"),
        ("data.swap", True, "different training data"),
        ("data.tokenizer.vocab_size", 100, "different training data"),
        ("data.source_column", 3, "different training data"),
        ("seed", 2, "different training data"),
        ("training.subword_sampling", 0.1, "different training data"),
        ("training.initialise_from", "runs/x", "different initial weights"),
    ],
)
def test_what_may_not_change(run, key, value, what):
    old = values(CONFIG)[key]
    said = refused(request(run, **{"training.epochs": 9, key: value}))
    assert said == (
        f"{key}: {old} → {value} would mean {what}; leave it out, or start a new run without resume="
    )


def test_what_is_the_same_is_no_change(run):
    asked = request(run, **{"seed": 1, "model.encoder.size": 64, "data.source": "tsv"})
    assert values(resumed(asked)[0]) == values(resumed(request(run))[0])


@pytest.mark.parametrize("override", ["data=sample", "model=luong", "experiment=demo", "+experiment=demo"])
def test_groups_are_refused(run, override):
    """Even the original ones: nothing says whether they are."""
    key = override.lstrip("+").split("=")[0]
    expected = f"{override}: a resumed run keeps its {key}; leave it out, or start a new run without resume="
    assert refused(with_overrides(run, override)) == expected


def test_an_entire_section_is_refused(run):
    """The rest of it would be the defaults, not the values of the run."""
    said = refused(with_overrides(run, "training={epochs:9}"))
    assert said.startswith("training={epochs:9}: more than one setting; ")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training.epochs": 0}, "training.epochs=0: must be at least 1"),
        ({"training.metric": "ter"}, "training.metric=ter: choose one of"),
        (
            {"data.archive": "x.zip"},
            "data.archive=x.zip: has no effect with data=tsv, only with data=manythings",
        ),
        ({"training.guided_alignment": 0.5}, "training.guided_alignment=0.5"),
    ],
)
def test_impossible_settings(run, changes, message):
    """Together with the settings of the run: here a user corpus without alignments."""
    assert refused(request(run, **changes)).startswith(message)


def test_no_such_run(tmp_path):
    (tmp_path / "file").touch()
    for name in ("nothing", "file"):
        with pytest.raises(RunError, match=f"^resume=.*{name}: no such run$"):
            resumed(request(Run(tmp_path / name)))


def test_settings_that_cannot_be_read(run):
    (run.folder / "config.yaml").write_text("model: {encoder: ", encoding="utf-8")
    assert "config.yaml: missing or corrupt: " in refused(request(run))


# ---------------------------------------------------------------- the data


def prepared(fingerprint: str) -> Prepared:
    return Prepared({}, {"fingerprint": fingerprint}, Path("cache/prepared/x"), fresh=False)


def test_other_data_are_refused(run):
    run.prepared.write_text(json.dumps({"fingerprint": "abc", "source": "tsv"}), encoding="utf-8")
    refuse_other_data(run, prepared("abc"))
    with pytest.raises(RunError) as caught:
        refuse_other_data(run, prepared("abd"))
    said = str(caught.value)
    assert said.startswith(f"{run.folder}: was trained on different data than cache/prepared/x; ")
    assert "without resume=" in said


@pytest.mark.parametrize("content", [None, "", "[]", "{", "{}", "3", '"x"'])
def test_a_run_that_does_not_record_its_data(run, content):
    if content is not None:
        run.prepared.write_text(content, encoding="utf-8")
    with pytest.raises(RunError, match=r"prepared\.json: missing or corrupt"):
        refuse_other_data(run, prepared("abc"))
