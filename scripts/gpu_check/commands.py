"""The commands of the program, run as a user runs them, with a limit of time; and where they work."""

import json
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
BUDGET = 150.0  # seconds for a command


class FailedError(Exception):
    """A check that found a fault.

    Args:
        message: what is wrong, in a line.
        output: of the command that shows it.
    """

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


class SkippedError(Exception):
    """A check that cannot be done here, and why."""


@dataclass
class Bench:
    """Where and how to check.

    Attributes:
        folder: of all runs and files.
        device: a setting, "auto" or "cpu".
        steps: updates of each training.
        threads: of each command.
        small: measure small models on small batches.
        apart: largest difference between weights of two equal trainings of each model, once it is known.
        speeds: what `gpu_speed.py` measured.
    """

    folder: Path
    device: str
    steps: int
    threads: int
    small: bool = False
    apart: dict[str, float] = field(default_factory=dict)
    speeds: list[dict[str, Any]] = field(default_factory=list)

    def run(self, name: str) -> Path:
        """The folder of a training."""
        return self.folder / "runs" / name

    def finished(self, name: str) -> Path:
        """The folder of a training that others are compared with.

        Raises:
            SkippedError: when it has failed.
        """
        if not (self.run(name) / "training.json").exists():
            raise SkippedError(f"needs the training {name}, which has failed")
        return self.run(name)


# ---------------------------------------------------------------- commands


def environment(bench: Bench) -> dict[str, str]:
    """The environment of a command: this checkout's package, and no threads that wait for each other."""
    own = {"PYTHONPATH": str(ROOT), "PYTHONUNBUFFERED": "1"}
    return {"OMP_NUM_THREADS": str(bench.threads), "GOMP_SPINCOUNT": "1000", **os.environ, **own}


def start(bench: Bench, log: Path, *words: object, **variables: str) -> "subprocess.Popen[bytes]":
    """Start Python with these words; all it prints goes to `log`."""
    with log.open("wb") as file:  # a pipe would stay open as long as any of its children
        return subprocess.Popen(
            [sys.executable, *map(str, words)],
            cwd=bench.folder,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment(bench) | variables,
        )


def finish(process: "subprocess.Popen[bytes]", seconds: float) -> int | None:
    """Wait for so long, then end it; its exit code, or None if it had to be ended."""
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
    finally:
        process.terminate()  # a launcher passes it on
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def python(bench: Bench, *words: object, seconds: float = BUDGET, **variables: str) -> str:
    """Run Python with these words; gives what it prints.

    Raises:
        FailedError: when it fails, or takes longer than `seconds`.
    """
    log = bench.folder / f"{uuid.uuid4().hex}.log"
    code = finish(start(bench, log, *words, **variables), seconds)
    output = log.read_text(encoding="utf-8", errors="replace")
    if code is None:
        raise FailedError(f"not done after {seconds:.0f} s", output)
    if code:
        raise FailedError(f"exit status {code}", output)
    return output


def read_json(path: Path) -> Any:
    """What a JSON file holds."""
    return json.loads(path.read_text(encoding="utf-8"))
