"""Training on the device: it learns, stops and resumes; two runs of the same command are compared.

Each check runs commands and returns its finding in one line.
"""

import os
import re
import time
from pathlib import Path

from gpu_check.commands import (
    ROOT,
    TIME_LIMIT,
    Bench,
    FailedError,
    SkippedError,
    finish,
    python,
    read_json,
    start,
)

LOSSES_AGREE = 0.2  # as a fraction of the fp32 loss
CAPTURED_AGREE = 1e-4  # nats per token
AS_FAR = 20.0  # a resumed run may differ by this times the difference of two runs of the same command


def arguments(bench: Bench, model: str, precision: str, name: str, *overrides: str) -> list[str]:
    """The Python arguments of a training run."""
    return [
        "-m",
        "nmt.train",
        "experiment=debug",
        f"model={model}",
        f"name={name}",
        f"device={bench.device}",
        f"training.precision={precision}",
        f"training.max_steps={bench.steps}",
        f"training.validate_every={bench.steps // 2}",
        f"training.save_every={bench.steps // 4}",
        *overrides,
    ]


def train(bench: Bench, model: str, precision: str) -> str:
    """Train, and check that the loss decreases to about the fp32 loss."""
    output = python(bench, *arguments(bench, model, precision, f"{model}-{precision}"))
    match = re.search(r"parameters, on (\S+) in torch\.(\w+)", output)
    if not match or match[1].startswith("cpu") != (bench.device == "cpu"):
        raise FailedError("it did not train on the requested device", output)
    report = read_json(bench.run(f"{model}-{precision}") / "training.json")
    losses = [validation["loss"] for validation in report["validations"]]
    found = f"on {match[1]} in {match[2]}, loss {losses[0]:.2f} → {losses[-1]:.2f}"
    if report["skipped"]:
        found += f", {report['skipped']} updates skipped"
    if not losses[-1] < losses[0]:  # also false for NaN
        raise FailedError(f"{found}: it does not decrease", output)
    if precision != "fp32":
        exact = read_json(bench.finished(f"{model}-fp32") / "training.json")["validations"][-1]["loss"]
        if abs(losses[-1] - exact) > LOSSES_AGREE * exact:
            raise FailedError(f"{found}, but {exact:.2f} in fp32", output)
    return found


def train_again(bench: Bench, model: str) -> str:
    """Repeat the fp32 training command; report whether the weights are identical."""
    uninterrupted = bench.finished(f"{model}-fp32")
    python(bench, *arguments(bench, model, "fp32", f"{model}-again"))
    apart = bench.apart[model] = difference(uninterrupted, bench.run(f"{model}-again"))
    if apart == 0:
        return "identical weights"
    if bench.device == "cpu":
        raise FailedError(f"weights differ by up to {apart:.1e}; on a CPU they must be identical")
    script = ROOT / "scripts" / "gpu_speed.py"
    named = python(bench, script, "--model", model, "--nondeterministic", CUBLAS_WORKSPACE_CONFIG=":4096:8")
    lines = [line for line in named.splitlines() if "eterministic" in line]
    reasons = "; ".join(lines) or "kernels with nondeterministic summation order (atomic additions)"
    return f"weights differ by up to {apart:.1e}; likely reason: {reasons}"


def stop_and_resume(bench: Bench, model: str) -> str:
    """Stop training halfway by SIGTERM, resume it, and compare it with an uninterrupted run."""
    if os.name == "nt":
        raise SkippedError("Windows has no SIGTERM")
    uninterrupted, name = bench.finished(f"{model}-fp32"), f"{model}-stopped"
    log, checkpoint = bench.folder / f"{name}.log", bench.run(name) / "checkpoints/last/manifest.json"
    process = start(bench, log, *arguments(bench, model, "fp32", name))
    until = time.monotonic() + TIME_LIMIT
    while process.poll() is None and not checkpoint.exists() and time.monotonic() < until:
        time.sleep(0.02)
    process.terminate()
    code = finish(process, TIME_LIMIT)
    output = log.read_text(encoding="utf-8", errors="replace")
    stopped = re.search(r"stopped after step (\d+)", output)
    if code != 143 or not stopped:
        raise FailedError(f"SIGTERM did not stop it halfway; exit status {code}", output)
    output = python(bench, "-m", "nmt.train", f"resume=runs/{name}")
    if f"resuming after step {stopped[1]} " not in output:
        raise FailedError(f"stopped after step {stopped[1]}, but did not resume from there", output)
    found = f"stopped after step {stopped[1]} of {bench.steps}"
    try:
        return f"{found}; {compared(bench, model, uninterrupted, name)}"
    except FailedError as failure:
        raise FailedError(f"{found}; {failure}") from failure


def torchrun(bench: Bench, model: str) -> str:
    """Train in one process under torchrun; gradients still go through NCCL (gloo on a CPU)."""
    bench.finished(f"{model}-fp32")
    plain, name = f"{model}-plain", f"{model}-torchrun"
    python(bench, *arguments(bench, model, "fp32", plain, "training.cuda_graphs=false"))  # as under torchrun
    launcher = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=1"]
    output = python(bench, *launcher, *arguments(bench, model, "fp32", name), NCCL_DEBUG="INFO")
    backend = "gloo"
    if bench.device != "cpu":
        version = re.search(r"NCCL version (\S+)", output)
        if not re.search(r"NCCL INFO .*Init COMPLETE", output):
            raise FailedError("NCCL was not used", output)
        backend = f"NCCL {version[1]}" if version else "NCCL"
    return f"one process, {backend}; {compared(bench, model, bench.run(plain), name)}"


def captured(bench: Bench, model: str) -> str:
    """Updates as CUDA graphs, and the same padded updates without: the losses must be equal up to rounding.
    Batches that are not padded are rounded in another order, which training amplifies; reported only.
    """
    output = bench.folder / f"{model}-captured.json"
    script = ROOT / "scripts" / "compare_captured.py"
    options = ["--small"] if bench.small else []
    python(bench, script, "--model", model, "--device", bench.device, "--output", output, *options)
    found = read_json(output)
    line = (
        "{updates} updates, {graphs} graphs, losses differ by up to {apart:.1e}, "
        "from unpadded ones by {padding_apart:.1e}"
    ).format(**found)
    if not found["graphs"] or not found["apart"] <= CAPTURED_AGREE:
        raise FailedError(line)
    return line


def compared(bench: Bench, model: str, uninterrupted: Path, name: str) -> str:
    """Compare a run with the one it must equal, within the usual difference of two runs of the same command.

    Raises:
        FailedError: if they differ by more.
    """
    if model not in bench.apart:
        raise SkippedError("needs two runs of the same command to compare with; the second failed")
    differing, usual = differences(uninterrupted, bench.run(name)), bench.apart[model]
    weight, apart = max(differing.items(), key=lambda item: item[1])
    if apart == 0:
        return "identical weights"
    losses = [
        read_json(run / "training.json")["validations"][-1]["loss"]
        for run in (uninterrupted, bench.run(name))
    ]
    found = (
        f"weights differ by up to {apart:.1e} ({weight}), those of two runs of the same command by up to "
        f"{usual:.1e}; last losses {losses[0]:.5f} and {losses[1]:.5f}"
    )
    if apart > AS_FAR * usual:
        raise FailedError(found)
    return found


def difference(one: Path, other: Path) -> float:
    """The largest difference between the non-EMA weights of two runs."""
    return max(differences(one, other).values())


def differences(one: Path, other: Path) -> dict[str, float]:
    """The largest difference between the non-EMA weights of two runs, by the name of the weight."""
    from safetensors.torch import load_file

    ours, theirs = (load_file(run / "checkpoints" / "last" / "model.safetensors") for run in (one, other))
    return {name: float((ours[name] - theirs[name]).abs().max()) for name in ours}
