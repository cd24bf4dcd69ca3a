"""`/v1/stream`: a translation as server-sent events, while it is searched for."""

import asyncio
from typing import Any

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from nmt.errors import NmtError
from nmt.server.engine import Result
from nmt.server.jobs import Job
from nmt.server.payload import Ask, RequestError, as_json, error_content
from nmt.server.service import Service, disconnected

_HEADERS = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
Event = str | Result | Exception
"""A piece of the translation; at the end, the translation, or why there is none."""


class EventStream(Response):
    """The events `{"piece"}` …, and last `{"translation"}` or `{"error"}`.

    Args:
        service: of the server.
        job: being translated.
        events: what comes of it.
        first: of the events, taken already.
        deadline: when the time is up, on the clock of the event loop.
    """

    media_type = "text/event-stream"

    def __init__(
        self, service: Service, job: Job, events: "asyncio.Queue[Event]", first: Event, deadline: float
    ) -> None:
        super().__init__(headers=_HEADERS)
        del self.headers["content-length"]
        self._service, self._job, self._events = service, job, events
        self._first, self._deadline = first, deadline

    @staticmethod
    async def begin(service: Service, request: Request, ask: Ask) -> "EventStream":
        """Queue the request, and wait for the first event, so that an error before it has a status of its
        own.

        Raises:
            RequestError, NmtError, ClientDisconnect: as `Service.run`.
        """
        batcher = service.batcher(ask.model)
        events: asyncio.Queue[Event] = asyncio.Queue()
        loop = asyncio.get_running_loop()

        def add(event: Event) -> None:
            loop.call_soon_threadsafe(events.put_nowait, event)

        job = Job(ask.texts, ask.options, await service.costs(batcher, ask), report=add)
        service.submit(batcher, job)
        job.future.add_done_callback(lambda future: None if future.cancelled() else add(_ending(job)))
        deadline = loop.time() + service.config.timeout
        left = asyncio.ensure_future(disconnected(request))
        waiting = asyncio.ensure_future(events.get())
        try:
            await asyncio.wait(
                {waiting, left}, timeout=service.config.timeout, return_when=asyncio.FIRST_COMPLETED
            )
            if left.done():
                raise ClientDisconnect
            if not waiting.done():
                raise service.too_slow()
            if isinstance(first := waiting.result(), Exception):
                raise first
            return EventStream(service, job, events, first, deadline)
        except BaseException:
            job.future.cancel()
            raise
        finally:
            left.cancel()
            waiting.cancel()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Send the events, until the client leaves."""
        left = asyncio.ensure_future(disconnected(Request(scope, receive)))
        sending = asyncio.ensure_future(self._send(send))
        try:
            await asyncio.wait({sending, left}, return_when=asyncio.FIRST_COMPLETED)
            if sending.done():
                sending.result()
        finally:
            left.cancel()
            sending.cancel()
            self._job.future.cancel()

    async def _send(self, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        event = self._first
        while True:
            more = isinstance(event, str)
            body = b"data: " + as_json(_content(event)) + b"\n\n"
            await send({"type": "http.response.body", "body": body, "more_body": more})
            if not more:
                return
            try:
                async with asyncio.timeout_at(self._deadline):
                    event = await self._events.get()
            except TimeoutError:
                event = self._service.too_slow()


def _ending(job: Job) -> Event:
    error = job.future.exception()
    if error is None:
        return job.future.result()[0]
    assert isinstance(error, Exception)
    return error


def _content(event: Event) -> dict[str, Any]:
    if isinstance(event, str):
        return {"piece": event}
    if isinstance(event, RequestError):
        return error_content(event)
    if isinstance(event, NmtError):
        return error_content(RequestError(str(event)))
    if isinstance(event, Exception):
        return error_content(RequestError("internal error"))
    return {"translation": event.to_dict()}
