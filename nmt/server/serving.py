"""Running the server: a socket, uvicorn on it, and an orderly end."""

import os
import socket
from collections.abc import Callable
from types import FrameType

import uvicorn

from nmt.config.server import ServerConfig
from nmt.errors import ConfigError
from nmt.server.application import application
from nmt.server.connection import Connection
from nmt.server.service import Service

try:
    import resource
except ModuleNotFoundError:  # not on Windows
    resource = None  # type: ignore[assignment]

_BACKLOG = 2048
_REFUSED = 1000  # connections beyond the limit whose requests are answered, with 503; more are closed at once
_FILES = 100  # open ones that are no connections


def bind(config: ServerConfig) -> socket.socket:
    """A socket at the address to listen on; it does not listen yet.

    Raises:
        ConfigError: if there is no such address, or it is taken.
    """
    where = f"--host {config.host} --port {config.port}"
    try:
        found = socket.getaddrinfo(config.host, config.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        family, kind, protocol, _, address = found[0]
        listener = socket.socket(family, kind, protocol)
        try:
            if os.name == "posix":  # elsewhere it would let two servers share a port
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
        except OSError:
            listener.close()
            raise
    except (OSError, UnicodeError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ConfigError(f"{where}: {reason}; choose another address or port") from error
    return listener


def address_of(listener: socket.socket) -> str:
    """The URL of a socket."""
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def _most_connections(limit: int) -> int:
    """How many connections may be open, with those whose requests are refused: not more than the process may
    have files. Where it may have more files if it asks, it asks.
    """
    wanted = limit + _REFUSED
    if resource is None:
        return wanted
    allowed, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if resource.RLIM_INFINITY != allowed < wanted + _FILES:
        allowed = wanted + _FILES if most == resource.RLIM_INFINITY else min(wanted + _FILES, most)
        resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, most))
    return wanted if allowed == resource.RLIM_INFINITY else max(2, min(wanted, allowed - _FILES))


class Server(uvicorn.Server):
    """uvicorn, for one service. SIGTERM and Ctrl-C let it finish what it has accepted, then it returns; a
    second one lets it return at once.

    Args:
        service: what it serves; its threads are stopped at the end.
    """

    def __init__(self, service: Service) -> None:
        config = service.config
        super().__init__(
            uvicorn.Config(
                application(service),
                loop="asyncio",
                http=Connection,
                ws="none",
                lifespan="off",
                log_config=None,
                log_level="error",
                access_log=False,
                proxy_headers=False,
                server_header=False,
                backlog=_BACKLOG,
                limit_concurrency=_most_connections(config.max_connections),
                timeout_keep_alive=config.idle_timeout,
                timeout_graceful_shutdown=config.drain_timeout,
            )
        )
        self._service = service
        service.connections = self.server_state.connections

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Begin to stop. Unlike uvicorn's own, it does not repeat the signal at the end: an orderly end is a
        success.
        """
        self.force_exit = self.should_exit
        self.should_exit = self._service.draining = True

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Begin to listen, and tell."""
        await super().startup(sockets)
        self._started()

    def serve_on(self, listener: socket.socket, started: Callable[[], None] = lambda: None) -> None:
        """Serve until a signal comes; `started` is called when it listens."""
        self._started = started
        try:
            self.run(sockets=[listener])
        finally:
            for batcher in self._service.batchers.values():
                batcher.stop()
