"""Training in stages apart from training: the settings of each run, and what cannot be."""

import sys
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hydra.core.global_hydra import GlobalHydra

from nmt.config.data import DataConfig, TokenizerConfig
from nmt.config.distillation import DistillationConfig
from nmt.config.extra_corpus import ExtraCorpus
from nmt.config.pretraining import PretrainingConfig
from nmt.config.schema import settings
from nmt.config.settings import Config
from nmt.config.training import TrainingConfig
from nmt.config.validation import check
from nmt.data.extra import check_pretraining
from nmt.distillation import stage_runs
from nmt.distillation.stage_runs import (
    Stages,
    pretrain,
    pretraining_config,
    reverse_config,
    teacher_config,
    train_models,
    write_teacher_settings,
)
from nmt.errors import ConfigError, DataError, RunError
from nmt.launch.main import with_config
from nmt.launch.teachers import teacher_settings
from nmt.runs.resume import Request, resumed
from nmt.runs.run import Run, create_run, reopen_run, write_config

FRENCH = PretrainingConfig(language="fra", path="fra.zip", epochs=3)
GIVEN = DataConfig(archive="mar.zip", dev_path="dev.tsv", names="names.tsv", extra=[ExtraCorpus(path="a")])


def changed(before: Config, after: Config) -> dict[str, Any]:
    """The settings that are different, but for those of the stages."""
    pairs = zip(settings(before), settings(after), strict=True)
    found = {key: new for (key, _, old), (_, _, new) in pairs if old != new}
    return {key: new for key, new in found.items() if not key.startswith(("pretraining.", "distillation."))}


def student(**training: Any) -> Config:
    distillation = DistillationConfig(train_teachers=2, train_reverse=True)
    own = TrainingConfig(**training)
    return Config(seed=5, data=GIVEN, training=own, pretraining=FRENCH, distillation=distillation)


# ---------------------------------------------------------------- of each run


def test_pretraining_has_its_own_corpus_and_schedule():
    config = student(rdrop=2.5, dropout=0.2, max_steps=7)
    found = pretraining_config(config)
    assert changed(config, found) == {
        "data.language": "fra",
        "data.archive": "fra.zip",
        "data.dev_path": None,
        "data.names": None,
        "data.extra": [],
        "training.epochs": 3,
        "training.batch_tokens": 2560,
        "training.learning_rate": 2.5e-3,
        "training.rdrop": 0.0,
    }
    assert not found.pretraining.requested
    assert not found.distillation.requested


def test_teachers_differ_in_the_seed_and_start_from_pretraining(tmp_path):
    config, run = student(), Run(tmp_path / "run")
    initial = str(tmp_path / "run" / "pretraining")
    teachers = [teacher_config(config, number, run) for number in range(2)]
    assert [changed(config, teacher) for teacher in teachers] == [
        {"training.initialise_from": initial},
        {"seed": 6, "training.initialise_from": initial},
    ]
    config.pretraining = PretrainingConfig()
    assert changed(config, teacher_config(config, 0, run)) == {}


def test_the_reverse_model_is_that_of_the_other_direction():
    config = student(initialise_from="other")
    assert changed(config, reverse_config(config)) == {"data.swap": True, "training.initialise_from": None}
    config.data.swap = True
    assert reverse_config(config).data.swap is False


def test_a_resumed_pretraining_keeps_its_schedule_and_finds_moved_files(tmp_path, monkeypatch):
    """What is asked of the run holds for the others, as far as it fits them."""
    asked: list[Request] = []
    monkeypatch.setattr(stage_runs, "train", asked.append)
    config = student()
    run = create_run(Config(**{**vars(config), "runs": str(tmp_path), "name": "run"}), "")
    pretrain(Stages(run, config))
    config.pretraining.path, config.data.archive, config.data.cache = "moved.zip", "elsewhere.zip", "cache"
    config.training.epochs, config.training.clip_norm, config.device = 99, 2.0, "cpu"
    keys = ("data.archive", "data.cache", "training.epochs", "training.clip_norm", "device")
    pretrain(Stages(run, config, ("pretraining.path=moved.zip", *map("{}=".format, keys))))
    before, after = (resumed(request)[0] for request in asked)
    assert changed(before, after) == {
        "data.archive": "moved.zip",
        "data.cache": "cache",
        "training.clip_norm": 2.0,
        "device": "cpu",
    }


# ---------------------------------------------------------------- teachers with other settings


@pytest.fixture
def _fresh_hydra(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("HYDRA_FULL_ERROR", "1")
    GlobalHydra.instance().clear()
    yield
    GlobalHydra.instance().clear()


def composed(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> tuple[Config, list[Config]]:
    """The settings of the student and of the teachers, as with `python -m nmt.train`."""
    found: list[tuple[Config, list[Config]]] = []
    monkeypatch.setattr(sys, "argv", ["nmt.train", *arguments])
    with_config(lambda config, *_: found.append((config, teacher_settings(config))))
    return found[0]


@pytest.mark.usefixtures("_fresh_hydra")
def test_overrides_of_teachers_come_at_the_end_of_the_command_line(monkeypatch):
    entries = "distillation.teacher_overrides=[model=luong training.dropout=0.2,experiment=rdrop]"
    given = ("experiment=best", "model.encoder.size=64", "distillation.agreement=50", entries)
    config, (first, second) = composed(monkeypatch, *given)
    assert config.model.decoder.input_feeding is False
    assert first.model.decoder.input_feeding is True
    assert (first.training.dropout, first.training.batch_tokens, first.model.encoder.size) == (0.2, 2560, 64)
    alone, _ = composed(monkeypatch, "experiment=rdrop", "model.encoder.size=64")
    assert changed(second, alone) == {}


@pytest.mark.usefixtures("_fresh_hydra")
def test_the_best_model_has_soft_labels_and_a_longer_training_than_what_it_starts_from(monkeypatch):
    """Its teachers have the tokenizers that labels need, and may have what it may not."""
    config, teachers = composed(monkeypatch, "experiment=best")
    assert (config.training.epochs, config.distillation.soft_weight) == (16, 0.5)
    assert [one.training.epochs for one in teachers] == [20, 14]
    assert pretraining_config(config).training.epochs == 5
    assert all(teacher.data == config.data for teacher in teachers)
    other = "distillation.teacher_overrides=[training.subword_sampling=0.1]"
    _, (sampled,) = composed(monkeypatch, "experiment=best", other)
    assert sampled.training.subword_sampling == 0.1


def test_given_tokenizers_are_of_this_corpus_and_direction():
    config = student()
    config.data = replace(GIVEN, tokenizer=TokenizerConfig(path="a"))
    assert [one(config).data.tokenizer.path for one in (pretraining_config, reverse_config)] == [None, None]


@pytest.mark.usefixtures("_fresh_hydra")
@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("model=nothing", "model=nothing: no such choice; available: bahdanau"),
        ("training.droput=1", r"training\.droput: no such setting; did you mean training\.dropout"),
    ],
)
def test_overrides_that_cannot_be_composed(monkeypatch, entry, message):
    entries = f"distillation.teacher_overrides=[training.dropout=0.2,{entry}]"
    with pytest.raises(ConfigError, match=rf"^distillation\.teacher_overrides\[1\]: {message}"):
        composed(monkeypatch, "distillation.train_teachers=2", entries)


@pytest.mark.parametrize(
    ("entry", "message"),
    [
        ("seed=7", r"seed=7: not a setting of a single teacher"),
        ("training.dropout=0.2 distillation.weight=2", "distillation.weight=2: not a setting of a single"),
        ("training", "training: not a setting; write KEY=VALUE"),
        ("training.dropout='0.2", "training.dropout='0.2: No closing quotation"),
    ],
)
def test_overrides_that_are_none(entry, message):
    config = Config(distillation=DistillationConfig(teacher_overrides=[entry]))
    with pytest.raises(ConfigError, match=rf"^distillation\.teacher_overrides\[0\]: {message}"):
        teacher_settings(config)


def test_other_settings_are_written_before_any_teacher_is_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(stage_runs, "train", lambda request: None)
    config = student()
    config.distillation.train_teachers, config.distillation.teacher_overrides = 3, ["a", "b"]
    run = Run(tmp_path / "run")
    run.folder.mkdir()
    write_config(run, config)
    others = [student(dropout=0.1), student(dropout=0.2)]
    write_teacher_settings(Stages(run, config), others)
    found = [reopen_run(teacher.folder)[1] for teacher in Stages(run, config).teachers]
    assert [one.training.dropout for one in found] == [0.1, 0.2, 0.1]
    assert [one.seed for one in found] == [5, 6, 7]
    assert {one.training.initialise_from for one in found} == {str(run.pretraining)}
    (Stages(run, config).teachers[1].folder / "config.yaml").unlink()
    with pytest.raises(RunError, match=r"teachers/2: its settings are missing"):
        train_models(Stages(run, config))


# ---------------------------------------------------------------- what cannot be

TSV = {"data.source": "tsv", "data.path": "pairs.tsv"}


def with_values(values: dict[str, Any]) -> Config:
    config = Config()
    for key, value in values.items():
        group, _, name = key.rpartition(".")
        setattr(getattr(config, group), name, value)
    return config


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"pretraining.epochs": 3}, r"pretraining\.epochs=3: has no effect without pretraining\.language"),
        ({"pretraining.language": "mar"}, "pretraining: its corpus is that of the run"),
        ({"pretraining.kind": "tsv"}, r"pretraining\.path: kind=tsv needs it; add pretraining\.path=FILE"),
        (
            {"pretraining.kind": "tsv", "pretraining.path": "a", "pretraining.language": "fra"},
            r"pretraining\.language=fra: has no effect with kind=tsv",
        ),
        (
            {"pretraining.language": "fra", "training.initialise_from": "runs/a"},
            r"training\.initialise_from=runs/a: the run starts from its pretraining",
        ),
        (
            TSV | {"data.languages": ["de", "it"], "pretraining.language": "fra"},
            "pretraining: translates from en to fr and the run from de to it, .* choose another corpus",
        ),
        (
            TSV | {"data.languages": ["fr", "it"], "pretraining.language": "fra"},
            r"pretraining: translates from en to fr .* add pretraining\.swap=true",
        ),
        (
            {
                "data.swap": True, "pretraining.language": "fra", "distillation.train_teachers": 1,
                "distillation.pretraining_sentences": True,
            },
            r"distillation\.pretraining_sentences=true: those of pretraining are in fr, .* from mr",
        ),
        (
            {"distillation.train_teachers": 1, "distillation.pretraining_sentences": True},
            r"distillation\.pretraining_sentences=true: there is no pretraining",
        ),
        ({"distillation.train_reverse": True}, r"train_reverse=true: has no effect without distillation\."),
        (
            {"distillation.train_teachers": 1, "distillation.candidates": 4},
            r"distillation\.candidates=4: has no effect without distillation\.reverse",
        ),
        (
            {"distillation.teachers": ["a"], "distillation.teacher_overrides": ["model=luong"]},
            r"distillation\.teacher_overrides: has no effect with distillation\.teachers",
        ),
        (
            {
                "distillation.train_teachers": 1, "distillation.reverse": "a",
                "distillation.train_reverse": True,
            },
            r"distillation\.train_reverse=true: has no effect with distillation\.reverse",
        ),
    ],
)  # fmt: skip
def test_settings_that_do_not_go_together(values, message):
    with pytest.raises(ConfigError, match=message):
        check(with_values(values), values.keys())


def test_what_does_go_together():
    check(with_values({"pretraining.language": "fra", "data.swap": True}))  # the target language in common
    check(with_values(TSV | {"pretraining.language": "fra"}))  # languages that nobody knows
    check(with_values({"pretraining.language": "fra", "pretraining.swap": True, "data.swap": False,
                       "data.source": "tsv", "data.path": "a", "data.languages": ["fr", "it"]}))  # fmt: skip


def test_a_corpus_that_is_not_there_is_named_before_any_work():
    with pytest.raises(DataError, match=r"^pretraining\.path=nothing\.tsv: no such file"):
        check_pretraining(with_values({"pretraining.kind": "tsv", "pretraining.path": "nothing.tsv"}))
    check_pretraining(Config())
    check_pretraining(with_values({"pretraining.language": "fra"}))  # which would be downloaded
