"""Several processes that train one model together: which one this is, and what they agree on.

`torchrun` starts them and says in the environment who is who; PyTorch's own engine carries what they tell
each other (gloo between CPUs, NCCL between GPUs). The first alone prepares, reports, validates and saves.
A process by itself is the first of one and needs no engine; one that `torchrun` has started alone uses it
like several, so that one GPU shows whether several can work.
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
import torch.distributed as engine
from torch import Tensor, nn
from torch.distributed.distributed_c10d import PrefixStore, Store
from torch.distributed.rendezvous import rendezvous
from torch.nn.parallel import DistributedDataParallel

from nmt.errors import NmtError

T = TypeVar("T")
_MEETING = 300.0  # seconds until all have started
_PATIENCE = timedelta(hours=2)  # the others wait while the first validates; one that dies is noticed at once


@dataclass(frozen=True)
class Processes:
    """The processes of one training, seen from one of them.

    Attributes:
        rank: this one's number, from 0.
        size: how many there are.
        local_rank: this one's number on its machine, or None for a process by itself.
        launch: what names this start by `torchrun` on this machine, the same when it starts them again
            after a failure; None without it.
        joined: they have met, and exchange values through the engine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int | None = None
    launch: str | None = None
    joined: bool = False

    @property
    def name(self) -> str:
        """What this one is called among several; nothing for a process by itself."""
        return f"process {self.rank} of {self.size}" if self.size > 1 else ""

    @property
    def first(self) -> bool:
        """Whether this is the one that reports and saves."""
        return self.rank == 0

    def from_first(self, work: Callable[[], T]) -> T:
        """What `work` gives in the first process; the others wait for it and get it too."""
        if not self.joined:
            return work()
        parcel: list[Any] = [work() if self.first else None]
        engine.broadcast_object_list(parcel, src=0)
        result: T = parcel[0]
        return result

    def gathered(self, value: T) -> list[T]:
        """The values of all, in the order of their ranks."""
        if not self.joined:
            return [value]
        values: list[Any] = [None] * self.size
        engine.all_gather_object(values, value)
        return values

    def total(self, value: Tensor) -> Tensor:
        """The sum of everyone's value."""
        if self.joined:
            value = value.clone()
            engine.all_reduce(value)
        return value

    def largest(self, value: int) -> int:
        """The largest of everyone's numbers."""
        if not self.joined:
            return value
        number = torch.tensor(value)
        engine.all_reduce(number, engine.ReduceOp.MAX)
        return int(number)

    def together(self, model: nn.Module) -> nn.Module:
        """The model with its gradients averaged over all processes, and the first one's weights."""
        if not self.joined:
            return model
        return DistributedDataParallel(model)

    def alone(self, model: nn.Module) -> AbstractContextManager[Any]:
        """Inside, gradients of what `together` gave add up here and are not averaged yet."""
        return model.no_sync() if isinstance(model, DistributedDataParallel) else nullcontext()


@contextmanager
def losses_explained(processes: Processes) -> Iterator[None]:
    """Say in one line that another process has gone.

    Raises:
        NmtError: in place of what the engine raises then.
    """
    try:
        yield
    except RuntimeError as error:
        if not isinstance(error, engine.DistError) and "gloo" not in str(error):
            raise
        raise NmtError(
            f"{processes.name}: another one has ended or cannot be reached; its own message says why. All is "
            "saved up to the last checkpoint: go on with resume=RUN"
        ) from error


@contextmanager
def join_processes() -> Iterator[Processes]:
    """Meet the other processes that `torchrun` has started, if it has.

    Raises:
        NmtError: inside, when one of the others has gone.
    """
    environment = os.environ
    if not {"RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR"} <= environment.keys():
        yield Processes()
        return
    errors = environment.get("TORCHELASTIC_ERROR_FILE")  # <the launch's own folder>/attempt_N/…/error.json
    size = int(environment["WORLD_SIZE"])
    processes = Processes(
        int(environment["RANK"]),
        size,
        int(environment["LOCAL_RANK"]),
        str(Path(errors).parents[2]) if errors else None,
        joined=size > 1 or engine.is_torchelastic_launched(),
    )
    with losses_explained(processes):
        if processes.joined:
            engine.init_process_group(
                "cpu:gloo,cuda:nccl" if torch.cuda.is_available() else "gloo",
                timeout=_PATIENCE,
                store=_meet(processes),
                rank=processes.rank,
                world_size=processes.size,
            )
        yield processes
        if processes.joined:
            engine.destroy_process_group()


def _meet(processes: Processes) -> Store:
    """A store of keys for these processes alone.

    `torchrun` keeps its store when it starts processes again (torch 2.13), and who reads in it the address
    of a process that died waits for ever. So the first one announces a round, the others greet it by that
    name and their own, and the round starts once it has read, and named, a greeting of each.
    """
    store, _, _ = next(iter(rendezvous("env://", timeout=_PATIENCE)))
    own, others = uuid.uuid4().hex, range(1, processes.size)
    deadline = time.monotonic() + _MEETING
    if processes.first:
        store.set("round", own)
    while time.monotonic() < deadline:
        current = store.get("round").decode()
        if processes.first:
            greetings = [store.get(f"greeting {rank}").decode().split() for rank in others]
            if all(greeted == own for greeted, _ in greetings):
                store.set(f"start {own}", " ".join(name for _, name in greetings))
                return PrefixStore(own, store)
        else:
            store.set(f"greeting {processes.rank}", f"{current} {own}")
            if store.check([f"start {current}"]) and own in store.get(f"start {current}").decode().split():
                return PrefixStore(current, store)
        time.sleep(0.05)
    raise NmtError(
        f"process {processes.rank} of {processes.size}: the others did not come in {_MEETING:.0f} s"
    )
