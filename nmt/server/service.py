"""What the routes share: the models, the limits, and waiting for a result as long as the client does."""

import asyncio
import hmac
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import ClientDisconnect, Request

from nmt.config.server import ServerConfig
from nmt.server.batcher import Batcher
from nmt.server.costs import costs_of
from nmt.server.engine import Engine, Result
from nmt.server.instruments import Instruments
from nmt.server.job_queue import JobQueue, QueueFullError
from nmt.server.jobs import Job
from nmt.server.payload import Ask, RequestError

_LONG = 10_000  # characters; longer texts are not counted in pieces on the event loop


@dataclass
class Service:
    """The state of a server.

    Attributes:
        config: its settings.
        api_key: what clients must send; None: nothing.
        batchers: its models, by name; the first is that of requests that name none.
        instruments: what is measured.
        draining: whether it is about to stop.
        connections: that are open now.
    """

    config: ServerConfig
    api_key: str | None
    batchers: dict[str, Batcher]
    instruments: Instruments
    draining: bool = field(default=False)
    connections: Collection[object] = ()

    @staticmethod
    def of(config: ServerConfig, api_key: str | None, engines: Mapping[str, Engine]) -> "Service":
        """A service with these models, whose threads run."""
        instruments = Instruments()
        batchers = {}
        for name, engine in engines.items():
            queue = JobQueue(config.queue_size, config.batch_size)
            threads = max(1, config.processes)
            batchers[name] = Batcher(name, engine, queue, instruments, threads)
            instruments.watch(name, queue)
            batchers[name].start()
        return Service(config, api_key, batchers, instruments)

    def authorised(self, request: Request, given: str | None = None) -> bool:
        """Whether a request has the API key: in a header, or `given` in its body."""
        if self.api_key is None:
            return True
        bearer = request.headers.get("authorization", "")
        keys = (
            bearer[7:] if bearer[:7].lower() == "bearer " else "",
            request.headers.get("x-api-key", ""),
            request.query_params.get("api_key", ""),
            given or "",
        )
        return any(hmac.compare_digest(key.encode(errors="replace"), self.api_key.encode()) for key in keys)

    def batcher(self, name: str | None) -> Batcher:
        """The model of this name; None: the first.

        Raises:
            RequestError: if there is none.
        """
        if name is None:
            return next(iter(self.batchers.values()))
        if name not in self.batchers:
            raise RequestError(f"model: no such model; choose {' or '.join(self.batchers)}", "model", 404)
        return self.batchers[name]

    async def costs(self, batcher: Batcher, ask: Ask) -> list[int]:
        """What each text costs.

        Raises:
            RequestError: if it is more than may ever wait.
        """

        def sizes() -> list[int]:
            return [batcher.engine.size(text) for text in ask.texts]

        characters = sum(map(len, ask.texts))
        found = sizes() if characters <= _LONG else await asyncio.to_thread(sizes)
        return costs_of(ask, found, batcher.engine.beam_size, self.config.queue_size)

    def submit(self, batcher: Batcher, job: Job) -> None:
        """Queue a job.

        Raises:
            RequestError: if there is no room for it.
        """
        try:
            batcher.queue.put(job)
        except QueueFullError as error:
            retry = {"Retry-After": str(error.retry_after)}
            raise RequestError(f"the server is busy: {error}", None, 503, retry) from error

    async def run(self, request: Request, ask: Ask) -> list[Result]:
        """Translate what a request asks for, and wait for it: until the client leaves, or the time is up.

        Raises:
            RequestError: for what cannot be queued, or takes too long.
            NmtError: for what cannot be translated as asked.
            ClientDisconnect: if the client leaves.
        """
        batcher = self.batcher(ask.model)
        job = Job(ask.texts, ask.options, await self.costs(batcher, ask), count=ask.count)
        self.submit(batcher, job)
        left = asyncio.ensure_future(disconnected(request))
        try:
            done = asyncio.wrap_future(job.future)
            either: set[asyncio.Future[Any]] = {done, left}
            await asyncio.wait(either, timeout=self.config.timeout, return_when=asyncio.FIRST_COMPLETED)
            if done.done():
                return done.result()
            if left.done():
                raise ClientDisconnect
            raise self.too_slow()
        finally:
            left.cancel()
            job.future.cancel()

    def too_slow(self) -> RequestError:
        """The error for a request whose time is up."""
        return RequestError(f"no translation within {self.config.timeout:g} s; ask for less", None, 504)


async def disconnected(request: Request) -> None:
    """Return when the client has left; the body has been read."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def read_body(request: Request, config: ServerConfig) -> bytes:
    """The body of a request.

    Raises:
        RequestError: if it is too large, or does not arrive in time.
        ClientDisconnect: if the client leaves.
    """
    too_large = RequestError(f"the body is too large; at most {config.max_body} bytes", None, 413)
    declared = request.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > config.max_body:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(config.body_timeout):
            async for chunk in request.stream():
                body += chunk
                if len(body) > config.max_body:
                    raise too_large
    except TimeoutError as error:
        message = f"the request did not arrive within {config.body_timeout:g} s"
        raise RequestError(message, None, 408, {"Connection": "close"}) from error
    return bytes(body)
