"""Stopping on a signal without losing anything."""

import signal
from types import FrameType, TracebackType

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGUSR1)


class StopSignals:
    """While entered, SIGINT (Ctrl-C), SIGTERM, and SIGUSR1 (Slurm's warning before the time limit) are
    only noted, so that work can come to a good end. A second Ctrl-C leaves at once.

    Attributes:
        received: the number of the first signal, or None; SIGUSR1 counts as SIGTERM.
    """

    def __init__(self) -> None:
        self.received: int | None = None
        self._before: dict[int, object] = {}

    def __enter__(self) -> "StopSignals":
        for number in _SIGNALS:
            self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        if self.received is not None and number == signal.SIGINT:
            raise KeyboardInterrupt
        self.received = self.received or (signal.SIGTERM if number == signal.SIGUSR1 else number)
