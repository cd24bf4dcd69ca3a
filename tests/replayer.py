"""A recorder of CUDA graphs that needs no GPU."""

from collections.abc import Callable
from dataclasses import dataclass, field

Work = Callable[[], None]


@dataclass
class Replayer:
    """Runs the captured work again at each replay: it reads the inputs of the capture, as a graph does.

    Attributes:
        fails: the capture, from 1, at which `error` is called; 0: none.
        error: raises the error of a capture that fails.
        events: what has happened.
    """

    fails: int = 0
    error: Callable[[], None] = field(default=lambda: None)
    events: list[str] = field(default_factory=list)

    def eagerly(self, work: Work) -> None:
        self.events.append("eager")
        work()

    def capture(self, work: Work) -> Work:
        self.events.append("capture")
        if self.events.count("capture") == self.fails:
            self.error()

        def replay() -> None:
            self.events.append("replay")
            work()

        return replay
