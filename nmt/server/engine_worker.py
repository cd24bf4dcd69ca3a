"""A process that translates for the server: see `nmt.server.engine_processes`, which starts it.

It receives calls, each a function of this module and its arguments, and the numbers of texts that are given
up. It sends "ready"; "report" and "finished", with the number of a text; and "result" or "error", with which
a call ends.
"""

import signal
import traceback
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from nmt.allocator import return_freed_memory
from nmt.errors import NmtError
from nmt.library.options import TranslationOptions
from nmt.server.engine import Engine, Outcome, Result

Load = Callable[[], Engine]
"""Loads the model; a function that can be pickled."""


@dataclass
class _Cancelled:
    """The texts of the call that are given up, as the server says."""

    connection: Connection
    texts: set[int] = field(default_factory=set)

    def __call__(self, text: int = 0) -> bool:
        while self.connection.poll():
            self.texts.add(self.connection.recv())
        return text in self.texts


def answer_calls(load: Load, connection: Connection) -> None:
    """Load the model, and answer calls until the server closes the pipe or ends."""
    for name in ("SIGINT", "SIGTERM", "SIGHUP"):  # the server finishes what it has accepted
        if number := getattr(signal, name, None):
            signal.signal(number, signal.SIG_IGN)
    return_freed_memory()
    with suppress(EOFError, OSError, KeyboardInterrupt):
        try:
            engine = load()
            connection.send(("ready", None))
        except Exception as error:
            connection.send(("error", _sendable(error)))
            return
        while True:
            message = connection.recv()
            if isinstance(message, int):  # a text of the call before was given up when it was done
                continue
            function, arguments = message
            try:
                connection.send(("result", function(engine, connection, *arguments)))
            except (EOFError, OSError):
                raise
            except Exception as error:
                connection.send(("error", _sendable(error)))


def translate(
    engine: Engine,
    connection: Connection,
    batches: int,
    texts: list[str],
    options: list[TranslationOptions],
    streamed: list[int],
) -> list[Outcome]:
    """`Engine.translate_batch`, while so many batches are translated."""
    engine.share_threads(batches)
    return list(
        engine.translate_batch(
            texts,
            options,
            cancelled=_Cancelled(connection),
            report=lambda text, piece: connection.send(("report", text, piece)),
            streamed=streamed,
            finished=lambda text, outcome: connection.send(("finished", text, outcome)),
        )
    )


def alternatives(
    engine: Engine,
    connection: Connection,
    batches: int,
    text: str,
    prefix: str,
    count: int,
    options: TranslationOptions,
) -> list[Result]:
    """`Engine.alternatives`, likewise."""
    engine.share_threads(batches)
    return list(engine.alternatives(text, prefix, count, options, cancelled=_Cancelled(connection)))


def _sendable(error: Exception) -> Exception:
    """An error as the server raises it again; of an internal one the traceback is its text."""
    return error if isinstance(error, NmtError) else RuntimeError("".join(traceback.format_exception(error)))
