"""The ASGI application: routes, errors as JSON, and what every request passes through."""

import time
from collections.abc import Collection
from http import HTTPStatus

from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import ASGIApp, ExceptionHandler, Message, Receive, Scope, Send

from nmt.errors import NmtError
from nmt.server import endpoints, libretranslate
from nmt.server.endpoints import JsonResponse
from nmt.server.payload import RequestError, error_content
from nmt.server.service import Service

_CLIENT_LEFT = 499  # as nginx logs it; nobody receives it
_ALWAYS = ("/health", "/metrics")  # are answered whatever the number of connections


def application(service: Service) -> Starlette:
    """The application of a server."""
    handlers: dict[type[Exception], ExceptionHandler] = {
        RequestError: _refused,
        NmtError: _impossible,
        HTTPException: _http_error,
        ClientDisconnect: _client_left,
        Exception: _internal_error,
    }
    routes = [*endpoints.routes(service), *libretranslate.routes(service)]
    middleware = [Middleware(Monitor, service=service, paths=frozenset(route.path for route in routes))]
    if service.config.allow_origin:
        middleware.append(
            Middleware(
                CORSMiddleware,
                allow_origins=service.config.allow_origin,
                allow_methods=["GET", "POST"],
                allow_headers=["Authorization", "Content-Type", "X-API-Key"],
            )
        )
    middleware.append(Middleware(ConnectionLimit, service=service))
    return Starlette(
        routes=routes,
        middleware=middleware,
        exception_handlers=handlers,
    )


class Monitor:
    """Counts requests and their time, and tells clients of a server that stops.

    Args:
        app: the application.
        service: of the server.
        paths: that are counted by name; all others together.
    """

    def __init__(self, app: ASGIApp, service: Service, paths: Collection[str]) -> None:
        self._app, self._paths = app, paths
        self._service, self._instruments = service, service.instruments

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        route = scope["path"] if scope["path"] in self._paths else "other"
        status = HTTPStatus.INTERNAL_SERVER_ERROR.value
        start = time.perf_counter()

        async def watched(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._service.draining:  # no further request is answered on this connection
                    MutableHeaders(scope=message)["Connection"] = "close"
            await send(message)

        try:
            await self._app(scope, receive, watched)
        finally:
            self._instruments.requests.labels(route, status).inc()
            self._instruments.seconds.labels(route).observe(time.perf_counter() - start)


class ConnectionLimit:
    """Refuses requests while there are too many connections, except those that ask how the server is.

    Args:
        app: the application.
        service: of the server.
    """

    def __init__(self, app: ASGIApp, service: Service) -> None:
        self._app, self._service = app, service

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle a request."""
        most = self._service.config.max_connections
        if len(self._service.connections) <= most or scope["path"] in _ALWAYS:
            return await self._app(scope, receive, send)
        headers = {"Retry-After": "1", "Connection": "close"}
        error = RequestError(f"more than {most} connections; try again in 1 s", None, 503, headers)
        await _error(Request(scope), error)(scope, receive, send)


def _error(request: Request, error: RequestError) -> Response:
    if request.scope["path"] in libretranslate.PATHS:  # its clients expect the message itself
        return JsonResponse({"error": error.message}, error.status, error.headers)
    return JsonResponse(error_content(error), error.status, error.headers)


async def _refused(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestError)
    return _error(request, error)


async def _impossible(request: Request, error: Exception) -> Response:
    """What the library refuses, such as a constraint that cannot be met."""
    return _error(request, RequestError(str(error), getattr(error, "field", None)))


async def _http_error(request: Request, error: Exception) -> Response:
    """An address or a method that is unknown."""
    assert isinstance(error, HTTPException)
    reason = HTTPStatus(error.status_code).phrase
    message = f"{request.method} {request.scope['path']}: {reason.lower()}"
    return _error(request, RequestError(message, None, error.status_code, error.headers))


async def _client_left(request: Request, error: Exception) -> Response:
    return Response(status_code=_CLIENT_LEFT)


async def _internal_error(request: Request, error: Exception) -> Response:
    """An error of ours; its traceback goes to the log."""
    return _error(request, RequestError("internal error; see the log of the server", None, 500))
