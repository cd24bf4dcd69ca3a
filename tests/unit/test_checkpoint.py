"""Checkpoints: they round-trip, or the corrupt file is named; nothing in them is executed."""

import copy
import json
import logging
import pickle
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file
from tiny import TINY, copy_batches, epoch_of, micro_batches, tiny_model

from nmt.config.training import TrainingConfig
from nmt.data.batches import collate
from nmt.errors import RunError
from nmt.files import sha256
from nmt.model.translation import NO_DROPOUT
from nmt.runs.checkpoint import (
    Checkpoint,
    find_checkpoint,
    load_checkpoint,
    load_for_resuming,
    save_checkpoint,
)
from nmt.training.precision import choose_precision
from nmt.training.trainer import Trainer

CPU = torch.device("cpu")
FILES = ("manifest.json", "model.json", "model.safetensors", "source.model", "target.model", "training.pt")


@pytest.fixture
def checkpoint(tokenizers) -> Checkpoint:
    source, target = tokenizers
    return Checkpoint(tiny_model(len(source), len(target)), TINY, source, target, {"step": 7, "epoch": 1})


@pytest.fixture
def folder(tmp_path, checkpoint) -> Path:
    path = tmp_path / "checkpoints" / "last"
    save_checkpoint(path, checkpoint, {"step": 7, "moments": torch.arange(3.0)})
    return path


def logits(checkpoint: Checkpoint) -> torch.Tensor:
    batch = collate([[4, 5, 6], [7]], [[8, 9], [10, 11, 12]])
    with torch.inference_mode():
        return checkpoint.model(batch.source, batch.source_mask, batch.previous, batch.target_mask)[0]


def training_state(folder: Path) -> dict[str, Any]:
    return load_for_resuming(folder, CPU, NO_DROPOUT)[1]


def forge(folder: Path, name: str, content: bytes) -> None:
    """Another file, with a matching manifest."""
    (folder / name).write_bytes(content)
    manifest = {file.name: sha256(file) for file in folder.iterdir() if file.name != "manifest.json"}
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")


def test_round_trip(folder, checkpoint):
    assert sorted(file.name for file in folder.iterdir()) == sorted(FILES)
    loaded = load_checkpoint(folder, CPU)
    assert torch.equal(logits(loaded), logits(checkpoint))
    found, expected = loaded.model.state_dict(), checkpoint.model.state_dict()
    assert list(found) == list(expected)
    assert all(torch.equal(found[name], expected[name]) for name in expected)
    assert not loaded.model.training
    assert all(parameter.requires_grad for parameter in loaded.model.parameters())
    assert (loaded.config, loaded.progress) == (TINY, {"step": 7, "epoch": 1})
    assert (loaded.source.model, loaded.target.model) == (checkpoint.source.model, checkpoint.target.model)


def test_onto_any_device(folder):
    """Also to devices that safetensors does not know, such as mps:0 (up to 0.6); here meta."""
    parameters = load_checkpoint(folder, torch.device("meta")).model.parameters()
    assert all(parameter.device.type == "meta" for parameter in parameters)


def test_manifest_has_the_digest_of_every_other_file(folder):
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    assert manifest == {name: sha256(folder / name) for name in FILES[1:]}


def test_training_state_comes_back(folder, tmp_path, checkpoint):
    state = training_state(folder)
    assert state["step"] == 7
    assert torch.equal(state["moments"], torch.arange(3.0))
    save_checkpoint(tmp_path / "best", checkpoint)
    assert load_checkpoint(tmp_path / "best", CPU).progress == {"step": 7, "epoch": 1}
    with pytest.raises(RunError, match=r"training\.pt: missing"):
        training_state(tmp_path / "best")


@pytest.fixture
def trainer(checkpoint) -> Trainer:
    """After two updates."""
    batches, precision = copy_batches(pairs=10, max_tokens=64), choose_precision("fp32", CPU)
    trainer = Trainer(checkpoint.model, batches, TrainingConfig(), precision, callbacks=None)
    for step in range(2):
        trainer.train_step.update(micro_batches(epoch_of(batches, step)[0]), 1e-3, step, trainer.total)
    trainer._read()  # as before a checkpoint
    return trainer


def test_a_trainers_state_is_plain_data(tmp_path, checkpoint, trainer):
    with trainer.average.applied():
        save_checkpoint(tmp_path / "last", checkpoint, trainer.state_dict())
        expected = copy.deepcopy(trainer.state_dict())
    state = training_state(tmp_path / "last")
    assert state["train_state"] == expected["train_state"]
    other = Trainer(
        checkpoint.model, trainer.batches, trainer.config, choose_precision("fp32", CPU), callbacks=None
    )
    other.load_state_dict(state)
    found, before = (one["optimizer"]["state"] for one in (other.train_step.state_dict(), expected))
    torch.testing.assert_close(found, before, rtol=0, atol=0)
    assert other.metrics.loss == trainer.metrics.loss > 0


def tensors(values: Any) -> list[torch.Tensor]:
    if isinstance(values, torch.Tensor):
        return [values]
    inner = (
        values.values() if isinstance(values, dict) else values if isinstance(values, list | tuple) else []
    )
    return [tensor for value in inner for tensor in tensors(value)]


def test_the_training_state_repeats_no_weights(tmp_path, checkpoint, trainer):
    with trainer.average.applied():
        save_checkpoint(tmp_path / "last", checkpoint, trainer.state_dict())
    weights = [
        value for value in load_file(tmp_path / "last" / "model.safetensors").values() if value.std() > 0
    ]
    state = tensors(training_state(tmp_path / "last"))
    assert len(weights) > 10
    assert len(state) > 3 * len(weights)  # two moments each, and the non-EMA weights
    assert not any(torch.equal(one, other) for one in weights for other in state if one.shape == other.shape)


def test_resuming_hashes_every_file_once(folder, monkeypatch):
    hashed = []
    monkeypatch.setattr("nmt.runs.checkpoint.sha256", lambda path: hashed.append(path.name) or sha256(path))
    load_for_resuming(folder, CPU, NO_DROPOUT)
    assert sorted(hashed) == sorted(FILES[1:])


# ---------------------------------------------------------------- corruption


def corrupt(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    path.unlink()
    if how == "truncated":
        path.write_bytes(content[: len(content) // 2])
    elif how == "one bit":
        content[len(content) // 2] ^= 1
        path.write_bytes(content)
    elif how == "emptied":
        path.touch()
    elif how == "a folder":
        path.mkdir()
    else:
        assert how == "deleted"


def blamed(name: str, how: str) -> str:
    """The file named in the error. A flipped bit of the manifest changes the digest or name of another file;
    then that file is reported.
    """
    return "/last/" if name == "manifest.json" and how == "one bit" else f"/last/{name}: missing or corrupt"


CORRUPTIONS = ("truncated", "one bit", "emptied", "deleted", "a folder")


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", CORRUPTIONS)
def test_corruption_is_found_and_named(folder, name, how):
    corrupt(folder / name, how)
    for load in (lambda: load_checkpoint(folder, CPU), lambda: training_state(folder)):
        with pytest.raises(RunError, match=blamed(name, how)):
            load()


@pytest.fixture
def warnings(caplog, monkeypatch) -> pytest.LogCaptureFixture:
    """What is logged under "nmt", also if training in this process has reconfigured the logger."""
    monkeypatch.setattr(logging.getLogger("nmt"), "propagate", True)
    caplog.set_level(logging.WARNING, "nmt")
    return caplog


@pytest.fixture
def two(folder, checkpoint) -> Path:
    """Step 8 as `last`, step 7 as `last.1`."""
    checkpoint.progress = {"step": 8, "epoch": 1}
    save_checkpoint(folder, checkpoint, {"step": 8}, keep=2)
    return folder


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("how", CORRUPTIONS)
def test_the_one_before_is_used_when_the_newest_is_corrupt(two, warnings, name, how):
    assert (load_checkpoint(two, CPU).progress["step"], training_state(two)["step"]) == (8, 8)
    assert warnings.messages == []
    corrupt(two / name, how)
    assert load_checkpoint(two, CPU).progress["step"] == 7
    (message,) = warnings.messages
    assert blamed(name, how) in message
    assert message.endswith(f"using an older checkpoint: {two.parent / 'last.1'}")
    assert training_state(two)["step"] == 7


@pytest.mark.parametrize("name", FILES)
def test_corruption_of_all_is_an_error_that_names_the_newest(two, warnings, name):
    for path in (two, two.with_name("last.1")):
        corrupt(path / name, "truncated")
    for load in (find_checkpoint, training_state, lambda path: load_checkpoint(path, CPU)):
        with pytest.raises(RunError, match=blamed(name, "truncated")):
            load(two)
    assert warnings.messages == []


def test_every_corrupt_checkpoint_is_logged(two, checkpoint, warnings):
    checkpoint.progress = {"step": 9}
    save_checkpoint(two, checkpoint, keep=3)
    corrupt(two / "model.json", "deleted")
    corrupt(two.with_name("last.1") / "target.model", "one bit")
    assert load_checkpoint(two, CPU).progress["step"] == 7
    newest, middle = warnings.messages
    assert "/last/model.json: missing" in newest
    assert "/last.1/target.model: missing" in middle
    assert all(message.endswith("/last.2") for message in warnings.messages)


def test_the_newest_is_used_though_older_ones_are_corrupt(two, warnings):
    corrupt(two.with_name("last.1") / "model.safetensors", "emptied")
    assert load_checkpoint(two, CPU).progress["step"] == 8
    assert warnings.messages == []


def test_a_checkpoint_that_is_a_file(folder):
    shutil.rmtree(folder)
    folder.write_text("no folder")
    with pytest.raises(RunError, match=r"last/manifest\.json: missing or corrupt"):
        load_checkpoint(folder, CPU)


class Bomb:
    def __init__(self, mark: Path) -> None:
        self.mark = mark

    def __reduce__(self):
        return Path.touch, (self.mark,)


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("zipped", [False, True])
def test_a_pickle_is_never_run(folder, tmp_path, name, zipped):
    """Not even when the manifest matches."""
    mark, bomb = tmp_path / "exploded", tmp_path / "bomb"
    if zipped:
        torch.save(Bomb(mark), bomb)
    else:
        bomb.write_bytes(pickle.dumps(Bomb(mark), protocol=2))  # as torch expects
    if name == "manifest.json":
        (folder / name).write_bytes(bomb.read_bytes())
    else:
        forge(folder, name, bomb.read_bytes())
    load = training_state if name == "training.pt" else lambda folder: load_checkpoint(folder, CPU)
    with pytest.raises(RunError):
        load(folder)
    assert not mark.exists()
    pickle.loads(pickle.dumps(Bomb(mark)))
    assert mark.exists()  # the bomb works


@pytest.mark.parametrize("name", ["../last/model.json", "sub/model.json", "extra"])
def test_a_manifest_names_the_files_of_its_folder_only(folder, name):
    manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    manifest[name] = manifest["model.json"]
    (folder / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    with pytest.raises(RunError, match="missing or corrupt"):
        load_checkpoint(folder, CPU)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"format": 3}, "format 3; this version reads formats 1 and 2"),
        ({"format": None}, "format None"),
        ({"model": {"bridge": "last", "colour": "red"}}, r"model\.colour: no such setting"),
        ({"model": {"initial_range": "much"}}, r"model\.initial_range='much': wrong type"),
        ({"model": {}}, "do not match"),  # the sizes differ
    ],
)
def test_a_description_that_does_not_fit(folder, changes, message):
    description = json.loads((folder / "model.json").read_text(encoding="utf-8"))
    forge(folder, "model.json", json.dumps(description | changes).encode())
    with pytest.raises(RunError, match=message):
        load_checkpoint(folder, CPU)


@pytest.mark.parametrize("content", [b"[]", b"3", b'{"format": 1}', b"\xff", b"{"])
def test_a_description_that_is_none(folder, content):
    forge(folder, "model.json", content)
    with pytest.raises(RunError, match="last"):
        load_checkpoint(folder, CPU)


def test_no_checkpoint(tmp_path):
    for function in (find_checkpoint, training_state, lambda path: load_checkpoint(path, CPU)):
        with pytest.raises(RunError, match="nothing: no checkpoint"):
            function(tmp_path / "nothing")


def test_recurrent_weights_are_laid_out_for_the_device_once_they_are_there(folder, monkeypatch):
    """On a GPU they are contiguous, otherwise cuDNN would copy them at every call."""
    laid_out = []

    def flatten(module: torch.nn.RNNBase) -> None:
        laid_out.append((id(module), any(weight.is_meta for weight in module.parameters())))

    monkeypatch.setattr(torch.nn.RNNBase, "flatten_parameters", flatten)
    model = load_checkpoint(folder, CPU).model
    recurrent = [id(module) for module in model.modules() if isinstance(module, torch.nn.RNNBase)]
    assert len(recurrent) == 2
    assert {name for name, empty in laid_out if not empty} == set(recurrent)
    laid_out.clear()
    for module in model.modules():
        if isinstance(module, torch.nn.RNNBase):
            module(torch.zeros(1, 2, module.input_size))
    assert not laid_out  # on a GPU it moves the weights, which CUDA graphs and the weight average refer to
