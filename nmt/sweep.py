"""A sweep: what became of each job is kept in its folder; at the end a table shows them all."""

import json
import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from nmt.errors import NmtError, RunError, StoppedError
from nmt.files import write_json

_RESULT = "result.json"
_LONGEST = 70  # characters of a reason


class Refused(BaseException):
    """A sweep that cannot be. No `Exception`, of which Hydra would make a warning.

    Args:
        error: why.
    """

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


@dataclass
class Job:
    """A job of a sweep, and what became of it.

    Attributes:
        number: from 0.
        words: its settings, `key=value` each.
        metric: what its score is: `training.metric`, or what the training used in its place; None before
            that is known.
        run: its run folder; likewise.
        score: the best on the development part.
        failure: why there is none.
        signal: the signal that stopped it, or 0.
        again: whether it had begun before, and a scheduler has sent it again.
    """

    number: int
    words: Sequence[str]
    metric: str | None = None
    run: str | None = None
    score: float | None = None
    failure: str | None = None
    signal: int = 0
    again: bool = False


@contextmanager
def recorded(folder: Path, number: int, words: Sequence[str]) -> Iterator[Job]:
    """Write into `folder`, which it has alone, what becomes of a job inside. That may be another process
    than the sweep's, or another machine.
    """
    file = folder / _RESULT
    job = Job(number, words, again=file.exists())
    write_json(file, asdict(job))
    try:
        yield job
        job.metric = _metric_used(job)
    except BaseException as error:
        job.failure, job.signal = _reason(error)
        raise
    finally:
        write_json(file, asdict(job))


def _metric_used(job: Job) -> str | None:
    """What a finished training says that its score is; else what is known so far."""
    try:
        record = json.loads((Path(str(job.run)) / "training.json").read_text(encoding="utf-8"))
        return str(record["metric"])
    except (OSError, ValueError, TypeError, KeyError):
        return job.metric


def _reason(error: BaseException) -> tuple[str, int]:
    """Why a job has no score, and the signal that stopped it, or 0."""
    text = " ".join(str(error).split())
    if isinstance(error, StoppedError):
        return text, error.code - 128
    if isinstance(error, KeyboardInterrupt | SystemExit):
        return "interrupted", signal.SIGINT if isinstance(error, KeyboardInterrupt) else signal.SIGTERM
    return (text if isinstance(error, NmtError) else f"{type(error).__name__}: {text}"), 0


def read_jobs(sweep: Path) -> list[Job]:
    """The jobs of the sweep in a folder that have begun.

    Raises:
        RunError: for a damaged record.
    """
    return sorted(map(_read, sweep.rglob(_RESULT)), key=lambda job: job.number)


def _read(file: Path) -> Job:
    try:
        return Job(**json.loads(file.read_text(encoding="utf-8")))
    except (ValueError, TypeError) as error:
        raise RunError(f"{file}: damaged; the sweep has no table. Its runs are whole") from error


def errors(jobs: Sequence[Job]) -> list[NmtError]:
    """Why jobs of a sweep have no score, as one error if there is any: a signal counts more than the rest."""
    failed = [job for job in jobs if job.failure is not None]
    stopped = [job for job in failed if job.signal]
    if stopped:
        return [StoppedError(str(stopped[0].failure), stopped[0].signal)]
    several = f"{len(failed)} jobs of the sweep failed; the first: " if len(failed) > 1 else ""
    return [NmtError(f"{several}{job.failure}") for job in failed[:1]]


# ---------------------------------------------------------------- the table


def table(jobs: Sequence[Job], varying: Sequence[str]) -> str:
    """The jobs of a sweep, the best first, with the settings that vary and the development score of each.

    Args:
        jobs: at least one.
        varying: the keys of the settings that vary.
    """
    metrics = {job.metric for job in jobs if job.metric is not None}
    score = f"dev {metrics.pop()}" if len(metrics) == 1 else "dev score"
    rows = [[*varying, score, "run", ""]]
    for job in sorted(jobs, key=_place):
        values = dict(word.split("=", 1) for word in job.words)
        run = job.run if job.run and Path(job.run).exists() else ""
        settings = [_short(values.get(key, "")) for key in varying]
        rows.append([*settings, _score(job), run, _cut(job.failure or "")])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    right = len(varying)  # the scores' column
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column == right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    )


def _place(job: Job) -> tuple[bool, str, float, int]:
    """Its place in the table: failed ones last, another metric is another competition."""
    from nmt.training.selection import LOWER_IS_BETTER

    score = job.score or 0.0
    return (
        job.score is None,
        job.metric or "",
        score if job.metric in LOWER_IS_BETTER else -score,
        job.number,
    )


def _score(job: Job) -> str:
    if job.failure is not None:
        return "stopped" if job.signal else "failed"
    if job.score is None:
        return "unfinished"
    return f"{job.score:.4f}" if job.metric == "loss" else f"{job.score:.2f}"


def _short(value: str) -> str:
    """A number that a sampler drew, with the digits that matter."""
    try:
        return f"{float(value):.4g}" if len(value) > 8 else value
    except ValueError:
        return value


def _cut(text: str) -> str:
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1].rstrip() + "…"
