"""Compare a trained run on the device and on the CPU; run the CUDA tests; measure speed.

Each check runs commands and returns its finding in one line.
"""

import importlib.util
import json
import re
from pathlib import Path
from typing import Any

import numpy as np

from gpu_check.commands import ROOT, Bench, FailedError, SkippedError, python, read_json

CUDA_TESTS = ("test_precision.py", "test_random_state.py", "test_attention_backend.py", "test_graphs.py")
SCORES_AGREE = 1e-3  # nats per token
WEIGHTS_AGREE = 1e-3  # of attention
METRICS_AGREE = 0.5  # points of BLEU and chrF


def translate(bench: Bench, model: str) -> str:
    """Translate the test sentences on both devices. Where translations differ, their scores must be equal up
    to rounding.
    """
    run = bench.finished(f"{model}-fp32")
    source, _ = texts(bench, run)
    found = []
    for device in (bench.device, "cpu"):
        output = bench.folder / f"{run.name}-{device}.jsonl"
        python(
            bench, *("-m", "nmt.translate", "--run", run, "--device", device, "--json"),
            *("--input", source, "--output", output),
        )  # fmt: skip
        found.append([json.loads(line) for line in output.read_text(encoding="utf-8").splitlines()])
    same, apart = agreement(*found)
    line = f"{same} of {len(found[1])} translations identical, scores {differing(apart)}"
    if len(found[0]) != len(found[1]) or not found[1] or not apart <= SCORES_AGREE:
        raise FailedError(line)
    return line


def agreement(ours: list[dict[str, Any]], theirs: list[dict[str, Any]]) -> tuple[int, float]:
    """Number of identical translations, and largest difference of scores, in nats per token."""
    pairs = list(zip(ours, theirs, strict=False))
    same = sum(one["text"] == other["text"] for one, other in pairs)
    return same, max((abs(one["score"] - other["score"]) for one, other in pairs), default=0.0)


def evaluate(bench: Bench, model: str) -> str:
    """Score the test set on both devices."""
    run, scores = bench.finished(f"{model}-fp32"), []
    for device in (bench.device, "cpu"):
        folder = bench.folder / f"{run.name}-{device}-test"
        python(
            bench, *("-m", "nmt.evaluate", "--run", run, "--device", device),
            *("--output", folder, "--heatmaps", 0),
        )  # fmt: skip
        metrics = read_json(folder / "metrics.json")["scores"]
        scores.append({name: metrics[name]["value"] for name in ("BLEU", "chrF2")})
    pairs = [f"{name} {scores[0][name]:.2f} (CPU {scores[1][name]:.2f})" for name in scores[0]]
    line = ", ".join(pairs)
    if not all(abs(scores[0][name] - scores[1][name]) <= METRICS_AGREE for name in scores[0]):
        raise FailedError(line)
    return line


def align(bench: Bench, model: str) -> str:
    """Align the test sentences with their references on both devices."""
    run = bench.finished(f"{model}-fp32")
    source, target = texts(bench, run)
    links, matrices = [], []
    for device in (bench.device, "cpu"):
        attention = bench.folder / f"{run.name}-{device}-attention.jsonl"
        given = ("--source", source, "--target", target, "--attention", attention)
        output = bench.folder / f"{run.name}-{device}.pharaoh"
        python(bench, "-m", "nmt.align", "--run", run, "--device", device, *given, "--output", output)
        links.append(output.read_text(encoding="utf-8").splitlines())
        lines = attention.read_text(encoding="utf-8").splitlines()
        matrices.append([json.loads(line)["weights"] for line in lines])
    same = sum(one == other for one, other in zip(*links, strict=True))
    apart = farthest(*matrices)
    line = f"{same} of {len(links[1])} alignments identical, attention weights {differing(apart)}"
    if not links[1] or not apart <= WEIGHTS_AGREE:
        raise FailedError(line)
    return line


def farthest(ours: list[list[list[float]]], theirs: list[list[list[float]]]) -> float:
    """The largest difference between two lists of matrices; infinity if their shapes differ."""
    if len(ours) != len(theirs):
        return float("inf")
    largest = 0.0
    for one, other in zip(map(np.array, ours), map(np.array, theirs), strict=True):
        if one.shape != other.shape:
            return float("inf")
        largest = max(largest, float(np.abs(one - other).max(initial=0.0)))
    return largest


def differing(apart: float) -> str:
    """The largest difference as text."""
    return f"differ by up to {apart:.1e}" if apart else "identical"


def texts(bench: Bench, run: Path) -> tuple[Path, Path]:
    """The test sentences of a run and their references as files, one per line; they are the same for all
    runs, so that parallel checks may write them.
    """
    from nmt.files import write_text

    paths = bench.folder / "test.source", bench.folder / "test.target"
    rows = [json.loads(line) for line in (run / "data/test.jsonl").read_text(encoding="utf-8").splitlines()]
    columns = [row["source"] for row in rows], [row["references"][0] for row in rows]
    for path, column in zip(paths, columns, strict=True):
        write_text(path, "".join(line + "\n" for line in column))
    return paths


def tests(bench: Bench) -> str:
    """Run the tests that are skipped without a GPU."""
    if importlib.util.find_spec("pytest") is None:
        raise SkippedError("pytest is not installed")
    files = [ROOT / "tests" / "unit" / name for name in CUDA_TESTS]
    options = ("-q", "-k", "gpu", "-p", "no:cacheprovider", "--rootdir", ROOT, "-c", ROOT / "pyproject.toml")
    output = python(bench, "-m", "pytest", *options, *files)
    summary = next((line for line in reversed(output.splitlines()) if " in " in line), "")
    counts = {kind: int(number) for number, kind in re.findall(r"(\d+) (\w+)", summary)}
    if counts.get("skipped"):
        skipped = f"{counts['skipped']} tests need a CUDA GPU"
        if bench.device != "cpu":
            raise FailedError(skipped, output)
        raise SkippedError(skipped)
    return f"{counts.get('passed', 0)} passed"


def measure(bench: Bench, model: str) -> str:
    """Measure training and beam search with the full-size model, with nothing else running."""
    output = bench.folder / f"{model}-speed.json"
    options = ["--small", "--seconds", 0.5] if bench.small else []
    script = ROOT / "scripts" / "gpu_speed.py"
    python(bench, script, "--model", model, "--device", bench.device, "--output", output, *options)
    bench.speeds += read_json(output)
    return "see the table of speeds"
