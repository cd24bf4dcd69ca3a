"""What a command writes of the translations of lines: plain text, JSON, the worst ones, and warnings."""

import heapq
import json
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from typing import Generic, NamedTuple, Protocol, TypeVar

from nmt.library.translated import FLAGS, Translation

T = TypeVar("T")
_DOUBTFUL = 0.5  # words below are listed with the worst translations


class Line(NamedTuple):
    """A translated line.

    Attributes:
        number: from 1.
        translation: of the line.
    """

    number: int
    translation: Translation


def plain(translation: Translation, nbest: int) -> str:
    """A translation as a line, with its line end; of `nbest` above 1 the texts of all, separated by tabs."""
    if nbest > 1:
        texts = [translation.text, *(one.text for one in translation.alternatives)]
        return "\t".join(text.strip() for text in texts) + "\n"
    return translation.text if translation.text.endswith("\n") else translation.text + "\n"


def as_json(translation: Translation, number: int | None = None) -> str:
    """A translation as a JSON object on a line, with the number of its line if it is given."""
    values = _without_line_end(translation).to_dict()
    return json.dumps(values if number is None else {"line": number, **values}, ensure_ascii=False) + "\n"


def _without_line_end(translation: Translation) -> Translation:
    return replace(
        translation,
        source=translation.source.rstrip("\r\n"),
        text=translation.text.rstrip("\r\n"),
        alternatives=tuple(map(_without_line_end, translation.alternatives)),
    )


class Sink(Protocol):
    """Something that is done with every line, and something at the end."""

    def add(self, line: Line) -> None:
        """Called with every line, in order."""
        ...

    def finish(self) -> None:
        """Called after the last one."""
        ...


class Each(Generic[T]):
    """Writes something of every line.

    Args:
        show: makes what is written.
        write: writes it.
    """

    def __init__(self, show: Callable[[Line], T], write: Callable[[T], object]) -> None:
        self._show, self._write = show, write

    def add(self, line: Line) -> None:
        """Write it."""
        self._write(self._show(line))

    def finish(self) -> None:
        """Nothing is left."""


class Worst:
    """Prints the lines with the lowest confidence, at the end: the least confident first; of equals, the
    earlier one.

    Args:
        count: how many.
        show, write: as for `Each`.
    """

    def __init__(self, count: int, show: Callable[[Line], str], write: Callable[[str], object]) -> None:
        self._count, self._show, self._write = count, show, write
        self._heap: list[tuple[float, int, Translation]] = []

    def add(self, line: Line) -> None:
        """Consider a line; blank ones have nothing to be wrong."""
        number, translation = line
        if translation.segments:
            keep = heapq.heappush if len(self._heap) < self._count else heapq.heappushpop
            keep(self._heap, (-translation.confidence, -number, translation))

    def finish(self) -> None:
        """Print them."""
        for _, number, translation in sorted(self._heap, key=lambda entry: entry[:2], reverse=True):
            self._write(self._show(Line(-number, translation)))


class Warnings:
    """Warns of remarkable translations: once of each kind, when it first occurs, and how many there were.

    Args:
        write: prints a line.
    """

    def __init__(self, write: Callable[[str], object]) -> None:
        self._write = write
        self._counts: Counter[str] = Counter()

    def add(self, line: Line) -> None:
        """Consider a line."""
        for flag in line.translation.flags:
            if not self._counts[flag]:
                self._write(f"warning: line {line.number}: {FLAGS[flag]}\n")
            self._counts[flag] += 1

    def finish(self) -> None:
        """Say how many lines there were, if several."""
        for flag, count in self._counts.items():
            if count > 1:
                self._write(f"warning: {count} lines: {FLAGS[flag]}\n")


def suspect(line: Line) -> str:
    """One of the worst lines: confidence, number, source, translation, doubtful words, and what is
    remarkable, separated by tabs.
    """
    number, translation = line
    doubtful = [
        word.text
        for word in translation.words
        if word.confidence is not None and word.confidence < _DOUBTFUL and word.is_content
    ]
    source, text = (" ".join(one.split()) for one in (translation.source, translation.text))
    columns = [f"{translation.confidence:.2f}", str(number), source, text, " ".join(doubtful)]
    return "\t".join([*columns, ", ".join(translation.flags)]) + "\n"


def examples(line: Line) -> str:
    """The training pairs that a translation is most like, one on a line: how much of it each supports, the
    pair, and the words that it supports, separated by tabs.
    """
    return "".join(
        f"  {one.weight:.2f}\t{one.source}\t{one.target}\t{' '.join(word.text for word in one.words)}\n"
        for one in line.translation.examples or ()
    )
