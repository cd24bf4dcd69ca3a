"""Check the program on this machine's CUDA GPU through its own commands, and measure its speed.

Prints a table and writes all results as JSON to a file. A failed check does not stop the others.
"""

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from gpu_check import results, trainings
from gpu_check.commands import ROOT, Bench, FailedError, SkippedError
from timing.machine import describe, machine

MODELS = ("bahdanau", "luong", "transformer")
STEPS, STEPS_ON_CPU = 200, 40
LAST_LINES = 15  # of the output of a failed command


@dataclass(frozen=True)
class Row:
    """A check and its result.

    Attributes:
        check: the name of the check.
        result: "ok", "failed" or "skipped".
        seconds: its duration.
        found: the finding, in one line.
        output: the last lines of the output of the failed command.
    """

    check: str
    result: str
    seconds: float
    found: str
    output: tuple[str, ...] = ()


Check = tuple[str, Callable[[], str]]


def parser() -> argparse.ArgumentParser:
    """Return the argument parser."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python scripts/check_gpu.py",
        description=__doc__,
        epilog="Exit status: 0 success, 1 a check failed, 2 no CUDA GPU.",
    )
    parser.add_argument(
        "--output", metavar="FILE", default="runs/check-gpu.json", help="JSON file (default: %(default)s)"
    )
    parser.add_argument(
        "--device",
        choices=("auto", "cpu"),
        default="auto",
        help="cpu: test the checks themselves without a GPU",
    )
    parser.add_argument(
        "--models", nargs="+", choices=MODELS, help=f"default: all three; with --device cpu {MODELS[0]}"
    )
    parser.add_argument(
        "--jobs",
        type=int,
        default=min(6, os.cpu_count() or 1),
        help="checks run in parallel, except for the measurements (default here: %(default)s)",
    )
    return parser


def main() -> None:
    """Run the command."""
    arguments = parser().parse_args()
    import torch

    from nmt.errors import ConfigError
    from nmt.files import write_json

    on_cpu = arguments.device == "cpu"
    if not on_cpu and not torch.cuda.is_available():
        raise ConfigError(
            f"nothing to check: PyTorch {torch.__version__} finds no CUDA GPU "
            "(--device cpu tests the checks themselves)"
        )
    models = arguments.models or (MODELS[:1] if on_cpu else MODELS)
    jobs, started = max(1, arguments.jobs), time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="check-gpu-", ignore_cleanup_errors=True) as folder:
        threads = max(1, (os.cpu_count() or 1) // jobs)
        steps = STEPS_ON_CPU if on_cpu else STEPS
        bench = Bench(Path(folder), arguments.device, steps, threads, small=on_cpu)
        rows = [row for stage, side in stages(bench, models) for row in run_stage(stage, jobs if side else 1)]
    seconds = time.perf_counter() - started
    print(f"\n{speed_table(bench.speeds)}")
    failed = [row.check for row in rows if row.result == "failed"]
    report: dict[str, Any] = {
        "machine": machine("cpu" if on_cpu else "cuda"),
        "seconds": round(seconds, 1),
        "passed": not failed,
        "checks": [asdict(row) for row in rows],
        "speeds": bench.speeds,
    }
    write_json(Path(arguments.output), report)
    print(
        f"\n{describe(report['machine'])}\n{len(rows)} checks in {seconds:.0f} s, written: {arguments.output}"
    )
    if failed:
        print(f"failed: {', '.join(failed)}")
        sys.exit(1)


# ---------------------------------------------------------------- the checks


def stages(bench: Bench, models: Sequence[str]) -> Iterator[tuple[list[Check], bool]]:
    """The checks in stages, each of which needs those before, and whether a stage may run in parallel."""
    first, precisions = models[0], ("bf16",) if bench.device == "cpu" else ("bf16", "fp16")

    def check(name: str, function: Callable[..., str], *arguments: Any) -> Check:
        return name, lambda: function(bench, *arguments)

    def train(model: str, precision: str) -> Check:
        return check(f"train {model}, {precision}", trainings.train, model, precision)

    yield [train(first, "fp32")], False  # also prepares the data, once
    yield [train(model, "fp32") for model in models[1:]], True
    yield (
        (
            [train(model, precision) for model in models for precision in precisions]
            + [check(f"same command twice, {model}", trainings.train_again, model) for model in models]
            + [check(f"translate, {model}", results.translate, model) for model in models]
            + [check(f"evaluate, {model}", results.evaluate, model) for model in models]
            + [check(f"align, {model}", results.align, model) for model in models]
        ),
        True,
    )
    yield (
        (
            [check(f"stop and resume, {model}", trainings.stop_and_resume, model) for model in models]
            + [
                check(f"torchrun, {first}", trainings.torchrun, first),
                check("tests that need CUDA", results.tests),
            ]
            + [check(f"captured is plain, {model}", trainings.captured, model) for model in models]
        ),
        True,
    )
    yield [check(f"speed, {model}", results.measure, model) for model in models], False


def run_stage(checks: Sequence[Check], jobs: int) -> Iterator[Row]:
    """Run the checks, `jobs` in parallel; prints and yields the results in order."""
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for row in pool.map(lambda check: run_check(*check), checks):
                print(row_text(row), flush=True)
                yield row
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise


def run_check(name: str, function: Callable[[], str]) -> Row:
    """Run one check; any exception becomes its result."""
    started = time.perf_counter()
    result, output = "ok", ""
    try:
        found = function()
    except SkippedError as reason:
        result, found = "skipped", str(reason)
    except FailedError as failure:
        result, found, output = "failed", str(failure), failure.output
    except Exception as error:  # a missing file or unreadable number is a failure too
        result, found = "failed", f"{type(error).__name__}: {error}"
    last = tuple(output.splitlines()[-LAST_LINES:])
    return Row(name, result, round(time.perf_counter() - started, 1), " ".join(found.split()), last)


# ---------------------------------------------------------------- what is shown


def row_text(row: Row) -> str:
    """A line of the table, followed by the last lines of the output of a failed command."""
    line = f"{row.check:<32} {row.result:<8} {row.seconds:5.1f} s  {row.found}"
    return "\n".join([line, *(f"    | {text}" for text in row.output)])


def speed_table(speeds: Sequence[dict[str, Any]]) -> str:
    """One line per measurement; – where a figure is not measured."""
    names = (
        "model",
        "work",
        "batch tokens",
        "precision",
        "speed",
        "time of each",
        "GPU busy",
        "kernels of each",
        "graphs",
    )
    lines = ["{:<12} {:<9} {:>12}  {:<9} {:>21} {:>18} {:>9} {:>16} {:>7}".format(*names)]
    for one in speeds:
        unit, step = ("sentences/s", "step") if "beam" in one["work"] else ("tokens/s", "update")
        busy = "–" if one["busy"] is None else f"{100 * one['busy']:.0f} %"
        kernels = "–" if one["kernels"] is None else f"{one['kernels']:,.0f}"
        graphs = "–" if one["graphs"] is None else str(one["graphs"])
        speed, each = f"{one['per_second']:,.0f} {unit}", f"{one['milliseconds']:.1f} ms/{step}"
        lines.append(
            f"{one['model']:<12} {one['work']:<9} {one['batch']:>12,}  {one['precision']:<9} "
            f"{speed:>21} {each:>18} {busy:>9} {kernels:>16} {graphs:>7}"
        )
    return "\n".join(lines)


if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # runs from a checkout, without installation
    from nmt import cli

    cli.run(main)
