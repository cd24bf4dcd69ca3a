"""Comparison of n-best lists."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

TOLERANCE = 1e-5  # of a score: log-probability / length, or what the method ranks by
EXPORTED = 1e-4  # of one computed by another runtime
_SHOWN = 5  # sentences that differ


class Found(NamedTuple):
    """A translation in an n-best list."""

    text: str
    score: float


NBest = Sequence[Found]


@dataclass(frozen=True)
class Comparison:
    """How much some results differ from those expected.

    Attributes:
        name: what is compared.
        sentences: their number.
        texts: how many of them have another best translation.
        lists: how many have another n-best list, the order included.
        difference: the largest of a score, where the lists are the same.
        tolerance: of a score.
        examples: a line about each of the first sentences that differ.
    """

    name: str
    sentences: int
    texts: int
    lists: int
    difference: float
    tolerance: float
    examples: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Whether nothing differs."""
        return self.lists == 0 and self.difference <= self.tolerance

    def row(self) -> str:
        """A line of a table in Markdown."""
        return f"| {self.name} | {self.sentences:,} | {self.texts} | {self.lists} | {self.difference:.1e} |"


def compare(
    name: str,
    expected: Mapping[str, NBest],
    results: Iterable[tuple[str, NBest]],
    tolerance: float = TOLERANCE,
) -> Comparison:
    """Compare n-best lists with those expected.

    Args:
        name: what is compared.
        expected: by sentence.
        results: sentences and what was found for them; others than those expected are left out.
        tolerance: of a score.
    """
    count = texts = lists = 0
    difference = 0.0
    examples: list[str] = []
    for sentence, found in results:
        if sentence not in expected:
            continue
        count += 1
        right = expected[sentence]
        if [one.text for one in found] == [one.text for one in right]:
            apart = max(
                (abs(one.score - other.score) for one, other in zip(found, right, strict=True)), default=0.0
            )
            difference = max(difference, apart)
            if apart <= tolerance:
                continue
        else:
            lists += 1
            texts += [one.text for one in found[:1]] != [one.text for one in right[:1]]
        if len(examples) < _SHOWN:
            examples.append(f"{name}: {sentence!r}: {_listed(found)} instead of {_listed(right)}")
    return Comparison(name, count, texts, lists, difference, tolerance, tuple(examples))


def _listed(found: NBest) -> str:
    return "; ".join(f"{one.text!r} {one.score:.6f}" for one in found)
