"""A small server for the tests of the page: its answers are given by the test, its requests are kept."""

import json
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from nmt.server.static_files import INDEX, static_file

Answer = Callable[[dict[str, Any]], dict[str, Any] | Iterable[dict[str, Any]]]
"""From the body of a request to the JSON of its answer, or to the events of a stream."""


class RefusedError(Exception):
    """Answered as the server answers what it refuses: a status, a message, the field that is wrong."""

    def __init__(self, status: int, message: str, field: str | None = None) -> None:
        super().__init__(message)
        self.status, self.field = status, field


class PageServer(ThreadingHTTPServer):
    """Serves the page, and answers its requests as a test says.

    Attributes:
        answers: by path; tests may change them.
        delay: of all answers, in seconds.
        key: the API key, if one is needed.
        requests: path and body of each request for an answer; body None for GET.
        left: how many clients left before their answer.
    """

    def __init__(self, answers: dict[str, Answer]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers = answers
        self.delay = 0.0
        self.key: str | None = None
        self.requests: list[tuple[str, dict[str, Any] | None]] = []
        self.left = 0

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Called with the exception of a request as the current one."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)
        self.left += 1

    @property
    def address(self) -> str:
        """Where the page is."""
        return f"http://127.0.0.1:{self.server_port}/"


class _Handler(BaseHTTPRequestHandler):
    server: PageServer

    def do_GET(self) -> None:
        if self.path in self.server.answers:
            self._answer(None)
            return
        path = self.path.partition("?")[0]
        file = static_file(INDEX if path == "/" else path.removeprefix("/static/"))
        if file is None:
            self._send(404, b"", "text/plain", {})
        else:
            self._send(200, file.content, file.media_type, file.headers)

    def do_POST(self) -> None:
        self._answer(json.loads(self.rfile.read(int(self.headers["Content-Length"]))))

    def _answer(self, body: dict[str, Any] | None) -> None:
        try:
            if self.server.key and self.headers["Authorization"] != f"Bearer {self.server.key}":
                raise RefusedError(401, "this server needs an API key")
            self.server.requests.append((self.path, body))
            time.sleep(self.server.delay)
            answer = self.server.answers[self.path](body or {})
        except RefusedError as refused:
            self._send_json(refused.status, {"error": {"message": str(refused), "field": refused.field}})
            return
        if isinstance(answer, dict):
            self._send_json(200, answer)
        else:
            self._stream(answer)

    def _stream(self, events: Iterable[dict[str, Any]]) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.end_headers()
        for event in events:
            self.wfile.write(b"data: " + json.dumps(event).encode() + b"\n\n")

    def _send_json(self, status: int, answer: dict[str, Any]) -> None:
        self._send(status, json.dumps(answer).encode(), "application/json", {})

    def _send(self, status: int, content: bytes, media_type: str, headers: Mapping[str, str]) -> None:
        self.send_response(status)
        always = {"Content-Type": media_type, "Content-Length": str(len(content))}
        for name, value in (always | headers).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *arguments: object) -> None:
        """Nothing is printed."""


@contextmanager
def serving(answers: dict[str, Answer]) -> Iterator[PageServer]:
    """A server in a thread of its own."""
    server = PageServer(answers)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()
