"""Stopping on a signal without losing anything."""

import signal
import time
from types import FrameType, TracebackType

_HANGUP, _WARNING = (getattr(signal, name, None) for name in ("SIGHUP", "SIGUSR1"))  # not on Windows
_SIGNALS = [number for number in (signal.SIGINT, signal.SIGTERM, _HANGUP, _WARNING) if number is not None]


class StopSignals:
    """While entered, SIGINT (Ctrl-C), SIGTERM, SIGHUP (the terminal is closed; not under nohup) and SIGUSR1
    (Slurm's warning before the time limit) are only noted, so that work can come to a good end. A second
    Ctrl-C leaves at once. What the platform does not have is left out.

    Args:
        echo: seconds in which a second Ctrl-C is taken for the same one: a launcher passes on to its
            processes what the terminal has sent them already.

    Attributes:
        received: the number of the first signal, or 0; SIGUSR1 counts as SIGTERM.
    """

    def __init__(self, echo: float = 0.0) -> None:
        self.received = 0
        self._echo, self._since = echo, 0.0
        self._before: dict[int, object] = {}

    def __enter__(self) -> "StopSignals":
        for number in _SIGNALS:
            if number != _HANGUP or signal.getsignal(number) != signal.SIG_IGN:
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        now = time.monotonic()
        if self.received and number == signal.SIGINT and now - self._since >= self._echo:
            raise KeyboardInterrupt
        if not self.received:
            self.received, self._since = (signal.SIGTERM if number == _WARNING else number), now
