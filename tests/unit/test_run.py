"""Run folders: their names, the pointer to the newest, and error messages for those that cannot be used."""

import dataclasses
import os
import re
import shutil
from pathlib import Path

import pytest
from omegaconf import OmegaConf
from tiny import TINY, tiny_model

from nmt.config.decoding import DecodingConfig
from nmt.config.schema import from_dict
from nmt.config.settings import Config
from nmt.errors import ConfigError, RunError
from nmt.runs.checkpoint import Checkpoint, save_checkpoint
from nmt.runs.latest import finish_latest, point_latest
from nmt.runs.run import (
    Run,
    check_name,
    create_run,
    locked,
    open_run,
    reopen_run,
    write_config,
)


@pytest.fixture
def config(tmp_path) -> Config:
    return Config(runs=str(tmp_path / "runs"))


def finish(run: Run, tokenizers) -> None:
    source, target = tokenizers
    save_checkpoint(run.best, Checkpoint(tiny_model(len(source), len(target)), TINY, source, target, {}))
    point_latest(run.folder)


def test_default_names_have_the_time_and_never_meet(config, monkeypatch):
    monkeypatch.setattr("time.strftime", lambda _: "20260102-030405")
    names = [create_run(config, "sample-luong").folder.name for _ in range(3)]
    expected = "sample-luong-20260102-030405"
    assert names == [expected, f"{expected}-2", f"{expected}-3"]


def test_a_name_of_ones_own(config, tmp_path):
    config.name = "mine"
    run = create_run(config, "sample-luong")
    assert run.folder == tmp_path / "runs" / "mine"
    with pytest.raises(ConfigError, match=r"name=mine: .*mine exists; choose another name"):
        create_run(config, "sample-luong")


@pytest.mark.parametrize("name", ["a/b", "/tmp/x", "../x", "..", ".", "x/", "latest", ""])
def test_names_that_are_none(config, name, tmp_path):
    config.name = name
    with pytest.raises(ConfigError, match=f"name={re.escape(name)}: "):
        create_run(config, "sample-luong")
    assert not (tmp_path / "runs").exists() or not list((tmp_path / "runs").iterdir())


def test_a_folder_that_cannot_be_made(config, tmp_path):
    (tmp_path / "runs").write_text("a file")
    with pytest.raises(
        RunError,
        match=r"/sample-luong-.*: Not a directory; a file is in the way of a folder: move it or choose",
    ):
        create_run(config, "sample-luong")


def test_settings_come_back(config):
    config.seed = 77
    config.data.archive = "मराठी: yes # no.zip"
    config.training.learning_rate = 3e-4
    config.decoding = DecodingConfig(beam_size=3, length_penalty=0.6)
    run = create_run(config, "x")
    config.name = run.folder.name
    assert run.decoding() == config.decoding
    assert from_dict(Config, OmegaConf.to_container(OmegaConf.load(run.folder / "config.yaml")), "") == config


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"seed: [", "config.yaml"),
        (b"decoding: {beam_size: many}", "decoding.beam_size='many': wrong type str"),
        (b"decoding: {bean_size: 1}", "decoding.bean_size: no such setting"),
        (b"", "decoding: expected a mapping"),
        (b"\xff\xfe\x00", "config.yaml"),
        (b"decoding: 3", "decoding: expected a mapping"),
        (b"!!python/object/apply:os.system ['true']", "config.yaml"),
    ],
)
def test_corrupt_settings(tmp_path, content, message):
    if content is not None:
        (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(RunError, match=r"config\.yaml: missing or corrupt") as caught:
        Run(tmp_path).decoding()
    assert message in str(caught.value)
    assert "\n" not in str(caught.value)


def test_latest_is_a_folder_of_relative_links(config, tokenizers, tmp_path):
    runs = tmp_path / "runs"
    for name in ("one", "two"):
        config.name = name
        run = create_run(config, "x")
        finish(run, tokenizers)
        run.tensorboard.mkdir()
        assert not (runs / "latest" / "train.log").is_symlink()  # it is not there yet
        run.log.touch()
        finish_latest(run.folder)
        assert (runs / "latest" / "train.log").readlink() == Path("..", name, "train.log")
        assert (runs / "latest" / "checkpoints" / "best" / "model.json").is_file()
        assert open_run(runs / "latest").folder == run.folder
        assert reopen_run(runs / "latest")[0].folder == run.folder
    finish_latest(runs / "one")  # which is not the newest
    assert open_run(runs / "latest").folder == runs / "two"
    assert sorted(path.name for path in runs.iterdir()) == ["latest", "one", "two"]
    runs.rename(tmp_path / "elsewhere")  # together with `latest`
    assert open_run(tmp_path / "elsewhere" / "latest").folder == tmp_path / "elsewhere" / "two"


def test_tensorboard_finds_each_run_once(config, tokenizers, tmp_path):
    """It walks folders and follows links."""
    for name in ("one", "two"):
        config.name = name
        run = create_run(config, "x")
        finish(run, tokenizers)
        run.tensorboard.mkdir()
        (run.tensorboard / "events.out.tfevents.1").touch()
    walk = os.walk(tmp_path / "runs", followlinks=True)
    found = [Path(folder).parent.name for folder, _, files in walk if "events.out.tfevents.1" in files]
    assert sorted(found) == ["one", "two"]


def test_a_link_of_an_older_version_is_understood_and_replaced(config, tokenizers, tmp_path):
    config.name = "one"
    run = create_run(config, "x")
    finish(run, tokenizers)
    latest = tmp_path / "runs" / "latest"
    shutil.rmtree(latest)
    latest.symlink_to("one")
    assert open_run(latest).folder == run.folder
    check_name(dataclasses.replace(config, name=None))
    point_latest(run.folder)
    assert not latest.is_symlink()
    assert open_run(latest).folder == run.folder


def test_without_a_link_the_newest_run_is_found(config, tokenizers, tmp_path):
    """To translate and to resume; a run without a checkpoint does not count."""
    runs, made = tmp_path / "runs", {}
    for age, name in enumerate(("new", "old", "older")):
        config.name = name
        made[name] = create_run(config, "x")
        finish(made[name], tokenizers)
        os.utime(made[name].best, (1e9 - age, 1e9 - age))
    config.name = "begun"
    create_run(config, "x")
    assert open_run(runs / "latest").folder == made["older"].folder  # the link
    shutil.rmtree(runs / "latest")
    assert open_run(runs / "latest").folder == made["new"].folder
    assert reopen_run(runs / "latest")[0].folder == made["new"].folder
    made["new"].best.rename(made["new"].best.with_name("best.1"))  # a crash between two renames
    assert open_run(runs / "latest").folder == made["new"].folder
    with pytest.raises(RunError, match="other: no such run"):
        open_run(runs / "other")
    (runs / "latest").symlink_to("gone")
    with pytest.raises(RunError, match="points to a run that no longer exists"):
        open_run(runs / "latest")


def test_runs_that_cannot_be_opened(config, tokenizers, tmp_path):
    with pytest.raises(RunError, match=r"latest: no such run; train .*python -m nmt\.train.*--run"):
        open_run(tmp_path / "runs" / "latest")
    config.name = "begun"
    run = create_run(config, "x")
    with pytest.raises(RunError, match="begun: contains no complete checkpoint"):
        open_run(run.folder)
    finish(run, tokenizers)
    assert open_run(run.folder).best.is_dir()
    run.folder.rename(tmp_path / "moved")
    with pytest.raises(RunError, match=r"latest: points to a run that no longer exists; .*--run"):
        open_run(tmp_path / "runs" / "latest")
    assert open_run(tmp_path / "moved").folder == tmp_path / "moved"
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match="file: "):
        open_run(tmp_path / "file")


def test_a_name_is_refused_before_anything_is_made(config, tmp_path):
    """By the same rules as when the folder is created."""
    check_name(config)
    config.name = "mine"
    check_name(config)
    assert not (tmp_path / "runs").exists()
    create_run(config, "x")
    with pytest.raises(ConfigError, match=r"name=mine: .*mine exists; choose another name"):
        check_name(config)
    config.name = "a/b"
    with pytest.raises(ConfigError, match="name=a/b: must be a plain folder name"):
        check_name(config)
    config.name = None
    (tmp_path / "runs" / "latest").mkdir()
    with pytest.raises(
        RunError, match="latest: reserved for the pointer to the newest run; move what is there"
    ):
        check_name(config)


# ---------------------------------------------------------------- resuming


def test_a_run_comes_back_with_all_its_settings(config, tmp_path):
    config.training.learning_rate, config.data.archive, config.name = 3e-4, "मराठी: yes.zip", "one"
    run = create_run(config, "x")
    point_latest(run.folder)
    for path in (run.folder, tmp_path / "runs" / "latest"):
        again, settings = reopen_run(path)
        assert again.folder == run.folder.resolve()
        assert settings == config
    config.training.learning_rate = 2e-4
    write_config(run, config)
    assert reopen_run(run.folder)[1] == config
    assert sorted(path.name for path in run.folder.iterdir()) == ["config.yaml"]


@pytest.mark.parametrize("kind", ["missing", "a file", "a link to nothing"])
def test_no_run_to_resume(tmp_path, kind):
    path = tmp_path / "run"
    if kind == "a file":
        path.touch()
    if kind == "a link to nothing":
        path.symlink_to("gone")
    with pytest.raises(RunError, match=f"^resume={re.escape(str(path))}: no such run$"):
        reopen_run(path)


@pytest.mark.parametrize(
    "content", [None, b"seed: [", b"seed: many", b"sead: 1", b"\xff\xfe\x00", b"", b"3", b"data: {path: [}"]
)
def test_settings_that_cannot_be_read_again(tmp_path, content):
    if content is not None:
        (tmp_path / "config.yaml").write_bytes(content)
    with pytest.raises(RunError, match=r"config\.yaml: missing or corrupt: ") as caught:
        reopen_run(tmp_path)
    assert "\n" not in str(caught.value)


def test_a_run_is_for_one_process_at_a_time(config):
    run = create_run(config, "x")

    def use(fails: bool = False) -> None:
        with locked(run):
            if fails:
                raise KeyError

    with locked(run):
        for _ in range(2):
            with pytest.raises(RunError, match=f"^{re.escape(str(run.folder))}: another process is training"):
                use()
    use()
    with pytest.raises(KeyError):
        use(fails=True)
    use()
