"""All random states of a process, as plain values that can be stored in a checkpoint."""

import random
from typing import Any

import numpy as np
import torch


def seed_everything(seed: int, rank: int = 0) -> None:
    """Seed all generators with `seed + rank`, so that each process has its own."""
    for start in (random.seed, np.random.seed, torch.manual_seed):
        start(seed + rank)


def random_state() -> dict[str, Any]:
    """The states of the Python, NumPy and torch generators, including those of GPUs (CUDA, MPS)."""
    version, numbers, gauss = random.getstate()
    state: Any = np.random.get_state()  # typed as tuple or dict; a tuple if called without arguments
    kind, keys, position, has_gauss, cached = state
    has_cuda = torch.cuda.is_initialized()  # type: ignore[no-untyped-call]
    return {
        "python": [version, list(numbers), gauss],
        "numpy": [kind, torch.from_numpy(keys.astype(np.int64)), position, has_gauss, cached],
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if has_cuda else [],
        "mps": torch.mps.get_rng_state() if torch.backends.mps.is_available() else None,
    }


def restore_random_state(state: dict[str, Any]) -> None:
    """Restore the states from `random_state`; CUDA's only if the number of GPUs is the same, MPS's only if
    MPS is available.
    """
    version, numbers, gauss = state["python"]
    random.setstate((version, tuple(numbers), gauss))
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))
    torch.set_rng_state(state["torch"])
    if state["cuda"] and len(state["cuda"]) == torch.cuda.device_count():
        torch.cuda.set_rng_state_all(state["cuda"])
    mps = state.get("mps")  # older checkpoints have none
    if mps is not None and torch.backends.mps.is_available():
        torch.mps.set_rng_state(mps)
