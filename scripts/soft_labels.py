"""Soft labels of translated text: the probabilities of each target token by several runs, to train on.

python scripts/soft_labels.py --run runs/teacher-1 --run runs/teacher-2 synthetic.tsv --output labels

The runs need the same data settings, and the student has them, too. What it has besides is printed. With no
data settings but the defaults it is

python -m nmt.train name=student data.tokenizer.path=labels \\
    'data.extra=[{kind: tsv, path: synthetic.tsv, soft_labels: labels, soft_weight: 0.5}]'
"""

import argparse
import logging
import sys
from dataclasses import replace
from pathlib import Path

from nmt import cli
from nmt.config.distillation import DistillationConfig
from nmt.config.schema import as_text, settings
from nmt.config.validation import violations
from nmt.errors import ConfigError


def parser() -> argparse.ArgumentParser:
    """Return the argument parser."""
    assert __doc__
    defaults = DistillationConfig()
    parser = argparse.ArgumentParser(
        prog="python scripts/soft_labels.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("pairs", metavar="PAIRS", help="sources and translations, tab-separated")
    parser.add_argument(
        "--run", metavar="RUN", action="append", required=True, help="a teacher; several times"
    )
    parser.add_argument("--output", metavar="FOLDER", required=True, help="a new folder for the labels")
    parser.add_argument(
        "--soft-tokens",
        type=int,
        metavar="K",
        default=defaults.soft_tokens,
        help=f"how many of the most probable tokens are kept (default: {defaults.soft_tokens})",
    )
    parser.add_argument("--cache", metavar="FOLDER", help="as data.cache (default: that of the first run)")
    parser.add_argument(
        "--device", metavar="DEVICE", default="auto", help="auto, cpu, cuda … (default: auto)"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="processes on a CPU (default: one per core)")
    return parser


def main() -> None:
    """Run the command."""
    arguments = parser().parse_args()
    distillation = DistillationConfig(soft_weight=0.5, soft_tokens=arguments.soft_tokens)
    if found := violations(distillation, "--"):
        raise ConfigError("; ".join(found).replace("soft_tokens", "soft-tokens"))
    from nmt.data.soft_labels import INDEX
    from nmt.distillation.labelling import label_pairs
    from nmt.distillation.stages import with_synthetic
    from nmt.runs.run import open_run, reopen_run

    output = Path(arguments.output)
    if (output / INDEX).exists():
        raise ConfigError(f"--output {output}: has soft labels already; give a new folder")
    runs = [open_run(Path(run)) for run in arguments.run]
    _, config = reopen_run(runs[0].folder)
    data = with_synthetic(config.data, Path(arguments.pairs), weight=1.0)
    data = replace(data, cache=arguments.cache or data.cache)
    config = replace(
        config, data=data, distillation=distillation, device=arguments.device, threads=arguments.threads
    )
    logging.basicConfig(level=logging.INFO, format="%(message)s", stream=sys.stdout)
    student = label_pairs(config, runs, output)
    before = {key: value for key, _, value in settings(config)}
    for key, _, value in settings(student, "data."):
        if value != before[key]:
            print(f"'{key}={as_text(value)}'")


if __name__ == "__main__":
    cli.run(main)
