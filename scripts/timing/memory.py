"""The peak memory of a training, in a process of its own.

python -m timing.memory MODEL BATCH_TOKENS PRECISION DEVICE SMALL

Prints the bytes: on CUDA those that PyTorch has allocated, else the resident memory of the process, PyTorch
itself included.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import torch

from nmt.data.batches import MicroBatches
from timing.workload import Updates, compose, training_batches

SCRIPTS = Path(__file__).resolve().parents[1]
MOST, LEAST = 8, 3  # updates
SMALL = 2


def updates(max_tokens: int, small: bool) -> list[MicroBatches]:
    """A few updates whose lengths are spread evenly over those of a training; always the same."""
    batches = [update for update, _ in training_batches(max_tokens).epoch(0)]
    batches.sort(key=lambda update: (update.batches[0].target.shape[1], update.tokens))
    count = SMALL if small else max(LEAST, min(MOST, 8192 // max_tokens))
    return [batches[(2 * number + 1) * len(batches) // (2 * count)] for number in range(count)]


def peak_memory(model: str, max_tokens: int, precision: str, device: torch.device, small: bool) -> int | None:
    """The peak memory in bytes; None where the system does not tell."""
    command = [sys.executable, "-m", "timing.memory", model, str(max_tokens), precision, str(device)]
    path = os.pathsep.join([str(SCRIPTS), str(SCRIPTS.parent)])
    done = subprocess.run(
        [*command, str(int(small))],
        stdout=subprocess.PIPE,
        check=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return None if found is None else int(found)


def main() -> None:
    """Train and print the peak."""
    model, max_tokens, precision, name, small = sys.argv[1:]
    device = torch.device(name)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    config = compose(model, small == "1", f"training.precision={precision}")
    update = Updates(config, device)
    for batches in updates(int(max_tokens), small == "1"):
        update(batches)
    print(json.dumps(_peak(device)))


def _peak(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    status = Path("/proc/self/status")
    if status.exists():  # unlike `resource`, without the peak of the process that started this one
        lines = status.read_text(encoding="utf-8").splitlines()
        return next((1024 * int(line.split()[1]) for line in lines if line.startswith("VmHWM:")), None)
    if sys.platform != "darwin":
        return None
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss


if __name__ == "__main__":
    main()
