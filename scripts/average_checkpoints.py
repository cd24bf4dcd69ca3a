"""Average the weights of a run's newest or best checkpoints into a new run, and score all of them."""

import argparse
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from nmt import cli
from nmt.cli import command, option
from nmt.errors import ConfigError, RunError

if TYPE_CHECKING:
    from nmt.runs.checkpoint import Checkpoint
    from nmt.runs.run import Run


def parser() -> argparse.ArgumentParser:
    """Return the argument parser."""
    parser = argparse.ArgumentParser(prog="python scripts/average_checkpoints.py", description=__doc__)
    parser.add_argument("run", metavar="RUN", help="run folder; train it with training.keep=N or more")
    parser.add_argument("output", metavar="OUTPUT", help="folder of the new run")
    parser.add_argument("--kind", choices=("last", "best"), default="last", help="default: %(default)s")
    parser.add_argument(
        "--count", type=int, metavar="N", help="average the newest N (default: all that are kept)"
    )
    return parser


def _development(checkpoint: "Checkpoint", run: "Run") -> str:
    """Scores on the development set with greedy search, as logged in training."""
    from nmt.data.examples import load_examples
    from nmt.decoding.torch_model import TorchModel
    from nmt.decoding.translator import Translator
    from nmt.evaluation.validate import validate
    from nmt.runs.scoring import recorded_tokenizer

    greedy = replace(run.decoding(), beam_size=1)
    translator = Translator(TorchModel(checkpoint.model), checkpoint.source, checkpoint.target, greedy)
    scores = validate(translator, load_examples(run.examples("dev")), recorded_tokenizer(run)).scores
    return "  ".join(f"{name} {value:.2f}" for name, value in scores.items())


def main() -> None:
    """Run the command."""
    arguments = parser().parse_args()
    if arguments.count is not None and arguments.count < 1:
        raise ConfigError(f"--count {arguments.count}: must be at least 1")
    import torch

    from nmt.runs.checkpoint import kept_checkpoints, load_checkpoint, save_checkpoint
    from nmt.runs.run import Run, open_run

    run, output = open_run(Path(arguments.run)), Run(Path(arguments.output))
    if output.folder.exists():
        raise ConfigError(f"{output.folder}: exists; choose a new folder")
    folders = kept_checkpoints(run.best if arguments.kind == "best" else run.last)
    wanted = arguments.count or len(folders)
    if len(folders) < wanted:
        raise RunError(f"{run.folder}: keeps {len(folders)} checkpoints; train with training.keep={wanted}")
    loaded = [load_checkpoint(folder, torch.device("cpu")) for folder in folders[:wanted]]
    for one in loaded:
        print(f"step {one.progress['step']}: {_development(one, run)}", flush=True)
    with torch.no_grad():
        for name, weight in loaded[0].model.state_dict().items():
            every = torch.stack([one.model.state_dict()[name].double() for one in loaded])
            weight.copy_(every.mean(dim=0))
    average = loaded[0]
    average.progress = {"averaged": [one.progress for one in loaded]}
    output.folder.mkdir(parents=True)
    for name in ("config.yaml", "prepared.json"):
        shutil.copyfile(run.folder / name, output.folder / name)
    shutil.copytree(run.folder / "data", output.folder / "data")
    save_checkpoint(output.best, average)
    print(f"average: {_development(average, run)}")
    evaluate = command("python", "-m", "nmt.evaluate", *option("--run", output.folder))
    print(f"score it on the test set: {evaluate}")


if __name__ == "__main__":
    cli.run(main)
