"""Kinds of clients: each sends one request after another in its own way, and knows what to expect."""

import asyncio
import json
import random
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from server_load.wire import Reply, Wire, head

LEFT = "left"
"""No response, as the client left."""
_BUSY = ("good", "stream")
"""Kinds that send the next request as soon as they have the answer; the others pause."""
_PAUSE = 0.5  # seconds, on average


@dataclass
class Tally:
    """What was answered.

    Attributes:
        answers: how often each kind of client got each status, or `LEFT`.
        wrong: what should not have been, with an example.
    """

    answers: Counter[tuple[str, str]] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)

    @property
    def requests(self) -> int:
        """All of them."""
        return sum(self.answers.values())

    def add(self, kind: str, answer: str, right: bool) -> None:
        """Count an answer."""
        self.answers[kind, answer] += 1
        if not right:
            self.wrong.append(f"{kind}: {answer}")


class Clients:
    """What the clients send.

    Args:
        port: of the server.
        sentences: to translate.
        tally: of the answers.
    """

    def __init__(self, port: int, sentences: Sequence[str], tally: Tally) -> None:
        self._port, self._sentences, self._tally = port, sentences, tally

    async def run(self, kind: str, seed: int, until: Callable[[], bool]) -> None:
        """Send requests, one after another."""
        draw, wire = random.Random(seed), Wire(self._port)
        act: Callable[[Wire, random.Random], Awaitable[tuple[str, bool]]] = getattr(self, f"_{kind}")
        while not until():
            try:
                answer, right = await act(wire, draw)
            except (OSError, TimeoutError) as error:
                answer, right = type(error).__name__, False
            self._tally.add(kind, answer, right)
            if kind not in _BUSY:
                await asyncio.sleep(draw.random() * 2 * _PAUSE)
        wire.close()

    async def _good(self, wire: Wire, draw: random.Random) -> tuple[str, bool]:
        values: dict[str, Any] = {"text": draw.choice(self._sentences)}
        options: dict[str, Any] = draw.choice(
            [{}, {}, {}, {"attention": True}, {"nbest": 3}, {"beam_size": 2}]
        )
        reply = await wire.post("/v1/translate", values | options)
        if reply.status != 200:
            return f"{reply.status} {reply.body[:200]!r}", False
        return str(reply.status), bool(json.loads(reply.body)["translations"])

    async def _stream(self, wire: Wire, draw: random.Random) -> tuple[str, bool]:
        reply = await wire.post("/v1/stream", {"text": draw.choice(self._sentences)})
        if reply.status != 200:
            return f"{reply.status} {reply.body[:200]!r}", False
        events = [json.loads(event[6:]) for event in reply.body.decode().split("\n\n") if event]
        pieces = "".join(event["piece"] for event in events[:-1])
        return str(reply.status), pieces == events[-1]["translation"]["text"]

    async def _malformed(self, wire: Wire, draw: random.Random) -> tuple[str, bool]:
        body = draw.choice([b"{", b"[" * 1000, b'{"text": 1}', b'{"text": "a", "x": 1}', b"\xff", b"null"])
        request = head("POST", "/v1/translate", len(body)) + body
        broken = draw.random() < 0.25
        await wire.send(b"\x00\xff nonsense\r\n\r\n" if broken else request)
        reply = await wire.receive()
        if broken:
            wire.close()
        return _refused(reply, 400)

    async def _oversized(self, wire: Wire, draw: random.Random) -> tuple[str, bool]:
        if draw.random() < 0.5:
            reply = await wire.post("/v1/translate", {"text": "too long " * 60_000})
        else:  # not too many bytes, but too many pieces
            reply = await wire.post("/v1/translate", {"text": "x q z " * 40_000})
        return _refused(reply, 413)

    async def _slow(self, wire: Wire, draw: random.Random) -> tuple[str, bool]:
        """Sends a byte at a time, and half of the times stops midway."""
        body = json.dumps({"text": draw.choice(self._sentences)}).encode()
        stops = draw.random() < 0.5
        await wire.send(head("POST", "/v1/translate", len(body)))
        for byte in body[:10]:
            await wire.send(bytes([byte]))
            await asyncio.sleep(0.05)
        if not stops:
            await wire.send(body[10:])
        reply = await wire.receive()
        if stops:
            wire.close()
            return _refused(reply, 408)
        return str(reply.status), reply.status == 200

    async def _leaving(self, wire: Wire, draw: random.Random) -> tuple[str, bool]:
        body = json.dumps({"text": " ".join(draw.sample(self._sentences, 5))}).encode()
        path = draw.choice(["/v1/translate", "/v1/stream"])
        await wire.send(head("POST", path, len(body)) + body)
        await asyncio.sleep(draw.random() * 0.3)
        wire.close()
        return LEFT, True


def _refused(reply: Reply, status: int) -> tuple[str, bool]:
    right = reply.status in (status, 503) and (reply.status != 503 or "retry-after" in reply.headers)
    return str(reply.status), right
