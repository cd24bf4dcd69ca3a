"""Random states: restored generators draw the same numbers again."""

import io
import random

import numpy as np
import pytest
import torch

from nmt.training.random_state import random_state, restore_random_state

needs_gpu = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")


def draws() -> list[float]:
    """From every generator. Normal numbers are generated in pairs, and the second is cached."""
    python = [random.random(), random.gauss(0, 1), random.random()]
    numpy = [np.random.rand(), np.random.randn(), float(np.random.randint(10**9))]
    return python + numpy + torch.rand(3).tolist() + torch.randn(1).tolist()


def seed(number: int) -> None:
    random.seed(number)
    np.random.seed(number)
    torch.manual_seed(number)


def through_a_file(state: dict) -> dict:
    """Saved and loaded as in a checkpoint, with `weights_only`."""
    file = io.BytesIO()
    torch.save(state, file)
    file.seek(0)
    return torch.load(file, weights_only=True)


@pytest.mark.parametrize("before", [0, 1, 2, 400])
def test_resuming_draws_the_same(before):
    """After an odd number of draws, each generator has one normal number cached."""
    seed(7)
    for _ in range(before):
        draws()
    state = through_a_file(random_state())
    expected = [draws() for _ in range(3)]
    seed(8)
    other = [draws() for _ in range(3)]
    restore_random_state(state)
    assert [draws() for _ in range(3)] == expected
    differ = [one != another for one, another in zip(expected[0], other[0], strict=True)]
    assert all(differ), "every generator has a part in it"


def test_taking_a_state_draws_nothing():
    seed(1)
    expected = draws()
    seed(1)
    random_state()
    assert draws() == expected


@pytest.mark.parametrize(("devices", "restored"), [(0, 0), (1, 0), (2, 1)])
def test_states_of_gpus_need_as_many_gpus(monkeypatch, devices, restored):
    """On another machine the other states are still restored."""
    calls = []
    monkeypatch.setattr(torch.cuda, "device_count", lambda: devices)
    monkeypatch.setattr(torch.cuda, "set_rng_state_all", calls.append)
    states = [torch.zeros(16, dtype=torch.uint8)] * 2
    seed(3)
    state = random_state() | {"cuda": states}
    expected = draws()
    restore_random_state(state)
    assert draws() == expected
    assert calls == [states] * restored


@pytest.mark.parametrize("there", [True, False])
def test_the_state_of_apples_gpu(monkeypatch, there):
    """It is saved, and restored if MPS is available; an older checkpoint without it still loads."""
    kept, restored = torch.arange(3, dtype=torch.uint8), []
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    monkeypatch.setattr(torch.mps, "get_rng_state", lambda: kept)
    monkeypatch.setattr(torch.mps, "set_rng_state", restored.append)
    state = through_a_file(random_state())
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: there)
    expected = draws()
    restore_random_state(state)
    assert draws() == expected
    assert [one.tolist() for one in restored] == [[0, 1, 2]] * there
    del state["mps"]
    restore_random_state(state)
    assert draws() == expected
    assert len(restored) == there


@needs_gpu
def test_on_a_gpu():
    torch.rand(1, device="cuda")
    state = through_a_file(random_state())
    expected = torch.rand(5, device="cuda").tolist()
    restore_random_state(state)
    assert torch.rand(5, device="cuda").tolist() == expected
