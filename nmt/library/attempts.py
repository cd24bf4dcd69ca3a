"""How often a segment is searched, and which result stands.

A translation that meets what is asked of it, without being made to, is what it is without. So where that is
likely (what is kept, forbidden phrases, n-grams) a segment is searched without its constraint, too. Phrases
that are named, in a list or a glossary, are mostly those that the model would not use: with them, and with a
prefix, a segment is searched once.

A constraint that only excludes tokens is followed beside the search without it (`SearchOptions.free`), which
is the same one until a token is excluded. With what is kept, the search without comes first.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from nmt.decoding.constraints.builder import Built
from nmt.decoding.result import Translation as Found


class Attempt(NamedTuple):
    """One search of a segment.

    Attributes:
        constrained: with its constraint; without, only hypotheses count that meet it.
        free: both, at the same time.
        replacing: with placeholders for what is kept.
    """

    constrained: bool = True
    free: bool = False
    replacing: bool = True


@dataclass
class Tried:
    """What the attempts at a segment have found so far.

    Attributes:
        free: without the constraint, if the best hypothesis meets it: those that do.
        constrained: with it.
    """

    free: list[Found] = field(default_factory=list)
    constrained: list[Found] = field(default_factory=list)

    def best(self, nbest: int) -> list[Found]:
        """The hypotheses to return: those that were found without the constraint come first."""
        known = {tuple(one.target.ids) for one in self.free}
        others = [one for one in self.constrained if tuple(one.target.ids) not in known]
        return [*self.free, *others][:nbest]


def first_attempt(built: Built | None, method: str, replacing: bool = False) -> Attempt:
    """Where to begin.

    Args:
        built: the constraint.
        method: of decoding; only beam search is repeated.
        replacing: whether there are placeholders; only the result tells whether they do.
    """
    if built is None or built.constraint is None or not built.often_met or method != "beam":
        return Attempt()
    both = not replacing and built.constraint.watch() is not None
    return Attempt(constrained=both, free=both)


def next_attempt(attempt: Attempt, tried: Tried, nbest: int, restored: bool) -> Attempt | None:
    """What to try after an attempt; None: what has been found stands.

    Args:
        attempt: the one that was made.
        tried: what has been found, with it.
        nbest: the number of hypotheses that are wanted.
        restored: False: what is kept did not get back to its place; placeholders do not do.
    """
    if not attempt.constrained:
        return None if len(tried.free) >= nbest else Attempt()
    return None if restored else Attempt(replacing=False)


def meeting(found: Sequence[Found], built: Built) -> list[Found]:
    """The hypotheses that meet a constraint, if the best one does."""
    met = [one for one in found if built.is_met_by(one.target.ids)]
    return met if met and met[0] is found[0] else []
