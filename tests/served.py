"""The server in a thread of this process, and a client that sees what comes over the wire."""

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, NamedTuple

from nmt.config.server import ServerConfig
from nmt.server.engine import Engine
from nmt.server.service import Service
from nmt.server.serving import Server, bind

PATIENCE = 30.0


class Reply(NamedTuple):
    """A response; the names of headers are lower-case."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        """The body."""
        return json.loads(self.body)


@dataclass
class Client:
    """A client of one server.

    Attributes:
        port: of the server, on the loopback interface.
        server, service: the server itself.
    """

    port: int
    server: Server
    service: Service

    def send(
        self, method: str, path: str, body: Any = None, headers: Mapping[str, str] | None = None
    ) -> Reply:
        """A request on a connection of its own. A body that is not bytes is sent as JSON."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE)
        headers = dict(headers or {})
        if body is not None and not isinstance(body, bytes):
            body = json.dumps(body).encode()
            headers.setdefault("Content-Type", "application/json")
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            names = {name.lower(): value for name, value in response.getheaders()}
            return Reply(response.status, names, response.read())
        finally:
            connection.close()

    def get(self, path: str, **headers: str) -> Reply:
        """A GET request."""
        return self.send("GET", path, headers=headers)

    def post(self, path: str, body: Any, **headers: str) -> Reply:
        """A POST request."""
        return self.send("POST", path, body, headers)

    def begin(self, path: str, body: Mapping[str, Any]) -> socket.socket:
        """A POST request that is sent, and whose answer is not read."""
        sent = json.dumps(body).encode()
        connection = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        connection.sendall(f"POST {path} HTTP/1.1\r\nHost: a\r\nContent-Length: {len(sent)}\r\n\r\n".encode())
        connection.sendall(sent)
        return connection

    def load(self) -> int:
        """What waits for all models, or is in translation."""
        return sum(batcher.queue.load for batcher in self.service.batchers.values())


@contextmanager
def served(engines: Mapping[str, Engine], *, api_key: str | None = None, **settings: Any) -> Iterator[Client]:
    """A server with these models on a port of its own, until the end of the block."""
    config = ServerConfig(port=0, **settings)
    with bind(config) as listener:
        service = Service.of(config, api_key, engines)
        server = Server(service)
        thread = threading.Thread(target=server.serve_on, args=(listener,))
        thread.start()
        try:
            wait_until(lambda: server.started)
            yield Client(listener.getsockname()[1], server, service)
        finally:
            server.should_exit = server.force_exit = True
            thread.join(PATIENCE)
            assert not thread.is_alive()


def wait_until(condition: Any) -> None:
    """Wait for what other threads do."""
    end = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < end, "it did not happen"
        time.sleep(0.002)
