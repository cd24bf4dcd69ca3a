"""Distributed training: same result as one process, and what happens if a process fails."""

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from console import TRAINING, command
from inside import inside
from safetensors.torch import load_file
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nmt import train
from nmt.runs.latest import is_pointer

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="workers are found through /proc")
STEPS = 20
ALIKE = (*TRAINING, f"training.max_steps={STEPS}", "training.log_every=1", "training.dropout=0")
ALIKE += ("training.embedding_dropout=0", "training.precision=fp32", "training.batch_tokens=256")
ALIKE += ("training.validate_every=10",)
MANY = 50  # steps: so many that the run is not done when a signal comes
LONGER = (*ALIKE, f"training.max_steps={MANY}")


class Launch:
    """`torchrun` with two processes of `nmt.train`, observed through its output."""

    def __init__(self, *arguments: str, folder: Path, options: tuple[str, ...] = ()) -> None:
        torchrun = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2", *options]
        self.process = subprocess.Popen(
            [*torchrun, "-m", "nmt.train", *arguments],
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        self.out = ""
        self._changed = threading.Condition()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            with self._changed:
                self.out += line
                self._changed.notify_all()

    def until(self, text: str) -> None:
        """Wait for a line that starts with `text`."""
        with self._changed:
            assert self._changed.wait_for(lambda: f"\n{text}" in self.out, timeout=120), self.out

    def worker(self, rank: int) -> int:
        """The process ID of a rank."""
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text().split()
        for child in map(int, children):
            if f"RANK={rank}".encode() in Path(f"/proc/{child}/environ").read_bytes().split(b"\0"):
                return child
        raise AssertionError(f"no process of rank {rank}: {self.out}")

    def end(self) -> int:
        """Wait for the end; returns the exit status."""
        try:
            return self.process.wait(timeout=180)
        finally:
            self.process.kill()


@pytest.fixture(scope="module")
def folder(trained: Path) -> Path:
    """The folder for the runs of these tests: next to the shared run, to reuse its prepared data."""
    return trained.parent.parent


def scalars(run: Path, name: str) -> list[tuple[int, float]]:
    events = EventAccumulator(str(run / "tensorboard"))
    events.Reload()
    return [(event.step, event.value) for event in events.Scalars(name)]


@pytest.fixture(scope="module")
def together(folder: Path) -> tuple[Path, str]:
    """An uninterrupted run of two processes, and its output."""
    launch = Launch(*ALIKE, "runs=together", "name=two", folder=folder)
    assert launch.end() == 0, launch.out
    return folder / "together" / "two", launch.out


def test_two_processes_are_one_with_batches_twice_as_large(folder, together):
    run, _ = together
    alone = inside(train, *ALIKE, "training.accumulate=2", "runs=together", "name=one", folder=folder)
    assert alone.code == 0, alone.err
    found, expected = (scalars(folder / "together" / name, "train/loss") for name in ("two", "one"))
    assert [step for step, _ in found] == list(range(1, STEPS + 1))
    assert [loss for _, loss in found] == pytest.approx([loss for _, loss in expected], abs=1e-5)
    assert found[-1][1] < found[0][1] - 0.05
    weights = load_file(run / "checkpoints" / "last" / "model.safetensors")
    for name, value in load_file(folder / "together/one/checkpoints/last/model.safetensors").items():
        assert (weights[name] - value).abs().max() < 1e-5, name


def test_the_first_alone_writes_and_speaks(together):
    run, out = together
    assert out.count("run folder:") == out.count("2 processes") == out.count(" sentences, beam ") == 1
    assert out.count(f"step {STEPS}/") == 1
    assert len(list((run / "tensorboard").iterdir())) == 1
    names = {path.name for path in run.parent.iterdir() if path.name != "one"}
    assert names == {"latest", "two"}


def kill(rank: int) -> Callable[[Launch], None]:
    return lambda launch: os.kill(launch.worker(rank), signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_when_one_is_killed_the_other_ends_soon_and_says_why(folder, rank):
    launch = Launch(*LONGER, "runs=killed", f"name=rank{rank}", folder=folder)
    launch.until("step 12/")
    kill(rank)(launch)
    since = time.monotonic()
    assert launch.end() != 0
    assert time.monotonic() - since < 60
    assert f"error: process {1 - rank} of 2: another process has ended" in launch.out


@pytest.mark.slow
@pytest.mark.parametrize("rank", [0, 1])
def test_a_launcher_that_starts_them_again_finishes_the_run(folder, together, rank):
    """The final weights are not affected."""
    restarting = ("training.save_every=5", f"runs=again{rank}")
    launch = Launch(*ALIKE, *restarting, folder=folder, options=("--max-restarts=1",))
    launch.until("step 13/")
    kill(rank)(launch)
    assert launch.end() == 0, launch.out
    assert f"resuming after step 10 of {STEPS}" in launch.out
    folders = (file.parent for file in (folder / f"again{rank}").glob("*/config.yaml"))
    (run,) = (one for one in folders if not is_pointer(one))
    assert scalars(run, "train/loss") == scalars(together[0], "train/loss")
    ours, theirs = (
        load_file(one / "checkpoints" / "last" / "model.safetensors") for one in (run, together[0])
    )
    assert all((ours[name] == value).all() for name, value in theirs.items())


@pytest.mark.slow
def test_a_signal_stops_all_and_one_process_may_resume(folder):
    launch = Launch(*LONGER, "runs=signalled", "name=two", folder=folder)
    launch.until("step 12/")
    os.kill(launch.worker(1), signal.SIGTERM)  # one of them is enough
    assert launch.end() != 0
    assert launch.out.count("everything is saved; resume with: python -m nmt.train resume=") == 1
    assert "another process has ended" not in launch.out
    answer = command("nmt.train", f"resume={folder}/signalled/two", folder=folder)
    assert answer.code == 0, answer.err
    steps = [step for step, _ in scalars(folder / "signalled" / "two", "train/loss")]
    assert steps == list(range(1, MANY + 1))
