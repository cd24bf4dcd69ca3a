"""Results of a sweep: each job records its own in its folder; at the end a table shows all jobs."""

import json
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from nmt.errors import NmtError, RunError, StoppedError
from nmt.files import write_json

_RESULT = "result.json"
_LONGEST = 70  # characters of a failure message in the table


@dataclass
class Job:
    """A job of a sweep and its result.

    Attributes:
        number: counted from 0.
        overrides: the overrides of the job, `key=value` each.
        metric: the metric of the score: `training.metric`, or the one that training used instead; None until
            it is known.
        run: the run folder; None until it is known.
        score: the best development score.
        failure: why there is no score.
        signal: the signal that stopped the job, or 0.
        again: whether the job had started before and was requeued by a scheduler.
    """

    number: int
    overrides: Sequence[str]
    metric: str | None = None
    run: str | None = None
    score: float | None = None
    failure: str | None = None
    signal: int = 0
    again: bool = False


@contextmanager
def recorded(folder: Path, number: int, overrides: Sequence[str]) -> Iterator[Job]:
    """Record the result of the job run inside the block in `folder`, used by no other job. The job may run
    in another process than the sweep, or on another machine.
    """
    file = folder / _RESULT
    job = Job(number, overrides, again=file.exists())
    write_json(file, asdict(job))
    try:
        yield job
    except BaseException as error:
        if isinstance(error, StoppedError) and error.score is not None:
            job.score = error.score  # the signal arrived after the last update
        else:
            job.failure, job.signal = _reason(error)
        raise
    finally:
        job.metric = _metric_used(job)
        write_json(file, asdict(job))


def _metric_used(job: Job) -> str | None:
    """The metric recorded by a finished run, else the one known so far."""
    try:
        record = json.loads((Path(str(job.run)) / "training.json").read_text(encoding="utf-8"))
        return str(record["metric"])
    except (OSError, ValueError, TypeError, KeyError):
        return job.metric


def _reason(error: BaseException) -> tuple[str, int]:
    """The reason why a job has no score, and the signal that stopped it, or 0."""
    text = " ".join(str(error).split())
    if isinstance(error, StoppedError):
        return text, error.code - 128
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "interrupted", signal.SIGINT if isinstance(error, KeyboardInterrupt) else signal.SIGTERM
    return (text if isinstance(error, NmtError) else f"{type(error).__name__}: {text}"), 0


def read_jobs(sweep: Path) -> list[Job]:
    """The jobs of a sweep that have started, from its folder.

    Raises:
        RunError: for a corrupt record.
    """
    return sorted(map(_read, sweep.rglob(_RESULT)), key=lambda job: job.number)


def _read(file: Path) -> Job:
    try:
        return Job(**json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise RunError(
            f"{file}: corrupt, so there is no table of the sweep; its runs are not affected"
        ) from error


def failures(jobs: Sequence[Job]) -> list[NmtError]:
    """The failures of a sweep as at most one error; a signal takes precedence over other failures."""
    failed = [job for job in jobs if job.failure is not None]
    stopped = [job for job in failed if job.signal]
    if stopped:
        return [StoppedError(str(stopped[0].failure), stopped[0].signal)]
    several = f"{len(failed)} jobs of the sweep failed; the first: " if len(failed) > 1 else ""
    return [NmtError(f"{several}{job.failure}") for job in failed[:1]]


# ---------------------------------------------------------------- the table


@contextmanager
def table_at_end(folder: Path, varying: Sequence[str]) -> Iterator[None]:
    """Print the table of the sweep in `folder` at the end of the block, also when SIGTERM ends it.

    Args:
        folder: of the sweep.
        varying: the keys of the settings that vary.
    """
    at_termination = signal.getsignal(signal.SIGTERM)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, at_termination)
        jobs = read_jobs(folder)
        if jobs:
            print("", table(jobs, varying), sep="\n", flush=True)


def table(jobs: Sequence[Job], varying: Sequence[str]) -> str:
    """The jobs of a sweep as a table, best first, with their varying settings and development scores.

    Args:
        jobs: at least one.
        varying: the keys of the settings that vary.
    """
    metrics = {job.metric for job in jobs if job.metric is not None}
    score = f"dev {metrics.pop()}" if len(metrics) == 1 else "dev score"
    rows = [[*varying, score, "run", ""]]
    for job in sorted(jobs, key=_sort_key):
        values = dict(override.split("=", 1) for override in job.overrides)
        run = job.run if job.run and Path(job.run).exists() else ""
        settings = [_short(values.get(key, "")) for key in varying]
        rows.append([*settings, _score(job), run, _shortened(job.failure or "")])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    right = len(varying)  # the score column
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column == right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def direction_of(metric: str) -> str:
    """The direction in which a metric improves, as Optuna calls it."""
    from nmt.training.selection import LOWER_IS_BETTER

    return "minimize" if metric in LOWER_IS_BETTER else "maximize"


def _sort_key(job: Job) -> tuple[bool, str, float, int]:
    """Failed jobs last, jobs grouped by metric, then the best score first."""
    score = job.score or 0.0
    return (
        job.score is None,
        job.metric or "",
        score if direction_of(str(job.metric)) == "minimize" else -score,
        job.number,
    )


def _score(job: Job) -> str:
    if job.failure is not None:
        return "stopped" if job.signal else "failed"
    if job.score is None:
        return "unfinished"
    return f"{job.score:.4f}" if job.metric == "loss" else f"{job.score:.2f}"


def _short(value: str) -> str:
    """A long number (drawn by a sampler) rounded to four significant digits."""
    try:
        return f"{float(value):.4g}" if len(value) > 8 else value
    except ValueError:
        return value


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1].rstrip() + "…"
