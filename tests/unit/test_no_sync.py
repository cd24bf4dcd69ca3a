"""An update never makes the host wait for the device: no operation whose result the host must know."""

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from every_model import MODELS, VOCABULARY, small_batch, small_model
from tiny import micro_batches
from without_sync import WithoutSync

from nmt.config.training import TrainingConfig
from nmt.data.batches import SoftTargets
from nmt.data.padding import Shape, pad_batch
from nmt.model.translation import DropoutRates
from nmt.training.precision import Precision, choose_precision
from nmt.training.step import TrainStep

CPU = torch.device("cpu")


def one_hot(tensor: torch.Tensor, classes: int) -> torch.Tensor:
    """As `F.one_hot`, which checks its input on a CPU, but not on a GPU."""
    return (tensor.unsqueeze(-1) == torch.arange(classes)).long()


def check(model: str, precision: Precision, padded: bool, rdrop: float = 0.0) -> None:
    """Two updates of two batches, with dropout, guided alignment and soft labels."""
    batch = small_batch(links=model != "seq2seq")
    N = len(batch.positions[0])
    batch = replace(batch, soft=SoftTargets(torch.randint(3, VOCABULARY, (N, 3)), torch.rand(N, 3) / 4))
    if padded:
        batch = pad_batch(batch, Shape(6, 8, 8, 20))
    config = TrainingConfig(guided_alignment=0.1, rdrop=rdrop)
    train_step = TrainStep(small_model(model, DropoutRates(0.3, 0.2, 0.1)), config, precision)
    with WithoutSync(packs=not padded):
        for step in range(2):
            train_step.update(micro_batches(batch, batch), 1e-3, step, 10)
    assert train_step.totals.read().tokens == 64


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("model", MODELS)
def test_an_update_has_none(monkeypatch, model, padded):
    """Scheduled sampling is left out: its model has no other operations than search, which may wait."""
    monkeypatch.setattr("torch.nn.functional.one_hot", one_hot)
    check(model, choose_precision("fp32", CPU), padded)


@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("model", ["bahdanau", "luong", "transformer"])
def test_nor_has_rdrop(monkeypatch, model, padded):
    monkeypatch.setattr("torch.nn.functional.one_hot", one_hot)
    check(model, choose_precision("fp32", CPU), padded, rdrop=2.5)


@pytest.mark.parametrize("model", ["bahdanau", "transformer"])
def test_nor_in_bf16(model):
    check(model, choose_precision("bf16", CPU), padded=True)


def test_nor_has_loss_scaling():
    train_step = TrainStep(small_model("bahdanau"), TrainingConfig(), Precision(CPU, torch.float16))
    updates = micro_batches(small_batch())
    with WithoutSync(packs=True):
        train_step.update(updates, 1e-3, 0, 10)


@pytest.mark.parametrize(
    "sync",
    [
        lambda tensor: tensor.sum().item(),
        lambda tensor: bool(tensor.isfinite().all()),
        lambda tensor: tensor[tensor > 0],
        lambda tensor: tensor.nonzero(),
        lambda tensor: tensor.masked_select(tensor > 0),
    ],
)
def test_what_waits_is_noticed(sync: Callable[[torch.Tensor], object]):
    with pytest.raises(AssertionError, match="the host waits"), WithoutSync():
        sync(torch.ones(3))
