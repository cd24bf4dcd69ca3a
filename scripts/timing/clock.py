"""Timing of work on a device, and GPU utilisation."""

import json
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch


def repeated(
    work: Callable[[], int], device: torch.device, seconds: float, at_least: int
) -> tuple[int, int, float]:
    """Repeat `work` for `seconds`; returns the sum of its results, the number of calls, and the time."""
    total, count = 0, 0
    wait(device)
    started = time.perf_counter()
    while count < at_least or time.perf_counter() - started < seconds:
        total += work()
        count += 1
    wait(device)
    return total, count, time.perf_counter() - started


def wait(device: torch.device) -> None:
    """Synchronise with the device."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def profiled(
    work: Callable[[], int], device: torch.device, times: int
) -> tuple[float, float] | tuple[None, None]:
    """GPU time in seconds and number of kernels per call of `work`; None if they cannot be measured.

    The profiler slows down the CPU, not the kernels; wall-clock time is measured without it, by `repeated`.
    """
    if device.type != "cuda":
        return None, None
    with torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA]) as profile:
        for _ in range(times):
            work()
        wait(device)
    with tempfile.TemporaryDirectory() as folder:
        trace = Path(folder) / "trace.json"
        profile.export_chrome_trace(str(trace))
        events = json.loads(trace.read_bytes())["traceEvents"]
    seconds, kernels = gpu_time(events)
    return (seconds / times, kernels / times) if kernels else (None, None)


def gpu_time(events: Sequence[dict[str, Any]]) -> tuple[float, int]:
    """Seconds in which a kernel or copy was running (overlaps counted once), and number of kernels.

    Args:
        events: the events of a Chrome trace, times in microseconds.
    """
    work = [event for event in events if event.get("cat") in ("kernel", "gpu_memcpy", "gpu_memset")]
    busy, until = 0.0, float("-inf")
    for start, end in sorted((event["ts"], event["ts"] + event["dur"]) for event in work):
        busy += max(0.0, end - max(start, until))
        until = max(until, end)
    return busy / 1e6, sum(event["cat"] == "kernel" for event in work)
