"""The scoring of a run: chosen once, stored with the run, and not changed on resuming."""

import json
from pathlib import Path

import pytest

from nmt.config.settings import Config
from nmt.config.training import TrainingConfig
from nmt.data.examples import Example
from nmt.errors import ConfigError, RunError
from nmt.evaluation import bleu_tokenizer
from nmt.runs.run import Run
from nmt.runs.scoring import RECORD, Scoring, choose_scoring, recorded_tokenizer


def examples(*targets: str) -> list[Example]:
    return [Example("a", (target,), ("",)) for target in targets]


CHINESE = {"train": examples("我卖小书。", "你认识新猫。"), "dev": examples("我卖新书。")}
MARATHI = {"train": examples("राहुल चांगला मुलगा आहे."), "dev": examples("राहुल चांगला मुलगा आहे.")}
WORDS = {"train": examples("тага", "пенуду"), "dev": examples("вивубо")}


def run_with(folder: Path, record: str | None, checkpoint: bool = True) -> Run:
    """A run folder as a training leaves it; without a record an old one does."""
    run = Run(folder)
    (run.last if checkpoint else folder).mkdir(parents=True)
    if checkpoint:
        (run.last / "manifest.json").write_text("{}")
    content = {"fingerprint": "x"} if record is None else {"fingerprint": "x", RECORD: record}
    run.prepared.write_text(json.dumps(content))
    return run


@pytest.mark.parametrize(
    ("splits", "asked", "scoring"),
    [
        (CHINESE, {}, Scoring("zh", "bleu")),
        (MARATHI, {}, Scoring("13a", "bleu")),
        (CHINESE, {"bleu_tokenizer": "char"}, Scoring("char", "bleu")),
        (CHINESE, {"bleu_tokenizer": "13a"}, Scoring("13a", "chrf")),  # one word to it
        (WORDS, {}, Scoring("13a", "chrf")),
        (WORDS, {"metric": "loss"}, Scoring("13a", "loss")),
        (WORDS, {"metric": "chrf"}, Scoring("13a", "chrf")),
    ],
)
def test_a_new_training(splits, asked, scoring):
    assert choose_scoring(TrainingConfig(**asked), splits) == scoring


def test_a_missing_package_is_refused(monkeypatch):
    monkeypatch.setattr(bleu_tokenizer, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"pip install sacrebleu\[ko\]"):
        choose_scoring(TrainingConfig(bleu_tokenizer="ko-mecab"), CHINESE)


def test_what_is_not_as_usual_is_said():
    assert Scoring("13a", "bleu").notes(TrainingConfig()) == []
    (line,) = Scoring("zh", "bleu").notes(TrainingConfig())
    assert line == "BLEU tokenizer: zh, chosen by the script of the training targets"
    (line,) = Scoring("zh", "bleu").notes(TrainingConfig(bleu_tokenizer="zh"))
    assert line == "BLEU tokenizer: zh"
    (line,) = Scoring("13a", "chrf").notes(TrainingConfig())
    assert "too short for BLEU" in line
    assert "selected by chrf" in line
    assert Scoring("13a", "chrf").notes(TrainingConfig(metric="chrf")) == []


def test_applied_changes_two_settings_and_leaves_the_given_ones_alone():
    config = Config()
    used = Scoring("zh", "chrf").applied(config)
    assert (used.training.bleu_tokenizer, used.training.metric) == ("zh", "chrf")
    assert config == Config()
    used.training.bleu_tokenizer, used.training.metric = "auto", "bleu"
    assert used == config


# ---------------------------------------------------------------- with the run


@pytest.mark.parametrize(("record", "tokenizer"), [("zh", "zh"), (None, "13a")])
def test_a_resumed_run_keeps_its_tokenizer(tmp_path, record, tokenizer):
    run = run_with(tmp_path / "run", record)
    assert recorded_tokenizer(run) == tokenizer
    assert choose_scoring(TrainingConfig(), MARATHI, run).tokenizer == tokenizer
    assert choose_scoring(TrainingConfig(bleu_tokenizer=tokenizer), MARATHI, run).tokenizer == tokenizer


def test_another_tokenizer_halfway_is_refused(tmp_path):
    run = run_with(tmp_path / "run", "zh")
    with pytest.raises(ConfigError, match=r"training\.bleu_tokenizer: zh → char would make BLEU scores"):
        choose_scoring(TrainingConfig(bleu_tokenizer="char"), CHINESE, run)


def test_before_the_first_checkpoint_nothing_is_settled(tmp_path):
    run = run_with(tmp_path / "run", "13a", checkpoint=False)
    assert choose_scoring(TrainingConfig(), CHINESE, run).tokenizer == "zh"


@pytest.mark.parametrize("content", ["{", "[]", '"text"'])
def test_a_corrupt_record(tmp_path, content):
    run = run_with(tmp_path / "run", "zh")
    run.prepared.write_text(content)
    with pytest.raises(RunError, match=r"prepared\.json: missing or corrupt"):
        recorded_tokenizer(run)
    run.prepared.unlink()
    assert recorded_tokenizer(run) == "13a"


def test_a_run_whose_tokenizer_is_not_installed_here(tmp_path, monkeypatch):
    monkeypatch.setattr(bleu_tokenizer, "find_spec", lambda name: None)
    run = run_with(tmp_path / "run", "ja-mecab")
    with pytest.raises(ConfigError, match=r"pip install sacrebleu\[ja\]"):
        recorded_tokenizer(run)
