"""Distributed data-parallel training: rank, world size and collectives.

`torchrun` starts the processes and sets their ranks in the environment; they communicate by
torch.distributed (gloo between CPUs, NCCL between GPUs). Only the main process (rank 0) prepares data,
reports, validates and saves. A process started without `torchrun` does not use torch.distributed; with
`torchrun --nproc-per-node=1` it does, so that a single GPU can test the distributed code path.
"""

import os
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from nmt.errors import NmtError

T = TypeVar("T")
_RENDEZVOUS_TIMEOUT = 300.0  # seconds for all processes to start
_TIMEOUT = timedelta(hours=2)  # ranks wait while rank 0 validates; a dead process is noticed at once


@dataclass(frozen=True)
class Processes:
    """The process group of a training run, as seen from one process.

    Attributes:
        rank: the rank of this process, from 0.
        size: the world size.
        local_rank: the rank on this machine, or None without `torchrun`.
        launch: identifies this launch of `torchrun` on this machine; the same after it restarts the
            processes; None without `torchrun`.
        joined: whether torch.distributed is in use.
    """

    rank: int = 0
    size: int = 1
    local_rank: int | None = None
    launch: str | None = None
    joined: bool = False

    @property
    def name(self) -> str:
        """The name of this process in messages; empty for a single process."""
        return f"process {self.rank} of {self.size}" if self.size > 1 else ""

    @property
    def is_main(self) -> bool:
        """Whether this is the main process (rank 0), which reports and saves."""
        return self.rank == 0

    def broadcast(self, work: Callable[[], T]) -> T:
        """Run `work` in the main process and broadcast its result to all."""
        if not self.joined:
            return work()
        objects: list[Any] = [work() if self.is_main else None]
        dist.broadcast_object_list(objects, src=0)
        result: T = objects[0]
        return result

    def all_gather(self, value: T) -> list[T]:
        """All-gather: the values of all processes, ordered by rank."""
        if not self.joined:
            return [value]
        values: list[Any] = [None] * self.size
        dist.all_gather_object(values, value)
        return values

    def all_reduce_sum(self, value: Tensor) -> Tensor:
        """All-reduce: the sum over all processes."""
        if self.joined:
            value = value.clone()
            dist.all_reduce(value)
        return value

    def wrap(self, module: nn.Module) -> nn.Module:
        """The module in DistributedDataParallel, which averages gradients and broadcasts rank 0's weights."""
        if not self.joined:
            return module
        return DistributedDataParallel(module)

    def no_sync(self, module: nn.Module) -> AbstractContextManager[Any]:
        """Accumulate gradients locally, without averaging; `module` as returned by `wrap`."""
        return module.no_sync() if isinstance(module, DistributedDataParallel) else nullcontext()


class DelayedMaximum:
    """The maximum of a number over all processes, known one call later, so that no process waits for the
    slowest: every process gets the same result at the same call.

    Args:
        processes: the processes, each of which makes the same calls. A single one has its own number at once.
    """

    def __init__(self, processes: Processes) -> None:
        self._joined = processes.joined
        self._pending: tuple[dist.Work, Tensor] | None = None

    def __call__(self, value: int) -> int:
        """Start the all-reduce of `value`; returns the maximum of the previous call's values, at first 0."""
        if not self._joined:
            return value
        before, number = self.finish(), torch.tensor(value)
        work = dist.all_reduce(number, dist.ReduceOp.MAX, async_op=True)
        assert work is not None
        self._pending = work, number
        return before

    def finish(self) -> int:
        """Wait for the latest all-reduce; returns its maximum, or 0 if there is none."""
        if self._pending is None:
            return 0
        work, number = self._pending
        self._pending = None
        work.wait()
        return int(number)


@contextmanager
def explain_lost_process(processes: Processes) -> Iterator[None]:
    """Report in one line that another process has ended.

    Raises:
        NmtError: in place of the error that torch.distributed raises.
    """
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, dist.DistError) and "gloo" not in str(error):
            raise
        raise NmtError(
            f"{processes.name}: another process has ended or cannot be reached; see its own error message. "
            "Everything up to the last checkpoint is saved: resume with resume=RUN"
        ) from error


@contextmanager
def join_processes() -> Iterator[Processes]:
    """Initialise the process group, if this process was started by `torchrun`.

    Raises:
        NmtError: inside the block, if another process has ended.
    """
    environment = os.environ
    if not {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR"} <= environment.keys():
        yield Processes()
        return
    errors = environment.get("TORCHELASTIC_ERROR_FILE")  # <folder of the launch>/attempt_N/…/error.json
    size = int(environment["WORLD_SIZE"])
    processes = Processes(
        int(environment["RANK"]),
        size,
        int(environment["LOCAL_RANK"]),
        str(Path(errors).parents[2]) if errors else None,
        joined=size > 1 or dist.is_torchelastic_launched(),
    )
    with explain_lost_process(processes):
        if processes.joined:
            dist.init_process_group(
                "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
                timeout=_TIMEOUT,
                store=_rendezvous(processes),
                rank=processes.rank,
                world_size=processes.size,
            )
        yield processes
        if processes.joined:
            dist.destroy_process_group()


def _rendezvous(processes: Processes) -> Store:
    """Rendezvous: a key-value store that only the processes of this attempt share.

    `torchrun` keeps its store when it restarts processes (torch 2.13), and a process that reads the address
    of a dead one from it waits forever. So rank 0 publishes an id for this attempt ("attempt"), every other
    rank registers under it with an id of its own ("registration"), and once rank 0 has read the registrations
    of all ranks for this attempt, it publishes them ("start").
    """
    store, _, _ = next(iter(rendezvous("env://", timeout=_TIMEOUT)))
    own, others = uuid.uuid4().hex, range(1, processes.size)
    deadline = time.monotonic() + _RENDEZVOUS_TIMEOUT
    if processes.is_main:
        store.set("attempt", own)
    while time.monotonic() < deadline:
        current = store.get("attempt").decode()
        if processes.is_main:
            registrations = [store.get(f"registration {rank}").decode().split() for rank in others]
            if all(attempt == own for attempt, _ in registrations):
                store.set(f"start {own}", " ".join(name for _, name in registrations))
                return PrefixStore(own, store)
        else:
            store.set(f"registration {processes.rank}", f"{current} {own}")
            if store.check([f"start {current}"]) and own in store.get(f"start {current}").decode().split():
                return PrefixStore(current, store)
        time.sleep(0.05)
    raise NmtError(
        f"process {processes.rank} of {processes.size}: the others did not start within "
        f"{_RENDEZVOUS_TIMEOUT:.0f} s"
    )
