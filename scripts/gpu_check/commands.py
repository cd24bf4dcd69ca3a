"""Run the program's commands as a user would, with a time limit, in a temporary folder."""

import json
import os
import subprocess
import sys
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
TIME_LIMIT = 150.0  # time limit of a command, in seconds


class FailedError(Exception):
    """A check failed.

    Args:
        message: what is wrong, in one line.
        output: the output of the command.
    """

    def __init__(self, message: str, output: str = "") -> None:
        super().__init__(message)
        self.output = output


class SkippedError(Exception):
    """A check cannot be run here; the message says why."""


@dataclass
class Bench:
    """Where and how to run the checks.

    Attributes:
        folder: folder for all runs and files.
        device: the setting, "auto" or "cpu".
        steps: updates of each training run.
        threads: CPU threads of each command.
        small: measure small models on small batches.
        apart: for each model, the largest weight difference between two runs of the same command, once known.
        speeds: measurements of `gpu_speed.py`.
    """

    folder: Path
    device: str
    steps: int
    threads: int
    small: bool = False
    apart: dict[str, float] = field(default_factory=dict)
    speeds: list[dict[str, Any]] = field(default_factory=list)

    def run(self, name: str) -> Path:
        """The folder of a training run."""
        return self.folder / "runs" / name

    def finished(self, name: str) -> Path:
        """The folder of a training run that others are compared with.

        Raises:
            SkippedError: if it has failed.
        """
        if not (self.run(name) / "training.json").exists():
            raise SkippedError(f"needs the training run {name}, which failed")
        return self.run(name)


# ---------------------------------------------------------------- commands


def environment(bench: Bench) -> dict[str, str]:
    """The environment of a command: the package of this checkout, and limited thread spinning."""
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]  # the user's may hold libraries
    own = {"PYTHONPATH": os.pathsep.join(paths), "PYTHONUNBUFFERED": "1"}
    return {"OMP_NUM_THREADS": str(bench.threads), "GOMP_SPINCOUNT": "1000", **os.environ, **own}


def start(bench: Bench, log: Path, *arguments: object, **variables: str) -> "subprocess.Popen[bytes]":
    """Start Python with these arguments; all output goes to `log`."""
    with log.open("wb") as file:  # a pipe would stay open as long as any of its children
        return subprocess.Popen(
            [sys.executable, *map(str, arguments)],
            cwd=bench.folder,
            stdin=subprocess.DEVNULL,
            stdout=file,
            stderr=subprocess.STDOUT,
            env=environment(bench) | variables,
        )


def finish(process: "subprocess.Popen[bytes]", seconds: float) -> int | None:
    """Wait up to `seconds`, then terminate it; returns the exit code, or None if it was terminated."""
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


def python(bench: Bench, *arguments: object, seconds: float = TIME_LIMIT, **variables: str) -> str:
    """Run Python with these arguments; returns its output.

    Raises:
        FailedError: if it fails or takes longer than `seconds`.
    """
    log = bench.folder / f"{uuid.uuid4().hex}.log"
    code = finish(start(bench, log, *arguments, **variables), seconds)
    output = log.read_text(encoding="utf-8", errors="replace")
    if code is None:
        raise FailedError(f"not finished after {seconds:.0f} s", output)
    if code:
        raise FailedError(f"exit status {code}", output)
    return output


def read_json(path: Path) -> Any:
    """The content of a JSON file."""
    return json.loads(path.read_text(encoding="utf-8"))
