"""`python -m nmt.datastore`: store the training tokens of a run, for retrieval and examples."""

import argparse
import time
from pathlib import Path

from nmt import cli

_DIMENSION = 128


def parser() -> argparse.ArgumentParser:
    """Return the argument parser."""
    parser = argparse.ArgumentParser(
        prog="python -m nmt.datastore",
        description="Store the features of every training token of a run in RUN/datastore. With it, "
        "nmt.translate shows which training pairs a translation is made of (--examples), and can retrieve "
        "tokens (--retrieval-weight).",
    )
    parser.add_argument(
        "--dimension",
        type=int,
        default=_DIMENSION,
        metavar="D",
        help="number of principal components of the features to keep (default: %(default)s)",
    )
    parser.add_argument(
        "--source",
        type=cli.path,
        metavar="FILE",
        help="store these sentences, one per line, instead of the training pairs",
    )
    parser.add_argument("--target", type=cli.path, metavar="FILE", help="their translations, one per line")
    cli.add_run_arguments(parser, search=False)
    return parser


def main() -> None:
    """Run the command."""
    arguments = parser().parse_args()
    _check(arguments)
    from nmt.device import choose_device
    from nmt.runs.run import open_run
    from nmt.runs.run_datastore import make_datastore

    run = open_run(Path(arguments.run))
    files = (Path(arguments.source), Path(arguments.target)) if arguments.source else None
    start = time.perf_counter()
    made = make_datastore(run, choose_device(arguments.device), arguments.dimension, files)
    print(
        f"{made.tokens:,} tokens of {made.pairs:,} pairs, {made.dimension} dimensions with {made.kept:.1%} "
        f"of the variance, {made.size / 1e6:.1f} MB, {time.perf_counter() - start:.0f} s: {run.datastore}"
    )


def _check(arguments: argparse.Namespace) -> None:
    from nmt.errors import ConfigError

    cli.check_stream("stdout", "redirect it to a file")
    if bool(arguments.source) != bool(arguments.target):
        raise ConfigError("--source and --target: give both, or neither")
    if arguments.dimension < 1:
        raise ConfigError(f"--dimension {arguments.dimension}: must be at least 1")


if __name__ == "__main__":
    cli.run(main)
