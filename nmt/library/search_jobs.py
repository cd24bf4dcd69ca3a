"""The searches of segments: what is asked for, and what comes of it."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from nmt.decoding.result import Translation as Found
from nmt.decoding.tree import SearchTree
from nmt.errors import NmtError
from nmt.library.attempts import Attempt
from nmt.library.options import TranslationOptions
from nmt.library.steering import Steering

_T = TypeVar("_T")
_FIRST_PART = 8  # segments


@dataclass(frozen=True)
class Job:
    """A segment to translate.

    Attributes:
        text: the segment.
        options: of its document.
        steering: what is asked of its translation.
    """

    text: str
    options: TranslationOptions
    steering: Steering


@dataclass(frozen=True)
class JobResult:
    """What was found for a segment.

    Attributes:
        job: its index.
        found: the hypotheses, best first; none if it was cancelled, or if there is an error.
        error: why there are none.
        tree: the beam, if it was asked for.
        then: it is to be searched again; None: this is the result.
    """

    job: int
    found: list[Found] = field(default_factory=list)
    error: NmtError | None = None
    tree: SearchTree | None = None
    then: Attempt | None = None


class Beginning(NamedTuple):
    """What the translation of a segment will begin with, whatever the search still finds.

    Attributes:
        job: its index.
        tokens: without end-of-sentence.
    """

    job: int
    tokens: list[int]


def same_jobs(jobs: Sequence[Job]) -> dict[int, list[int]]:
    """Jobs that have the same results, as a result depends on nothing but what is asked for: for the first of
    them, all, itself included; each in order.
    """
    groups: dict[tuple[object, ...], list[int]] = {}
    for index, job in enumerate(jobs):
        steering = job.steering
        key = job.text, id(job.options), id(steering.request), steering.given
        groups.setdefault(key, []).append(index)
    return {group[0]: group for group in groups.values()}


def in_parts(every: Sequence[_T]) -> Iterator[Sequence[_T]]:
    """All of them, in order: a few first, then twice as many each time."""
    start, count = 0, _FIRST_PART
    while start < len(every):
        yield every[start : start + count]
        start, count = start + count, 2 * count
