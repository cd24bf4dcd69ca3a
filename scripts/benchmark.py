"""Measure training, search, start-up, preparation and their scaling; print a table and write it as JSON.

All data is generated and always the same. Every figure is the median of repetitions, with quartiles.
"""

import argparse
import os
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # runs from a checkout, without installation

from nmt import cli  # noqa: E402
from nmt.errors import ConfigError  # noqa: E402

if TYPE_CHECKING:
    import torch
    from timing.machine import Load
    from timing.statistics import Measurement, Options

KINDS = ("training", "search", "startup", "preparation", "scaling")
PRECISIONS = ("fp32", "bf16", "fp16")
MODELS, BATCH_TOKENS = ("bahdanau", "luong", "transformer"), (640, 4096)
REPETITIONS, REPETITIONS_SMALL = 5, 2
SMALL_BATCH = 128  # tokens


class Parser(argparse.ArgumentParser):
    """A parser whose errors are one line."""

    def error(self, message: str) -> NoReturn:
        """As the base class, without the usage."""
        self.exit(2, f"error: {message}\n")


def parser() -> argparse.ArgumentParser:
    """Return the argument parser."""
    assert __doc__
    parser = Parser(
        prog="python scripts/benchmark.py",
        description=__doc__,
        epilog="docs/benchmark.md says how to read the table. Exit status: 0 success, 1 internal error, "
        "2 user error or busy machine.",
    )
    parser.add_argument("--only", metavar="LIST", default=",".join(KINDS), help="default: %(default)s")
    _add_conditions(parser)
    parser.add_argument("--repetitions", type=int, metavar="N", help=f"default: {REPETITIONS}")
    parser.add_argument("--small", action="store_true", help="a quick try: one small model, little work")
    parser.add_argument(
        "--output", metavar="FILE", default="runs/benchmark.json", help="JSON file (default: %(default)s)"
    )
    parser.add_argument("--compare", metavar="FILE", help="print the ratios to an earlier JSON file")
    parser.add_argument("--busy-ok", action="store_true", help="measure even if other processes are busy")
    return parser


def _add_conditions(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--models", nargs="+", metavar="MODEL", help=f"files in configs/model (default: {' '.join(MODELS)})"
    )
    parser.add_argument(
        "--batch-tokens",
        nargs="+",
        type=int,
        metavar="N",
        help=f"training: batch sizes (default: {' '.join(map(str, BATCH_TOKENS))})",
    )
    parser.add_argument(
        "--threads", nargs="+", type=int, metavar="N", help="CPU threads (default: 1, and 2 if possible)"
    )
    parser.add_argument(
        "--precision",
        nargs="+",
        metavar="P",
        help="training: fp32, bf16, fp16 (default: fp32, and bf16 on a GPU that has it)",
    )
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda:1 …")


def main() -> None:
    """Run the command."""
    arguments = parser().parse_args()
    kinds, options = check(arguments)
    from timing import machine, report

    from nmt.files import write_json

    earlier = None if arguments.compare is None else report.read(Path(arguments.compare), options.small)
    output = Path(arguments.output)
    if output.is_dir():
        raise ConfigError(f"--output {output}: is a folder; give a file")
    before = refuse_busy(machine.load(), arguments.busy_ok)
    output.parent.mkdir(parents=True, exist_ok=True)  # an error here, not after all measurements
    found = [one for kind in kinds for one in measure(kind, options)]
    after = warn_busy(machine.load())
    here = machine.machine(options.device.type)
    settings = asdict(options) | {"device": str(options.device), "only": kinds}
    content = report.to_json(here, settings, [before, after], found)
    write_json(output, content)
    if earlier is None:
        print(report.table(found))
    else:
        print(report.table(found, report.ratios(found, report.measurements(earlier))))
        for line in report.differences(here, earlier["machine"]):
            print(line)
    print(f"\n{machine.describe(here)}\nwritten: {output}")


def check(arguments: argparse.Namespace) -> tuple[list[str], "Options"]:
    """The kinds of measurements, and their options.

    Raises:
        ConfigError: for invalid arguments.
    """
    small, cores = arguments.small, os.cpu_count() or 1
    kinds = _known("--only", arguments.only.split(","), KINDS)
    models = arguments.models or MODELS[: 1 if small else None]
    for model in models:
        if not (ROOT / "configs" / "model" / f"{model}.yaml").is_file():
            raise ConfigError(f"--models {model}: no such file in configs/model")
    default = REPETITIONS_SMALL if small else REPETITIONS
    repetitions = default if arguments.repetitions is None else arguments.repetitions
    batches = arguments.batch_tokens or ([SMALL_BATCH] if small else BATCH_TOKENS)
    threads = arguments.threads or (1, 2)[: 1 if small else cores]
    for name, values in (
        ("--threads", threads), ("--batch-tokens", batches), ("--repetitions", [repetitions]),
    ):  # fmt: skip
        if min(values) < 1:
            raise ConfigError(f"{name} {min(values)}: must be at least 1")
    if max(threads) > cores:
        raise ConfigError(f"--threads {max(threads)}: this machine has {cores} cores")
    given = _known("--precision", arguments.precision or [], PRECISIONS)
    from timing.statistics import Options

    device, precisions = _device(arguments.device, given, small)
    return kinds, Options(
        tuple(dict.fromkeys(models)),
        tuple(dict.fromkeys(batches)),
        tuple(dict.fromkeys(threads)),
        precisions,
        device,
        repetitions,
        small,
    )


def _known(name: str, given: Sequence[str], known: Sequence[str]) -> list[str]:
    """The values given, once each, if all of them are known."""
    for one in given:
        if one not in known:
            raise ConfigError(f"{name} {one!r}: choose from {', '.join(known)}")
    return list(dict.fromkeys(given))


def _device(name: str, precisions: Sequence[str], small: bool) -> "tuple[torch.device, tuple[str, ...]]":
    """The device, and the precisions given or those that it is fast in."""
    import torch

    from nmt.device import choose_device
    from nmt.training.precision import choose_precision

    device = choose_device(name)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    for precision in precisions:
        choose_precision(precision, device)  # is it possible?
    if precisions:
        return device, tuple(precisions)
    on_gpu = not small and choose_precision("auto", device).dtype == torch.bfloat16
    return device, ("fp32", "bf16") if on_gpu else ("fp32",)


def refuse_busy(load: "Load | None", allowed: bool) -> "Load | None":
    """The load, if measurements can begin.

    Raises:
        ConfigError: if other processes are busy; names them.
    """
    if load is not None and load.busy and not allowed:
        raise ConfigError(f"{load}; wait until they have finished, or give --busy-ok")
    return warn_busy(load)


def warn_busy(load: "Load | None") -> "Load | None":
    """The load; prints a warning if other processes are busy."""
    if load is not None and load.busy:
        print(f"warning: {load}; the figures are not reliable", file=sys.stderr)
    return load


def measure(kind: str, options: "Options") -> "list[Measurement]":
    """The measurements of one kind."""
    import torch
    from timing import preparation, scaling, searching, startup, training

    from nmt.allocator import keep_freed_memory

    functions: dict[str, Callable[[Options], list[Measurement]]] = {
        "training": training.measure,
        "search": searching.measure,
        "startup": startup.measure,
        "preparation": preparation.measure,
        "scaling": scaling.measure,
    }
    assert functions.keys() == set(KINDS)
    print(f"measuring {kind} …", file=sys.stderr, flush=True)
    torch.set_flush_denormal(True)  # both as in training
    keep_freed_memory()
    try:
        return functions[kind](options)
    finally:
        torch.set_flush_denormal(False)


if __name__ == "__main__":
    cli.run(main)
