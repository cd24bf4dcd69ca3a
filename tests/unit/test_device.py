"""Device selection, and that devices always have an index. No GPU is needed."""

from types import SimpleNamespace

import pytest
import torch
from torch.cuda._utils import _get_device_index

from nmt.config.settings import Config
from nmt.device import choose_device
from nmt.errors import ConfigError
from nmt.runs import pipeline
from nmt.runs.setup import set_up_torch
from nmt.training.precision import choose_precision


def gpus(monkeypatch: pytest.MonkeyPatch, count: int, mps: bool = False) -> None:
    """Make torch see this many CUDA GPUs, and an Apple GPU or not."""
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)


def test_torch_itself_refuses_a_device_without_an_index():
    """An assumption of the tests below."""
    with pytest.raises(ValueError, match="index"):
        _get_device_index(torch.device("cuda"))


@pytest.mark.parametrize(
    ("name", "local_rank", "index"),
    [
        ("auto", None, 0),
        ("cuda", None, 0),
        ("cuda:1", None, 1),
        ("cuda:0", 1, 0),
        ("auto", 0, 0),
        ("auto", 1, 1),
        ("cuda", 1, 1),
    ],
)
def test_a_cuda_device_has_its_index(monkeypatch, name, local_rank, index):
    gpus(monkeypatch, 2)
    monkeypatch.setattr(torch.backends.cudnn, "allow_tf32", True)
    device = choose_device(name, local_rank)
    assert not torch.backends.cudnn.allow_tf32
    assert device == torch.device("cuda", index)
    assert _get_device_index(device) == index


@pytest.mark.parametrize(
    ("name", "local_rank"), [("auto", None), ("auto", 1), ("cuda", None), ("cuda:1", None)]
)
def test_training_makes_current_a_device_with_an_index(monkeypatch, name, local_rank):
    gpus(monkeypatch, 2)
    current = []
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: current.append(_get_device_index(device)))
    monkeypatch.setattr(torch, "set_flush_denormal", lambda on: True)
    set_up_torch(Config(), choose_device(name, local_rank))
    assert current == [1 if local_rank or name == "cuda:1" else 0]


def test_the_gpu_that_is_asked_for_bf16_is_the_one_trained_on(monkeypatch):
    """`is_bf16_supported` asks the current device: it must have been set before."""
    gpus(monkeypatch, 2)
    current = [0]
    monkeypatch.setattr(torch.cuda, "set_device", lambda device: current.append(_get_device_index(device)))
    monkeypatch.setattr(torch, "set_flush_denormal", lambda on: True)
    monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda including_emulation: current[-1] == 1)
    chosen = []

    def prepared(*arguments: object) -> None:
        raise InterruptedError

    def choose(name: str, device: torch.device, units: int) -> object:
        chosen.append(choose_precision(name, device, units).dtype)
        return None

    config = Config(device="cuda:1")
    monkeypatch.setattr(pipeline, "choose_settings", lambda request, processes: (config, None))
    monkeypatch.setattr(pipeline, "choose_precision", choose)
    monkeypatch.setattr(pipeline, "load_scored_corpus", prepared)
    with pytest.raises(InterruptedError):
        pipeline.train(SimpleNamespace())
    assert chosen == [torch.bfloat16]


def test_auto_without_cuda_is_the_cpu(monkeypatch):
    gpus(monkeypatch, 0, mps=True)  # mps only on request
    assert choose_device("auto") == choose_device("cpu") == torch.device("cpu")
    assert choose_device("auto", 1) == torch.device("cpu")


@pytest.mark.parametrize("name", ["mps", "mps:0"])
def test_mps_where_it_is(monkeypatch, name):
    gpus(monkeypatch, 0, mps=True)
    assert choose_device(name) == torch.device("mps", 0)
    gpus(monkeypatch, 0)
    with pytest.raises(ConfigError, match=rf"device={name}: no such GPU on this machine"):
        choose_device(name)


def test_mps_does_not_go_with_several_processes(monkeypatch):
    gpus(monkeypatch, 0, mps=True)
    with pytest.raises(ConfigError, match="device=mps: not supported with torchrun"):
        choose_device("mps", 0)


@pytest.mark.parametrize(
    "name", ["cuda:2", "cuda:256", "cuda:-1", "cuda:x", "mps:1", "", "gpu", "meta", "xpu"]
)
def test_what_is_no_device_here_is_refused_in_one_line(monkeypatch, name):
    """torch takes cuda:256 for cuda:0."""
    gpus(monkeypatch, 2, mps=True)
    with pytest.raises(ConfigError, match=f"^device={name}: .*choose .*cpu") as refused:
        choose_device(name)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("name", ["cuda", "cuda:0"])
def test_cuda_is_refused_where_there_is_none(monkeypatch, name):
    gpus(monkeypatch, 0)
    with pytest.raises(ConfigError, match=f"device={name}: no such GPU on this machine; choose cpu or auto"):
        choose_device(name)


@pytest.mark.parametrize("name", ["auto", "cuda"])
def test_more_processes_than_gpus(monkeypatch, name):
    gpus(monkeypatch, 2)
    with pytest.raises(ConfigError, match=rf"device={name}: only 2 GPUs for more than 2 processes"):
        choose_device(name, 2)
