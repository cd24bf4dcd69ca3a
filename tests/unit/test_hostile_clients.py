"""What no client should send, over real connections: it is refused or ends the connection, harms nobody else,
and leaves nothing in the log.
"""

import json
import logging
import socket
import struct
import time
from collections.abc import Iterator

import pytest
from fake_engine import FakeEngine

for needed in ("starlette", "uvicorn", "prometheus_client"):
    pytest.importorskip(needed, reason="needs the extra serve")
from served import Client, served, wait_until  # noqa: E402

GOOD = b'{"text": "a"}'
POST = b"POST /v1/translate HTTP/1.1\r\nHost: a\r\n"
CHUNKED = POST + b"Transfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(scope="module")
def server() -> Iterator[Client]:
    with served({"m": FakeEngine()}, body_timeout=1, idle_timeout=1, max_body=1000) as client:
        yield client


@pytest.fixture(autouse=True)
def quiet(server: Client, caplog: pytest.LogCaptureFixture) -> Iterator[None]:
    """After each attack the server works, and has logged no error."""
    with caplog.at_level(logging.ERROR):
        yield
        assert server.post("/v1/translate", {"text": "a"}).status == 200
        wait_until(lambda: not server.load() and not server.server.server_state.connections)
    assert not caplog.get_records("call")


def sent(server: Client, *parts: bytes) -> bytes:
    """What is answered to bytes that are sent one part after the other, until the connection ends."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=10) as connection:
        answer = b""
        try:
            for part in parts:
                connection.sendall(part)
                time.sleep(0.05 if len(parts) > 1 else 0)
            while received := connection.recv(65536):
                answer += received
        except ConnectionError:
            pass
        return answer


def statuses(answer: bytes) -> list[int]:
    return [int(part[:3]) for part in answer.split(b"HTTP/1.1 ")[1:]]


def with_length(body: bytes, headers: bytes = b"") -> bytes:
    return POST + headers + b"Content-Length: %d\r\n\r\n" % len(body) + body


@pytest.mark.parametrize(
    "request_",
    [
        bytes(range(256)) * 40,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(300),  # TLS
        b"GET /health HTTP/1.1\r\n\r\n",
        b"GET /health HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 100_000,
        b"GET /health HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 20_000,
        b"GET /\xff HTTP/1.1\r\nHost: a\r\n\r\n",
        POST + b"Content-Length: -1\r\n\r\n{}",
        POST + b"Content-Length: " + b"9" * 5000 + b"\r\n\r\n{}",
        POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        POST + b"Transfer-Encoding: gzip\r\n\r\n",
        CHUNKED + b"zz\r\n{}\r\n0\r\n\r\n",
        CHUNKED + b"-2\r\n{}\r\n0\r\n\r\n",
    ],
    ids=lambda request: repr(request[:60]),
)
def test_what_is_not_http_is_refused(server: Client, request_: bytes) -> None:
    assert statuses(sent(server, request_)) in ([400], [])  # [] if the answer is lost with the connection


def test_garbage_after_requests_that_are_answered(server: Client) -> None:
    assert statuses(sent(server, with_length(GOOD) * 3 + b"\x00garbage\r\n\r\n")) == [200, 200, 200, 400]


@pytest.mark.parametrize(
    ("head", "status"),
    [
        (CHUNKED + b"7d0\r\n" + b"a" * 2000 + b"\r\n", 413),
        (CHUNKED.replace(b"/v1/translate", b"/nothing") + b"2\r\n{}\r\n", 404),
    ],
)
def test_garbage_in_a_request_that_is_answered_already(server: Client, head: bytes, status: int) -> None:
    assert statuses(sent(server, head, b"garbage\r\n\r\n")) == [status]


@pytest.mark.parametrize("host", [b"[", b"[::1", b"", b"a:b:c", b"@", b"a b", b"\xff"])
@pytest.mark.parametrize("path", [b"/v1/translate", b"/translate", b"/nothing", b"http://[", b"*", b"//"])
def test_a_host_or_an_address_that_is_none(server: Client, host: bytes, path: bytes) -> None:
    head = b"POST %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}"
    assert statuses(sent(server, head % (path, host)))[0] in (400, 404)


@pytest.mark.parametrize(
    "body",
    [
        b'{"text": "\xff"}',
        b'{"text": "\xed\xa0\x80"}',
        b'{"text": "\\ud800"}',
        b'{"\\ud800": 1}',
        b'{"text": "a", "length_penalty": NaN}',
        b'{"text": "a", "length_penalty": 1e999}',
        b'{"text": "a", "length_penalty": -1}',
        b'{"text": "a", "min_length": 99999999999999999999}',
        b'{"text": "a", "temperature": 1e308, "sample": true}',
        b'{"text": "a", "max_length": -5}',
        b'{"text": ["a", ["a"]]}',
        b'{"text": {"a": "a"}}',
        b"\xef\xbb\xbf{}",
        *(b'{"text": "a", "glossary": ' + b"[" * depth + b"]" * depth + b"}" for depth in (100, 400)),
    ],
)
def test_bodies_that_are_no_request(server: Client, body: bytes) -> None:
    answer = sent(server, with_length(body, b"Connection: close\r\n"))
    assert statuses(answer) == [400]
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["message"]


@pytest.mark.parametrize(
    "kind",
    [b"text/plain", b"multipart/form-data; boundary=x", b"application/xml", b"\xff", b"application/json;;"],
)
def test_content_types(server: Client, kind: bytes) -> None:
    header = b"Connection: close\r\nContent-Type: %s\r\n" % kind
    assert statuses(sent(server, with_length(GOOD, header))) == [200]  # it is JSON, whatever it is said to be
    form = with_length(b"q=a&source=en&target=mr", header).replace(b"/v1/translate", b"/translate")
    assert statuses(sent(server, form))[0] in (400, 415)


def test_clients_that_stop_midway(server: Client) -> None:
    start = time.monotonic()
    for data, expected in (
        (b"GET /hea", []),
        (with_length(GOOD)[:-1], [408]),
        (CHUNKED + b"ffffff\r\n{", [408]),
    ):
        assert statuses(sent(server, data)) == expected
    assert time.monotonic() - start < 10


@pytest.mark.parametrize("path", ["/v1/stream", "/v1/translate"])
@pytest.mark.parametrize("reset", [True, False])
def test_connections_that_end_before_the_answer(server: Client, path: str, reset: bool) -> None:
    for _ in range(10):
        connection = server.begin(path, {"text": "many words " * 50})
        if path == "/v1/stream":
            assert connection.recv(10)
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        connection.close()
