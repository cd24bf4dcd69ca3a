"""Kill training runs at random times, resume them, and check that the results are identical.

python scripts/kill_and_resume.py FOLDER [TRIALS] [settings as for nmt.train]

Trains once without interruption. Then, TRIALS times (default 30), the same training is killed (SIGKILL) at a
random time, resumed and killed again with probability 1/2, and finally resumed until it is finished; a trial
that finishes before its first kill is repeated. Weights, development scores and TensorBoard scalars must be
identical to the uninterrupted run. Exit status 1 if not.
"""

import hashlib
import json
import random
import shutil
import subprocess
import sys
import time
from pathlib import Path

from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from nmt import cli
from nmt.errors import ConfigError, RunError

SETTINGS = [
    "experiment=debug",
    "data.max_words=4",
    "training.max_steps=60",
    "training.validate_every=15",
    "training.save_every=4",
    "threads=1",
]
TIMES = {"train/tokens_per_second"}  # scalars that depend on the machine


def main() -> None:
    """Run the command."""
    if {"-h", "--help"} & set(sys.argv[1:]) or len(sys.argv) < 2:
        print(__doc__)
        return
    folder, *rest = sys.argv[1:]
    trials = int(rest.pop(0)) if rest and rest[0].isdecimal() else 30
    runs = Path(folder)
    if runs.exists():
        raise ConfigError(f"{runs}: exists; choose a new folder")
    started = time.monotonic()
    if train(*SETTINGS, *rest, f"runs='{runs}'", "name=uninterrupted").wait():
        raise RunError(f"{runs / 'uninterrupted'}: the uninterrupted run failed; see its train.log")
    seconds = time.monotonic() - started
    expected = outcome(runs / "uninterrupted")
    failures = 0
    chance = random.Random(1)
    for trial in range(1, trials + 1):
        kills: list[str] = []
        while not kills:
            shutil.rmtree(runs / f"trial{trial}", ignore_errors=True)
            kills = interrupted(runs, rest, f"trial{trial}", chance, seconds)
        same = outcome(runs / f"trial{trial}") == expected
        failures += not same
        print(f"trial {trial}: killed after {kills}: {'identical' if same else 'DIFFERS'}", flush=True)
        if same:
            shutil.rmtree(runs / f"trial{trial}")
    print(f"{trials - failures} of {trials} identical to the uninterrupted run")
    sys.exit(1 if failures else 0)


def train(*overrides: str) -> "subprocess.Popen[bytes]":
    """Start training in a subprocess."""
    return subprocess.Popen([sys.executable, "-m", "nmt.train", *overrides], stdout=subprocess.DEVNULL)


def interrupted(
    runs: Path, settings: list[str], name: str, chance: random.Random, seconds: float
) -> list[str]:
    """Train with random kills until finished; returns the times of the kills, in seconds after each start."""
    run = runs / name
    kills: list[str] = []
    done = False
    while not done:
        if (run / "config.yaml").exists():
            process = train(f"resume='{run}'")
        else:  # killed before the settings were written, or not started yet
            shutil.rmtree(run, ignore_errors=True)
            process = train(*SETTINGS, *settings, f"runs='{runs}'", f"name={name}")
        moment = chance.uniform(0, seconds) if not kills or chance.random() < 0.5 else None
        try:
            if process.wait(moment):
                raise RunError(f"{run}: the resumed run failed after kills at {kills}; see its error above")
            done = True
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            kills.append(f"{moment:.1f} s")
    return kills


def outcome(run: Path) -> dict[str, object]:
    """What must be identical: weights, scores of all validations, all TensorBoard scalars."""
    events = EventAccumulator(str(run / "tensorboard"), size_guidance={"scalars": 0})
    events.Reload()
    scalars = {
        name: {event.step: event.value for event in events.Scalars(name)}
        for name in events.Tags()["scalars"]
        if name not in TIMES
    }
    digests = {
        name: hashlib.sha256((run / "checkpoints" / name / "model.safetensors").read_bytes()).hexdigest()
        for name in ("best", "last")
    }
    history = json.loads((run / "training.json").read_text(encoding="utf-8"))["validations"]
    return {"weights": digests, "history": history, "scalars": scalars}


if __name__ == "__main__":
    cli.run(main)
