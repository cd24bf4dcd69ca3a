"""Starting from the weights of another run: what is carried over, by name, shape and piece."""

import logging
from pathlib import Path

import pytest
import torch
from tiny import ENGLISH, MARATHI, TINY, tiny_config, tiny_model, with_decoder

from nmt.config.data import TokenizerConfig
from nmt.config.model import ModelConfig
from nmt.config.settings import Config
from nmt.data.tokenizer import PAD, Tokenizer, train_tokenizer
from nmt.errors import RunError
from nmt.runs.checkpoint import Checkpoint, save_checkpoint
from nmt.runs.run import Run
from nmt.runs.transfer import found_initial, initialise_from

FRENCH = ["Le chien voit le chat.", "Où est ma maison?", "N'allez pas à la maison!"]


def tokenizer(text: list[str]) -> Tokenizer:
    return Tokenizer(train_tokenizer(text, TokenizerConfig(vocab_size=310), "data.tokenizer"))


SIDES = {name: tokenizer(text) for name, text in (("en", ENGLISH), ("mr", MARATHI), ("fr", FRENCH))}


def checkpoint(pair: str, config: ModelConfig = TINY, seed: int = 1) -> Checkpoint:
    """An untrained model of a language pair, "en-mr"."""
    source, target = (SIDES[name] for name in pair.split("-"))
    return Checkpoint(tiny_model(len(source), len(target), config, seed), config, source, target, {})


def saved(folder: Path, old: Checkpoint) -> str:
    save_checkpoint(Run(folder / "old").best, old)
    return str(folder / "old")


@pytest.fixture
def logged(caplog, monkeypatch) -> pytest.LogCaptureFixture:
    monkeypatch.setattr(logging.getLogger("nmt"), "propagate", True)
    caplog.set_level("INFO", logger="nmt")
    return caplog


def weights(one: Checkpoint) -> dict[str, torch.Tensor]:
    return {name: value.detach().clone() for name, value in one.model.named_parameters()}


ROWS = {  # of source pieces (0) and target pieces (1)
    "source.table.weight": 0,
    "target.table.weight": 1,
    "vocabulary.weight": 1,
    "vocabulary.bias": 1,
    "tied.bias": 1,
    "lexical.output.weight": 1,
}


@pytest.mark.parametrize(
    "overrides",
    [
        "",
        "decoder.tie_embeddings=true decoder.lexical=true",
        "decoder.style=luong decoder.lexical=true",
        "decoder.style=transformer encoder.type=self_attention",
    ],
)
def test_rows_go_by_piece_and_the_rest_by_name(tmp_path, logged, overrides):
    config = tiny_config(overrides)
    old, new = checkpoint("en-mr", config), checkpoint("fr-mr", config, seed=2)
    old_weights, before = weights(old), weights(new)
    initialise_from(saved(tmp_path, old), new)
    rows = {"source": 0, "target": 0}
    for name, value in weights(new).items():
        if name not in ROWS:
            assert torch.equal(value, old_weights[name]), name
            continue
        side = ("source", "target")[ROWS[name]]
        known = getattr(old, side).pieces()
        for number, piece in enumerate(getattr(new, side).pieces()):
            source = old_weights[name][known.index(piece)] if piece in known else before[name][number]
            assert torch.equal(value[number], source), (name, piece)
        rows[side] = len(set(known) & set(getattr(new, side).pieces()))
    assert 260 < rows["source"] < len(SIDES["fr"])  # bytes, special tokens, and some letters
    assert rows["target"] == len(SIDES["mr"])
    assert not new.model.source.table.weight[PAD].any()
    (message,) = {record.getMessage() for record in logged.records}
    count = len(before)
    assert message == (
        f"initialised from {tmp_path / 'old'}: {count} of {count} parameters, with {rows['source']} of "
        f"{len(SIDES['fr'])} source pieces, {rows['target']} of {rows['target']} target pieces; "
        "not carried over: none"
    )


def test_the_same_pair_translates_as_before(tmp_path):
    old, new = checkpoint("en-mr"), checkpoint("en-mr", seed=2)
    initialise_from(saved(tmp_path, old), new)
    for name, value in weights(old).items():
        assert torch.equal(weights(new)[name], value), name


def test_what_does_not_fit_keeps_its_initial_value_and_is_named(tmp_path, logged):
    old = checkpoint("en-mr", with_decoder(TINY, size=14))
    new = checkpoint("en-mr", seed=2)
    before = weights(new)
    initialise_from(saved(tmp_path, old), new)
    message = logged.records[-1].getMessage()
    left = message.partition("not carried over: ")[2].split(", ")
    assert "encoder.rnn.weight_ih_l0" not in left
    assert "target.table.weight" not in left
    for name in left:
        assert torch.equal(weights(new)[name], before[name])
        assert old.model.get_parameter(name).shape != before[name].shape
    assert f" {len(before) - len(left)} of {len(before)} parameters" in message


def test_another_kind_of_decoder_takes_the_encoder(tmp_path):
    old = checkpoint("en-mr", tiny_config("decoder.style=luong"))
    new = checkpoint("en-mr", seed=2)
    initialise_from(saved(tmp_path, old), new)
    for name, value in old.model.encoder.named_parameters():
        assert torch.equal(new.model.encoder.get_parameter(name), value)


def test_a_model_that_nothing_fits_is_refused(tmp_path):
    small = checkpoint("fr-mr", tiny_config("encoder.embedding=5 decoder.embedding=4"))
    model = checkpoint(
        "en-mr",
        tiny_config("decoder.style=transformer encoder.type=self_attention decoder.tie_embeddings=true"),
    )
    with pytest.raises(RunError, match="nothing fits this model") as caught:
        initialise_from(saved(tmp_path, small), model)
    assert "\n" not in str(caught.value)


# ---------------------------------------------------------------- which run


def test_the_path_is_kept_absolute(tmp_path, monkeypatch):
    """`runs/latest` may mean another run later."""
    monkeypatch.chdir(tmp_path)
    saved(tmp_path, checkpoint("en-mr"))
    config = Config()
    assert found_initial(config) is config
    config.training.initialise_from = "old"
    assert found_initial(config).training.initialise_from == str(tmp_path / "old")
    assert config.training.initialise_from == "old"


@pytest.mark.parametrize("damage", ["nothing", "empty", "corrupt"])
def test_a_run_that_cannot_be_read(tmp_path, damage):
    config = Config()
    config.training.initialise_from = str(tmp_path / "old")
    if damage == "empty":
        (tmp_path / "old").mkdir()
    if damage == "corrupt":
        saved(tmp_path, checkpoint("en-mr"))
        (Run(tmp_path / "old").best / "model.safetensors").write_bytes(b"x")
    with pytest.raises(RunError) as caught:
        found_initial(config)
    assert str(tmp_path / "old") in str(caught.value)
    assert "\n" not in str(caught.value)
