"""A small HTTP client over raw connections, which can also do what a client should not."""

import asyncio
import json
from typing import Any, NamedTuple

PATIENCE = 90.0  # seconds for any answer


class Reply(NamedTuple):
    """A response.

    Attributes:
        status: its number.
        headers: by lower-case name.
        body: decoded, if it was sent in chunks.
    """

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """A connection that is opened when needed, and kept.

    Args:
        port: on the loopback interface.
    """

    def __init__(self, port: int) -> None:
        self._port = port
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None

    async def post(self, path: str, values: Any) -> Reply:
        """A request of JSON, and its response."""
        await self.send(head("POST", path, len(body := json.dumps(values).encode())) + body)
        return await self.receive()

    async def get(self, path: str) -> Reply:
        """A request without a body."""
        await self.send(head("GET", path))
        return await self.receive()

    async def send(self, data: bytes) -> None:
        """Send bytes."""
        if self._writer is None or self._writer.is_closing() or (self._reader and self._reader.at_eof()):
            self._reader, self._writer = await asyncio.open_connection("127.0.0.1", self._port)
        self._writer.write(data)
        await self._writer.drain()

    async def receive(self) -> Reply:
        """The next response.

        Raises:
            ConnectionError: if the server closes the connection before.
        """
        assert self._reader is not None
        try:
            async with asyncio.timeout(PATIENCE):
                return await _response(self._reader)
        except asyncio.IncompleteReadError as error:
            raise ConnectionError("closed without a response") from error

    async def some(self) -> bytes:
        """What arrives next."""
        assert self._reader is not None
        return await self._reader.read(1000)

    def close(self) -> None:
        """Leave."""
        if self._writer is not None:
            self._writer.transport.abort()
            self._writer = None


def head(method: str, path: str, length: int = 0) -> bytes:
    """The head of a request."""
    return (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
        f"Content-Length: {length}\r\n\r\n"
    ).encode()


async def _response(reader: asyncio.StreamReader) -> Reply:
    lines = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines[1:] if line)
    if headers.get("transfer-encoding") == "chunked":
        return Reply(int(lines[0].split()[1]), headers, await _chunks(reader))
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Reply(int(lines[0].split()[1]), headers, body)


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    found = b""
    while size := int(await reader.readline(), 16):
        found += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readexactly(2)
    return found
