"""A single process started by `torchrun`: it uses torch.distributed as several do."""

import socket

import pytest
import torch
import torch.distributed as dist
from tiny import tiny_model
from torch.nn.parallel import DistributedDataParallel

from nmt.training.distributed import DelayedMaximum, join_processes


@pytest.fixture
def environment(monkeypatch):
    """The environment that every launcher sets for a single process."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    values = {"RANK": 0, "WORLD_SIZE": 1, "LOCAL_RANK": 0, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.delenv("TORCHELASTIC_RUN_ID", raising=False)
    return monkeypatch


def test_torchrun_with_one_process_uses_torch_distributed(environment):
    environment.setenv("TORCHELASTIC_RUN_ID", "one")
    with join_processes() as processes:
        assert processes.joined
        assert dist.is_initialized()
        assert processes.broadcast(lambda: {"settings": 1}) == {"settings": 1}
        assert processes.all_gather([1, "two"]) == [[1, "two"]]
        latest = DelayedMaximum(processes)
        assert [latest(value) for value in (15, 2, 0)] == [0, 15, 2]
        assert (latest.finish(), latest.finish()) == (0, 0)
        assert float(processes.all_reduce_sum(torch.tensor(2.5))) == 2.5
        model = tiny_model(10, 10)
        together = processes.wrap(model)
        assert isinstance(together, DistributedDataParallel)
        assert together.module is model
    assert not dist.is_initialized()


def test_another_launcher_with_one_process_needs_no_torch_distributed(environment):
    """It may have published an address that nobody answers."""
    environment.setenv("MASTER_ADDR", "nobody.invalid")
    with join_processes() as processes:
        assert (processes.size, processes.joined) == (1, False)
        assert not dist.is_initialized()
        assert processes.all_gather(1) == [1]
        assert [DelayedMaximum(processes)(value) for value in (15, 2)] == [15, 2]
