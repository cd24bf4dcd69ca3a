"""What search needs of a constraint.

Shape: V vocabulary.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np
from numpy.typing import NDArray


class Only(NamedTuple):
    """The next token is one of these."""

    tokens: Sequence[int]


class Except(NamedTuple):
    """The next token is none of these."""

    tokens: Sequence[int]


Allowed = Only | Except
"""Which tokens may come next; end-of-sentence is a token like others."""

ConstraintState = Any
"""Where a hypothesis is in a constraint: an immutable, hashable value of the constraint's own type."""


class Usual(NamedTuple):
    """How much of a constraint is met after most tokens.

    Attributes:
        met: see `Constraint.met`.
        unless: [V], the tokens after which it may be another number; None: there are none.
    """

    met: int
    unless: NDArray[np.bool_] | None = None


@dataclass(frozen=True)
class Watch:
    """How to follow a constraint that only excludes tokens, and mostly none that a model would use: a token
    need not be looked at where nothing of the constraint has begun, unless it is one of `tokens`.

    Attributes:
        tokens: [V], True at those; None: no token is one.
        repeated: whether a token that the hypothesis has already is one, too.
        is_quiet: state → whether nothing has begun. If so for a state, then also for the one after a token
            that need not be looked at.
        excludes: state, token → whether search does not go on with it.
        breaks: state, token → whether the constraint is not met by what has it: of those that are excluded,
            those that are not avoided without need.
    """

    tokens: NDArray[np.bool_] | None
    repeated: bool
    is_quiet: Callable[[ConstraintState], bool]
    excludes: Callable[[ConstraintState, int], bool]
    breaks: Callable[[ConstraintState, int], bool]


class Constraint(Protocol):
    """What the translations of one sentence must be like. A hypothesis ends only where end-of-sentence is
    allowed; a sentence for which no token is left has no translation (an empty list of hypotheses).
    """

    def start(self) -> ConstraintState:
        """The state of the empty hypothesis."""
        ...

    def advance(self, state: ConstraintState, token: int) -> ConstraintState:
        """The state after one more token, which is allowed in `state`; never end-of-sentence. None: the
        constraint is met, and does not matter any more.
        """
        ...

    def allowed(self, state: ConstraintState) -> Allowed | None:
        """The tokens that may come next; None: all."""
        ...

    def wanted(self, state: ConstraintState) -> Sequence[int]:
        """Tokens to consider besides the most probable ones, such as the next of a required phrase. Those
        that are not allowed are left out.
        """
        ...

    def met(self, state: ConstraintState) -> int:
        """How much of the constraint is met, at least 0, in tokens. The slots of the beam are shared among
        the hypotheses with different numbers (dynamic beam allocation: Post and Vilar, 2018).
        """
        ...

    def met_after(self, state: ConstraintState) -> Callable[[int], int]:
        """Token, not end-of-sentence → `met` of the state after it; as `advance` and then `met`, in less time
        where several hypotheses and steps ask for the same.
        """
        ...

    def usual_met(self, state: ConstraintState) -> Usual | None:
        """`met` after most tokens, end-of-sentence included; None: it depends on each."""
        ...

    def forces(self) -> bool:
        """Whether it makes hypotheses have tokens that may be improbable. Then the search ends with the first
        K hypotheses (a patience of 1): the more improbable they are, the more a score per token gains by what
        is added after them, and search would go on to the maximum length.
        """
        ...

    def watch(self) -> Watch | None:
        """How to follow it with less work; None: every token matters."""
        ...
