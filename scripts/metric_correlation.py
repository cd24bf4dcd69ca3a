"""Which development metric predicts the test score? Over finished runs, the rank correlation (Spearman) of
each metric at the selected checkpoint with the test scores.

It is a way to choose the metric that selects checkpoints (`training.metric`), once and over many trainings;
not a way to choose among runs by their test scores.
"""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from nmt import cli
from nmt.errors import RunError


def parser() -> argparse.ArgumentParser:
    """Return the argument parser."""
    parser = argparse.ArgumentParser(
        prog="python scripts/metric_correlation.py",
        description=str(__doc__).split("\n\n", maxsplit=1)[0],
        epilog="rho: Spearman's, with a 95 % interval from resampling the runs. first: the fraction of these "
        "resamples in which no metric has a higher rho. pairs: the fraction of pairs of runs that the metric "
        "orders as the test does. chosen: the test score of the run that is best by the metric. The loss is "
        "per character of the references.",
    )
    parser.add_argument("runs", nargs="+", type=cli.path, metavar="RUN", help="run folders: runs/*")
    parser.add_argument("--output", type=cli.path, metavar="FILE", help="also write it as JSON")
    return parser


def main() -> None:
    """Run the command."""
    arguments = parser().parse_args()
    from recipes.correlation import correlate, read_points, table

    points, skipped = read_points(_folders(arguments.runs))
    found = correlate(points)
    print(
        f"{len(points)} runs"
        + (f"; left out, as they are not finished: {', '.join(skipped)}" if skipped else "")
    )
    print(table(found))
    if same := [f"dev {name}" for name in points[0].dev if name not in {one.dev for one in found}]:
        print(f"\nleft out, as it is the same for all runs or not finite: {', '.join(same)}")
    if arguments.output:
        from nmt.files import write_json

        values = {"runs": [asdict(point) for point in points], "metrics": [asdict(one) for one in found]}
        write_json(Path(arguments.output), values)


def _folders(given: Sequence[str]) -> list[Path]:
    from nmt.runs.latest import is_pointer

    folders = [Path(text) for text in given]
    if missing := [path for path in folders if not path.exists()]:
        raise RunError(f"{missing[0]}: no such folder")
    runs = [path for path in folders if (path / "config.yaml").is_file() and not is_pointer(path)]
    if not runs:
        raise RunError(f"{folders[0]}: no run")
    return runs


if __name__ == "__main__":
    cli.run(main)
