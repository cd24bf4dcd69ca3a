"""Several constraints on one sentence."""

from collections.abc import Callable, Sequence

import numpy as np

from nmt.decoding.constraint import Allowed, Constraint, ConstraintState, Except, Only, Usual, Watch
from nmt.decoding.constraints.excluding import Excluding
from nmt.decoding.constraints.forbidden import ForbiddenPhrases
from nmt.decoding.constraints.repeated_ngrams import NoRepeatedNgrams
from nmt.decoding.interface import Booleans

_AVOIDING = ForbiddenPhrases, NoRepeatedNgrams
State = tuple[ConstraintState, ...]
"""That of each constraint."""


class All:
    """A constraint (see `nmt.decoding.constraint.Constraint`) that is met if all of several are.

    What forbidden phrases and repeated n-grams avoid without need is allowed where another constraint says
    which tokens may come, or wants them for a phrase that is required.

    Args:
        constraints: at least one.

    Attributes:
        constraints: these.
    """

    def __init__(self, constraints: Sequence[Constraint]) -> None:
        self.constraints = tuple(constraints)

    def start(self) -> State:
        """The first state of each."""
        return tuple(constraint.start() for constraint in self.constraints)

    def advance(self, state: State | None, token: int) -> State | None:
        """The state of each after one more token; None: none matters any more."""
        if state is None:
            return None
        found = tuple(
            None if own is None else constraint.advance(own, token)
            for constraint, own in zip(self.constraints, state, strict=True)
        )
        return found if any(own is not None for own in found) else None

    def allowed(self, state: State | None) -> Allowed | None:
        """What all allow."""
        if state is None:
            return None
        only: Sequence[int] | None = None
        banned: set[int] = set()
        avoided: set[int] = set()
        for constraint, own in zip(self.constraints, state, strict=True):
            found = constraint.allowed(own)
            if isinstance(found, Only):
                only = [token for token in found.tokens if only is None or token in only]
            elif isinstance(found, Except):
                (avoided if isinstance(constraint, _AVOIDING) else banned).update(found.tokens)
        needed = self.wanted(state) if only is None else only
        if avoided.intersection(needed):
            avoided.difference_update(set(needed).difference(self._never(state)))
        banned |= avoided
        if only is not None:
            return Only(tuple(token for token in only if token not in banned))
        return Except(tuple(sorted(banned))) if banned else None

    def _never(self, state: State) -> set[int]:
        """The tokens that are avoided, needed or not."""
        return {
            token
            for constraint, own in zip(self.constraints, state, strict=True)
            if isinstance(constraint, _AVOIDING)
            for token in (constraint.never(own) or Except(())).tokens
        }

    def wanted(self, state: State | None) -> Sequence[int]:
        """What any wants."""
        if state is None:
            return ()
        found = {
            token
            for constraint, own in zip(self.constraints, state, strict=True)
            for token in constraint.wanted(own)
        }
        return tuple(sorted(found))

    def met(self, state: State | None) -> int:
        """The sum."""
        states = [None] * len(self.constraints) if state is None else state
        return sum(constraint.met(own) for constraint, own in zip(self.constraints, states, strict=True))

    def met_after(self, state: State | None) -> Callable[[int], int]:
        """The sum."""
        total, parts = 0, list[Callable[[int], int]]()
        states = [None] * len(self.constraints) if state is None else state
        for constraint, own in zip(self.constraints, states, strict=True):
            if own is None:
                total += constraint.met(None)
            elif not isinstance(constraint, Excluding):
                parts.append(constraint.met_after(own))
        return lambda token: total + sum(part(token) for part in parts)

    def usual_met(self, state: State | None) -> Usual | None:
        """The sum, if all know theirs."""
        states = [None] * len(self.constraints) if state is None else state
        total, tables = 0, list[Booleans]()
        for constraint, own in zip(self.constraints, states, strict=True):
            usual = Usual(constraint.met(None)) if own is None else constraint.usual_met(own)
            if usual is None:
                return None
            total += usual.met
            if usual.unless is not None:
                tables.append(usual.unless)
        return Usual(
            total, np.logical_or.reduce(tables) if len(tables) > 1 else tables[0] if tables else None
        )

    def forces(self) -> bool:
        """Whether any does."""
        return any(constraint.forces() for constraint in self.constraints)

    def watch(self) -> Watch | None:
        """The tokens that matter to any, if all know theirs."""
        watches = [constraint.watch() for constraint in self.constraints]
        known = [watch for watch in watches if watch is not None]
        if len(known) < len(watches):
            return None
        tables = [watch.tokens for watch in known if watch.tokens is not None]
        return Watch(
            np.logical_or.reduce(tables) if tables else None,
            any(watch.repeated for watch in known),
            lambda state: all(watch.is_quiet(own) for watch, own in zip(known, state, strict=True)),
            lambda state, token: any(one.excludes(own, token) for one, own in zip(known, state, strict=True)),
            lambda state, token: any(one.breaks(own, token) for one, own in zip(known, state, strict=True)),
        )
