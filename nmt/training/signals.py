"""Graceful stop on a signal."""

import signal
import time
from types import FrameType, TracebackType

from nmt.errors import StoppedError

_HANGUP, _WARNING = (getattr(signal, name, None) for name in ("SIGHUP", "SIGUSR1"))  # not on Windows
STOP_SIGNALS = [number for number in (signal.SIGINT, signal.SIGTERM, _HANGUP, _WARNING) if number is not None]
"""The signals that stop a training, of those that the platform has."""


class StopSignals:
    """Inside, SIGINT (Ctrl-C), SIGTERM, SIGHUP (terminal closed; ignored under nohup) and SIGUSR1 (Slurm's
    warning before the time limit) are only recorded, so that training can save and stop cleanly. A second
    Ctrl-C raises KeyboardInterrupt immediately. Signals that the platform lacks are not handled.

    Args:
        echo: seconds within which a second Ctrl-C is treated as the same one: launchers forward to their
            processes a Ctrl-C that the terminal has already sent to them.

    Attributes:
        received: the number of the first signal, or 0; SIGUSR1 is recorded as SIGTERM.
    """

    def __init__(self, echo: float = 0.0) -> None:
        self.received = 0
        self._echo, self._since = echo, 0.0
        self._before: dict[int, object] = {}

    def __enter__(self) -> "StopSignals":
        for number in STOP_SIGNALS:
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


class StopAtOnce(StopSignals):
    """Inside, where nothing is lost by stopping at any time, the first of the same signals raises an error.

    Args:
        message: of the error, such as how to resume.
    """

    def __init__(self, message: str) -> None:
        super().__init__()
        self._message = message

    def _note(self, number: int, frame: FrameType | None) -> None:
        first = not self.received
        super()._note(number, frame)
        if first:
            raise StoppedError(self._message, self.received)
