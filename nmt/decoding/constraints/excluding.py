"""What constraints have in common that only exclude tokens."""

from collections.abc import Callable, Sequence

from nmt.decoding.constraint import ConstraintState, Usual, Watch


class Excluding:
    """The part of a constraint (see `nmt.decoding.constraint.Constraint`) that wants no token."""

    def wanted(self, state: ConstraintState) -> Sequence[int]:
        """None in particular."""
        return ()

    def met(self, state: ConstraintState) -> int:
        """Always 0: there is nothing to reach."""
        return 0

    def met_after(self, state: ConstraintState) -> Callable[[int], int]:
        """Always 0."""
        return _nothing

    def usual_met(self, state: ConstraintState) -> Usual:
        """Always 0."""
        return Usual(0)

    def forces(self) -> bool:
        """False: it only excludes tokens."""
        return False

    def watch(self) -> Watch | None:
        """None, unless the constraint knows which tokens matter."""
        return None


def _nothing(token: int) -> int:
    return 0
