"""Several constraints on one sentence."""

from collections.abc import Sequence

from nmt.decoding.constraints.repeated_ngrams import NoRepeatedNgrams
from nmt.decoding.interface import Allowed, Constraint, ConstraintState, Except, Only

State = tuple[ConstraintState, ...]
"""That of each constraint."""


class All:
    """A constraint (see `nmt.decoding.interface.Constraint`) that is met if all of several are.

    That n-grams are not repeated comes last: where another constraint says which tokens may come, it has no
    say, and it never rules out the next token of a phrase that is required.

    Args:
        constraints: at least one.
    """

    def __init__(self, constraints: Sequence[Constraint]) -> None:
        self._constraints = tuple(constraints)

    def start(self) -> State:
        """The first state of each."""
        return tuple(constraint.start() for constraint in self._constraints)

    def advance(self, state: State, token: int) -> State:
        """The state of each after one more token."""
        return tuple(
            constraint.advance(own, token) for constraint, own in zip(self._constraints, state, strict=True)
        )

    def allowed(self, state: State) -> Allowed | None:
        """What all allow."""
        only: list[int] | None = None
        banned: set[int] = set()
        repeating: set[int] = set()
        for constraint, own in zip(self._constraints, state, strict=True):
            found = constraint.allowed(own)
            if isinstance(found, Only):
                only = [token for token in found.tokens if only is None or token in only]
            elif isinstance(found, Except):
                (repeating if isinstance(constraint, NoRepeatedNgrams) else banned).update(found.tokens)
        if only is not None:
            return Only(tuple(token for token in only if token not in banned))
        if repeating:
            banned |= repeating.difference(self.wanted(state))
        return Except(tuple(sorted(banned))) if banned else None

    def wanted(self, state: State) -> Sequence[int]:
        """What any wants."""
        found = {
            token
            for constraint, own in zip(self._constraints, state, strict=True)
            for token in constraint.wanted(own)
        }
        return tuple(sorted(found))

    def met(self, state: State) -> int:
        """The sum."""
        return sum(constraint.met(own) for constraint, own in zip(self._constraints, state, strict=True))
