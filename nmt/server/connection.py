"""A connection of uvicorn's that does not wait forever for its client."""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

READING = 30.0  # seconds for a client to read some of what is sent


class Connection(H11Protocol):
    """uvicorn closes a connection that is idle between two requests. This one is also closed if its first
    request does not come, if the head of a request comes too slowly, or if a client goes on sending a request
    that has been answered already, or does not read the answer.
    """

    _timer: asyncio.TimerHandle | None = None
    _writing: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """Begin to wait for the first request; or, if there are far too many connections, close it at once:
        a process that may open no more files could not even refuse it.
        """
        super().connection_made(transport)
        if self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency:
            self.connections.discard(self)
            self.transport.abort()
        else:
            self._watch()

    def data_received(self, data: bytes) -> None:
        """Read, and wait for a request unless one is being answered."""
        super().data_received(data)
        self._watch()

    def send_400_response(self, msg: str) -> None:
        """Answer what is not HTTP; where the answer to the same request has begun, only close."""
        if self.conn.our_state in (h11.IDLE, h11.SEND_RESPONSE):
            super().send_400_response(msg)
        else:
            self.transport.close()

    def connection_lost(self, exc: Exception | None) -> None:
        """Stop waiting."""
        super().connection_lost(exc)
        self._stop()
        self._stop_writing()

    def pause_writing(self) -> None:
        """Begin to wait for the client to read."""
        super().pause_writing()
        self._await_reading(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """Stop waiting: it has read."""
        super().resume_writing()
        self._stop_writing()

    def _await_reading(self, left: int) -> None:
        self._stop_writing()
        self._writing = self.loop.call_later(READING, self._check_reading, left)

    def _check_reading(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if left < before:
            self._await_reading(left)
        else:
            self.transport.abort()

    def _stop_writing(self) -> None:
        if self._writing is not None:
            self._writing.cancel()
            self._writing = None

    def _answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    def _watch(self) -> None:
        if self._answering():
            self._stop()
        elif self._timer is None:
            self._timer = self.loop.call_later(self.timeout_keep_alive, self._expired)

    def _stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expired(self) -> None:
        self._timer = None
        if not self._answering():
            self.transport.close()
