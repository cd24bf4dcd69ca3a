"""The routes of our own API, under `/v1`, and those that say how the server is."""

from collections.abc import Awaitable, Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nmt.config.languages import language_code
from nmt.server.engine import Engine
from nmt.server.event_stream import EventStream
from nmt.server.payload import (
    RequestError,
    alternatives_ask,
    as_json,
    parse_json,
    stream_ask,
    translation_ask,
)
from nmt.server.service import Service, read_body
from nmt.server.static_files import INDEX, static_file

_METRICS = "text/plain; version=0.0.4; charset=utf-8"
Endpoint = Callable[[Request], Awaitable[Response]]


class JsonResponse(Response):
    """A response of JSON."""

    media_type = "application/json"

    def render(self, content: object) -> bytes:
        """The body."""
        return as_json(content)


def routes(service: Service) -> list[Route]:
    """All routes but those of LibreTranslate."""
    api = Api(service)
    return [
        Route("/v1/translate", api.protected(api.translate), methods=["POST"]),
        Route("/v1/alternatives", api.protected(api.alternatives), methods=["POST"]),
        Route("/v1/stream", api.protected(api.stream), methods=["POST"]),
        Route("/v1/models", api.protected(api.models), methods=["GET"]),
        Route("/metrics", api.protected(api.metrics), methods=["GET"]),
        Route("/health", api.health, methods=["GET"]),
        Route("/ready", api.ready, methods=["GET"]),
        Route("/", api.page, methods=["GET"]),
        Route("/static/{name}", api.page, methods=["GET"]),
    ]


class Api:
    """The endpoints.

    Args:
        service: what they share.
    """

    def __init__(self, service: Service) -> None:
        self._service = service

    def protected(self, endpoint: Endpoint) -> Endpoint:
        """An endpoint that needs the API key, if there is one."""

        async def checked(request: Request) -> Response:
            if not self._service.authorised(request):
                message = "an API key is needed: send the header Authorization: Bearer KEY"
                raise RequestError(message, None, 401, {"WWW-Authenticate": "Bearer"})
            return await endpoint(request)

        return checked

    async def translate(self, request: Request) -> Response:
        """`POST /v1/translate`."""
        ask = translation_ask(parse_json(await self._body(request)), self._service.config)
        found = await self._service.run(request, ask)
        name = self._service.batcher(ask.model).name
        return JsonResponse({"model": name, "translations": [one.to_dict() for one in found]})

    async def alternatives(self, request: Request) -> Response:
        """`POST /v1/alternatives`."""
        ask = alternatives_ask(parse_json(await self._body(request)), self._service.config)
        found = await self._service.run(request, ask)
        name = self._service.batcher(ask.model).name
        return JsonResponse({"model": name, "alternatives": [one.to_dict() for one in found]})

    async def stream(self, request: Request) -> Response:
        """`POST /v1/stream`."""
        ask = stream_ask(parse_json(await self._body(request)), self._service.config)
        return await EventStream.begin(self._service, request, ask)

    async def models(self, request: Request) -> Response:
        """`GET /v1/models`."""
        found = []
        for name, batcher in self._service.batchers.items():
            codes = map(language_code, batcher.engine.languages or ())
            languages = dict(zip(("source", "target"), codes, strict=False))
            targets = {"targets": _targets(batcher.engine)} if batcher.engine.targets else {}
            found.append({"name": name, **languages, **targets, "attention": batcher.engine.heads > 0})
        return JsonResponse({"models": found})

    async def metrics(self, request: Request) -> Response:
        """`GET /metrics`."""
        return Response(self._service.instruments.text(), media_type=_METRICS)

    async def health(self, request: Request) -> Response:
        """`GET /health`: 200 unless it must be restarted."""
        dead = [name for name, batcher in self._service.batchers.items() if not batcher.alive()]
        if dead:
            return JsonResponse({"status": "failed", "models": dead}, 503)
        return JsonResponse({"status": "ok"})

    async def ready(self, request: Request) -> Response:
        """`GET /ready`: 200 if it takes requests."""
        if self._service.draining:
            return JsonResponse({"status": "stopping"}, 503)
        return JsonResponse({"status": "ready"})

    async def page(self, request: Request) -> Response:
        """`GET /` and `GET /static/NAME`: the files of the page."""
        found = await run_in_threadpool(static_file, request.path_params.get("name", INDEX))
        if found is None:
            raise RequestError("no such page", None, 404)
        return Response(found.content, media_type=found.media_type, headers=found.headers)

    async def _body(self, request: Request) -> bytes:
        return await read_body(request, self._service.config)


def _targets(engine: Engine) -> list[dict[str, Any]]:
    """What the option `to` may name, the default first, and the languages that each is translated from."""
    sources: dict[str, list[str]] = {to: [] for to in engine.targets}
    for source, target in engine.directions:
        if target in sources:
            sources[target].append(language_code(source))
    return [{"code": to, "sources": found} for to, found in sources.items()]
