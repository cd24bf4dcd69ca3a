"""The machine: its hardware and software, and how busy other processes keep it."""

import os
import platform
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROC = Path("/proc")
SAMPLE = 1.0  # seconds
BUSY = 0.25  # cores used by other processes from which on timings are not reliable
SHOWN, LITTLE, WIDTH = 3, 0.05, 40  # processes, cores, characters of a command


def machine(device: str) -> dict[str, Any]:
    """Hardware and software versions; `device`: its type, "cpu" or "cuda"."""
    import torch

    found: dict[str, Any] = {
        "date": time.strftime("%Y-%m-%d"),
        "python": platform.python_version(),
        "system": platform.platform(),
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "torch": torch.__version__,
        "cuda": torch.version.cuda,
        "gpu": None,
    }
    if device == "cuda":
        properties = torch.cuda.get_device_properties(torch.cuda.current_device())
        found |= {
            "gpu": properties.name,
            "gpu_memory_gib": round(properties.total_memory / 2**30, 1),
            "cudnn": torch.backends.cudnn.version(),  # type: ignore[no-untyped-call]
        }
    return found


def describe(machine: dict[str, Any]) -> str:
    """The same in one line."""
    gpu = f"{machine['gpu']}, CUDA {machine['cuda']}" if machine["gpu"] else "CPU"
    versions = f"torch {machine['torch']}, Python {machine['python']}"
    return f"{gpu}, {versions}, {machine['cores']} cores, {machine['date']}"


def _cpu() -> str:
    """The name of the processor."""
    try:
        lines = (PROC / "cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


# ---------------------------------------------------------------- load by other processes


@dataclass(frozen=True)
class Load:
    """What other processes use.

    Attributes:
        cores: CPU time per second.
        processes: the busiest of them: "command (process 123) 97%"; empty if unknown.
    """

    cores: float
    processes: tuple[str, ...] = ()

    @property
    def busy(self) -> bool:
        """Whether timings are not reliable."""
        return self.cores > BUSY

    def __str__(self) -> str:
        named = f": {', '.join(self.processes)}" if self.processes else ""
        return f"other processes use {self.cores:.1f} cores{named}"


def load(seconds: float = SAMPLE) -> Load | None:
    """The load by other processes: over the next `seconds` on Linux, where this process must be idle
    meanwhile; of the last minute on other POSIX systems; None if unknown.
    """
    if not (PROC / "stat").exists():
        return Load(os.getloadavg()[0]) if hasattr(os, "getloadavg") else None
    before, started, own = _busy_ticks(), _process_ticks(), os.getpid()
    time.sleep(seconds)
    ticks, ended = _busy_ticks() - before, _process_ticks()
    second = os.sysconf("SC_CLK_TCK") * seconds
    used = {
        (number, name): (count - started.get((number, name), count)) / second
        for (number, name), count in ended.items()
        if number != own
    }
    busiest = sorted(used.items(), key=lambda item: -item[1])[:SHOWN]
    named = (f"{_command(*process)} {share:.0%}" for process, share in busiest if share >= LITTLE)
    return Load(ticks / second, tuple(named))


def _busy_ticks() -> int:
    """Clock ticks that all cores have worked: user, nice, system, irq, softirq and steal of /proc/stat."""
    fields = [int(field) for field in (PROC / "stat").read_text().splitlines()[0].split()[1:9]]
    return sum(fields) - fields[3] - fields[4]  # idle, iowait


def _command(number: int, name: str) -> str:
    """The beginning of a process's command line, or its name, and its id."""
    try:
        line = (PROC / str(number) / "cmdline").read_text(encoding="utf-8", errors="replace")
    except OSError:  # it has ended
        line = ""
    program, _, rest = line.partition("\0")
    words = " ".join([Path(program).name, *rest.replace("\0", " ").split()]).strip() or name
    return f"{words if len(words) <= WIDTH else words[: WIDTH - 1] + '…'} (process {number})"


def _process_ticks() -> dict[tuple[int, str], int]:
    """Clock ticks that each process has worked, by its id and name."""
    found = {}
    for path in PROC.glob("[0-9]*/stat"):
        try:
            head, _, tail = path.read_text(encoding="utf-8", errors="replace").rpartition(")")
        except OSError:  # it has ended
            continue
        fields = tail.split()
        name = head.partition("(")[2]
        found[int(path.parent.name), name] = int(fields[11]) + int(fields[12])  # utime, stime
    return found
