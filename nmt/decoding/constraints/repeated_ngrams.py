"""No sequence of n subwords twice (Paulus et al., 2018, A deep reinforced model for abstractive
summarization)."""

from nmt.decoding.constraint import Allowed, Except, Watch
from nmt.decoding.constraints.excluding import Excluding

State = tuple[int, ...]
"""All tokens so far."""


class NoRepeatedNgrams(Excluding):
    """A constraint (see `nmt.decoding.constraint.Constraint`): a token that would repeat an n-gram of the
    hypothesis is not allowed.

    Args:
        n: at least 1.
    """

    def __init__(self, n: int) -> None:
        self._n = n

    def start(self) -> State:
        """No tokens."""
        return ()

    def advance(self, state: State, token: int) -> State:
        """One more token."""
        return (*state, token)

    def allowed(self, state: State) -> Allowed | None:
        """All tokens but those that followed the last n - 1 before."""
        first = len(state) - self._n + 1
        if first < 0:
            return None
        last = state[first:]
        banned = {
            state[end] for end in range(self._n - 1, len(state)) if state[end - self._n + 1 : end] == last
        }
        return Except(tuple(sorted(banned))) if banned else None

    def never(self, state: State) -> None:
        """No token is ruled out where another constraint needs it."""

    def watch(self) -> Watch:
        """Only a token that the hypothesis has already can repeat anything."""
        return Watch(None, True, lambda state: True, self._repeats, self._repeats)

    def _repeats(self, state: State, token: int) -> bool:
        allowed = self.allowed(state)
        return allowed is not None and token in allowed.tokens
