"""Start-up: `python -m nmt.translate` of one sentence, against `import torch` alone."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import torch

from nmt.config.data import TokenizerConfig
from nmt.config.settings import Config
from nmt.data.tokenizer import PAD, Tokenizer, train_tokenizer
from nmt.model.initialise import build_model
from nmt.runs.checkpoint import Checkpoint, save_checkpoint
from nmt.runs.run import Run, write_config
from timing.memory import SCRIPTS
from timing.statistics import Measurement, Options, interleaved, spread
from timing.workload import compose

TRANSLATE, IMPORT = "s, nmt.translate", "s, import torch"
RATIO = "nmt.translate / import torch"
SENTENCES = ["the small dog sees the black cat", "where is the house of the old man"]


def measure(options: Options) -> list[Measurement]:
    """Run both commands in turn; the ratio is that of each pair of runs."""
    repetitions = 1 if options.small else options.repetitions
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        run = tiny_run(Path(folder) / "run")
        translate = ["-m", "nmt.translate", "--run", str(run.folder), "--device", "cpu", SENTENCES[0]]
        works = {
            TRANSLATE: lambda: _python(*translate),
            IMPORT: lambda: _python("-c", "import torch"),
        }
        seconds = interleaved(works, repetitions, torch.device("cpu"), warm_up=not options.small)
    ratios = [one / other for one, other in zip(seconds[TRANSLATE], seconds[IMPORT], strict=True)]
    figures = {name: spread(taken) for name, taken in seconds.items()} | {RATIO: spread(ratios)}
    return [Measurement("startup", {"device": "cpu"}, figures)]


def tiny_run(folder: Path) -> Run:
    """A run folder with an untrained model of narrow layers, which translates to at most a few pieces."""
    config: Config = compose("bahdanau", True, "experiment=debug")
    tokenizer = Tokenizer(train_tokenizer(SENTENCES, TokenizerConfig(vocab_size=300), "data.tokenizer"))
    torch.manual_seed(config.seed)
    model = build_model(config.model, len(tokenizer), len(tokenizer), PAD).eval()
    run = Run(folder)
    write_config(run, config)
    save_checkpoint(run.best, Checkpoint(model, config.model, tokenizer, tokenizer, {}))
    return run


def _python(*arguments: str) -> None:
    """Run Python with the package of this checkout.

    Raises:
        RuntimeError: if it fails; with its error output.
    """
    environment = {**os.environ, "PYTHONPATH": str(SCRIPTS.parent)}
    done = subprocess.run(
        [sys.executable, *arguments], capture_output=True, text=True, check=False, env=environment
    )
    if done.returncode:
        raise RuntimeError(f"exit status {done.returncode}: {done.stderr.strip()}")
