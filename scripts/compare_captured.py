"""Compare updates as CUDA graphs with the same updates without, in fp32 and without dropout.

python scripts/compare_captured.py --model luong --device cuda:0 --output FILE.json

Sentences are random. The same updates are run as graphs, then on the same padded batches without graphs,
then on batches that are not padded, whose sums are rounded in another order. Without a GPU nothing is
captured: the work is run again instead of being replayed.
"""

import argparse
import itertools
from collections.abc import Callable
from pathlib import Path

import torch
from timing.workload import Updates, compose, micro_batches

from nmt import cli
from nmt.device import choose_device
from nmt.files import write_json
from nmt.training.graphs import UpdateGraphs

UPDATES, CYCLE = 100, 10  # so that each shape comes again
BATCH, SMALL_BATCH = 640, 128  # tokens
WITHOUT_DROPOUT = [f"training.{name}=0" for name in ("dropout", "embedding_dropout", "word_dropout")]


class RunAgain:
    """Runs the captured work again at each replay."""

    def eagerly(self, work: Callable[[], None]) -> None:
        """Run `work`."""
        work()

    def capture(self, work: Callable[[], None]) -> Callable[[], None]:
        """The work itself."""
        return work


def parser() -> argparse.ArgumentParser:
    """Return the argument parser."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python scripts/compare_captured.py", description=__doc__.splitlines()[0]
    )
    parser.add_argument("--model", required=True, help="a file in configs/model")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda:1 …")
    parser.add_argument("--output", metavar="FILE", required=True, help="JSON file for the result")
    parser.add_argument("--small", action="store_true", help="a small model and small batches")
    return parser


def main() -> None:
    """Run the command."""
    arguments = parser().parse_args()
    device = choose_device(arguments.device)
    if device.type == "cuda":
        torch.cuda.set_device(device)

    def new(graphs: bool) -> Updates:
        settings = "training.precision=fp32", f"training.cuda_graphs={str(graphs).lower()}", *WITHOUT_DROPOUT
        return Updates(compose(arguments.model, arguments.small, *settings), device)

    def padded() -> Updates:
        updates = new(graphs=False)
        updates.train_step.graphs = UpdateGraphs(RunAgain(), device, list(updates.train_step.parameters))
        return updates

    captured = new(graphs=True) if device.type == "cuda" else padded()
    tokens = SMALL_BATCH if arguments.small else BATCH
    losses, *others = [train(updates, tokens) for updates in (captured, padded(), new(graphs=False))]
    graphs = captured.train_step.graphs
    apart, padding_apart = (difference(losses, other) for other in others)
    found = {
        "updates": UPDATES,
        "graphs": graphs.count if graphs else 0,
        "apart": apart,
        "padding_apart": padding_apart,
    }
    write_json(Path(arguments.output), found)


def difference(one: list[float], other: list[float]) -> float:
    """The largest difference of two losses of the same update."""
    return max(abs(a - b) for a, b in zip(one, other, strict=True))


def train(updates: Updates, max_tokens: int) -> list[float]:
    """The loss per token of each update."""
    losses, totals = [], updates.train_step.totals
    batches = itertools.cycle(list(itertools.islice(micro_batches(max_tokens), CYCLE)))
    for batch in itertools.islice(batches, UPDATES):
        totals.restart()
        updates(batch)
        found = totals.read()
        losses.append(found.nll / found.tokens)
    return losses


if __name__ == "__main__":
    cli.run(main)
