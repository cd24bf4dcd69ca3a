"""The server over real connections, with a model that can be held up at any step."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from typing import Any

import pytest
from fake_engine import BROKEN, IMPOSSIBLE, FakeEngine

for needed in ("starlette", "uvicorn", "prometheus_client"):
    pytest.importorskip(needed, reason="needs the extra serve")
from served import Client, served, wait_until  # noqa: E402

from nmt.server import connection as connections  # noqa: E402
from nmt.server import serving  # noqa: E402


@pytest.fixture
def engine() -> Iterator[FakeEngine]:
    engine = FakeEngine()
    yield engine
    engine.go()


@pytest.fixture(scope="module")
def shared() -> Iterator[Client]:
    """A server for tests that leave no trace."""
    with served({"en-mr": FakeEngine()}) as client:
        yield client


@pytest.fixture
def client(engine: FakeEngine) -> Iterator[Client]:
    with served({"en-mr": engine}) as client:
        yield client
        engine.go()


def texts(reply: Any) -> list[str]:
    assert reply.status == 200, reply.body
    return [one["text"] for one in reply.json["translations"]]


def everything(connection: socket.socket) -> bytes:
    """What a connection receives until the server closes it."""
    return b"".join(iter(lambda: connection.recv(4096), b""))


def events(body: bytes) -> list[Any]:
    found = body.decode().split("\n\n")
    assert found.pop() == ""
    assert all(event.startswith("data: ") for event in found)
    return [json.loads(event.removeprefix("data: ")) for event in found]


# ---------------------------------------------------------------- what it answers


def test_it_translates_one_text_or_many(shared: Client) -> None:
    reply = shared.post("/v1/translate", {"text": "one word"})
    assert texts(reply) == ["ONE WORD"]
    assert reply.json["model"] == "en-mr"
    assert reply.headers["content-type"] == "application/json"
    assert texts(shared.post("/v1/translate", {"text": ["b", "a", "", "घर"]})) == ["B", "A", "", "घर"]


def test_options_reach_the_model(shared: Client) -> None:
    reply = shared.post("/v1/translate", {"text": "a", "prefix": "अ", "nbest": 3})
    assert texts(reply) == ["अA"]
    assert [one["text"] for one in reply.json["translations"][0]["alternatives"]] == ["A 1", "A 2"]


def test_alternatives(shared: Client) -> None:
    reply = shared.post("/v1/alternatives", {"text": "a", "prefix": "अ", "count": 2})
    assert [one["text"] for one in reply.json["alternatives"]] == ["अ0", "अ1"]
    reply = shared.post("/v1/alternatives", {"text": "a", "count": 1, "required": ["ब"]})
    assert [one["text"] for one in reply.json["alternatives"]] == ["0ब"]


def test_streaming_sends_pieces_then_the_translation(shared: Client) -> None:
    reply = shared.post("/v1/stream", {"text": "one two three"})
    assert (reply.status, reply.headers["content-type"]) == (200, "text/event-stream; charset=utf-8")
    *pieces, last = events(reply.body)
    assert [event["piece"] for event in pieces] == ["ONE", " TWO", " THREE"]
    assert last["translation"]["text"] == "ONE TWO THREE"


def test_pieces_are_sent_as_they_come(client: Client, engine: FakeEngine) -> None:
    engine.hold()
    with client.begin("/v1/stream", {"text": "one two"}) as connection:
        assert engine.held.wait(10)
        engine.go(1)
        wait_until(lambda: b"ONE" in connection.recv(4096))
        engine.go()


def test_a_stream_that_fails_before_its_first_piece_has_a_status(shared: Client) -> None:
    assert shared.post("/v1/stream", {"text": IMPOSSIBLE}).status == 400
    assert shared.post("/v1/stream", {"text": BROKEN}).status == 200  # a piece came first
    assert events(shared.post("/v1/stream", {"text": BROKEN}).body)[-1]["error"]
    assert shared.post("/v1/stream", {"text": "a", "nbest": 0}).status == 400
    assert shared.post("/v1/stream", {"text": "a", "model": "none"}).status == 404


def test_models_are_chosen_by_name() -> None:
    first, second = FakeEngine(), FakeEngine(None)
    with served({"first": first, "second": second}) as client:
        for name, engine in (("first", first), ("second", second)):
            assert client.post("/v1/translate", {"text": name, "model": name}).json["model"] == name
            assert engine.batches == [[name]]
        client.post("/v1/translate", {"text": "unnamed"})
        assert first.batches[1:] == [["unnamed"]]
        assert client.get("/v1/models").json["models"] == [
            {"name": "first", "source": "en", "target": "mr", "attention": True},
            {"name": "second", "attention": True},
        ]
        missing = client.post("/v1/translate", {"text": "a", "model": "third"})
        assert missing.status == 404
        assert missing.json["error"] == {
            "message": "model: no such model; choose first or second", "field": "model",
        }  # fmt: skip


@pytest.mark.parametrize(
    ("method", "path", "body", "status"),
    [
        ("POST", "/v1/translate", b"{", 400),
        ("POST", "/v1/translate", {"text": 1}, 400),
        ("POST", "/v1/translate", {"text": IMPOSSIBLE}, 400),
        ("GET", "/v1/translate", None, 405),
        ("GET", "/nothing", None, 404),
        ("GET", "/static/..%2f..%2ferrors.py", None, 404),
    ],
)
def test_errors_are_json(shared: Client, method: str, path: str, body: Any, status: int) -> None:
    reply = shared.send(method, path, body)
    assert reply.status == status
    assert reply.json["error"]["message"]


def test_what_is_not_http_is_refused(shared: Client) -> None:
    with socket.create_connection(("127.0.0.1", shared.port), timeout=10) as connection:
        connection.sendall(b"nonsense\r\n\r\n")
        assert connection.recv(4096).startswith(b"HTTP/1.1 400 ")


def test_the_page_is_served_with_its_headers(shared: Client) -> None:
    page = shared.get("/")
    assert page.status == 200
    assert page.headers["content-type"].startswith("text/html")
    assert "default-src 'none'" in page.headers["content-security-policy"]
    assert shared.get("/static/app.js").status == 200


def test_health_readiness_and_metrics(client: Client) -> None:
    client.post("/v1/translate", {"text": ["a", "b"]})
    client.get("/no/such/page")
    assert (client.get("/health").status, client.get("/ready").status) == (200, 200)
    lines = client.get("/metrics").body.decode().splitlines()
    assert 'nmt_requests_total{route="/v1/translate",status="200"} 1.0' in lines
    assert 'nmt_requests_total{route="other",status="404"} 1.0' in lines
    assert 'nmt_batch_texts_sum{model="en-mr"} 2.0' in lines
    assert 'nmt_translated_total{model="en-mr"} 4.0' in lines
    assert 'nmt_queue_load{model="en-mr"} 0.0' in lines
    client.service.draining = True
    assert client.get("/ready").status == 503


# ---------------------------------------------------------------- batches


def test_what_waits_is_translated_together(client: Client, engine: FakeEngine) -> None:
    engine.hold()
    with ThreadPoolExecutor(9) as pool:
        first = pool.submit(client.post, "/v1/translate", {"text": "first"})
        assert engine.held.wait(10)
        others = [pool.submit(client.post, "/v1/translate", {"text": f"text {n}"}) for n in range(8)]
        wait_until(lambda: client.load() == 2 + 8 * 4)
        engine.go()
        assert texts(first.result()) == ["FIRST"]
        assert [texts(other.result()) for other in others] == [[f"TEXT {n}"] for n in range(8)]
    assert [len(batch) for batch in engine.batches] == [1, 8]


def test_batches_are_translated_at_the_same_time() -> None:
    engine = FakeEngine()
    engine.hold()
    with served({"m": engine}, processes=2) as client, ThreadPoolExecutor(3) as pool:
        first = pool.submit(client.post, "/v1/translate", {"text": "first"})
        wait_until(lambda: engine.shares == [1])
        second = pool.submit(client.post, "/v1/translate", {"text": "second"})
        wait_until(lambda: engine.shares == [1, 2])
        assert client.get("/health").status == 200
        engine.go()
        assert (texts(first.result()), texts(second.result())) == (["FIRST"], ["SECOND"])
        assert texts(client.post("/v1/translate", {"text": "third"})) == ["THIRD"]
        assert engine.shares == [1, 2, 1]
    with served({"m": FakeEngine()}, processes=5) as client:
        assert sum(thread.name.startswith("translate m") for thread in threading.enumerate()) == 5


def test_a_short_text_does_not_wait_for_a_long_one(client: Client, engine: FakeEngine) -> None:
    engine.hold()
    with ThreadPoolExecutor(3) as pool:
        first = pool.submit(client.post, "/v1/translate", {"text": "first"})
        assert engine.held.wait(10)
        long = client.begin("/v1/translate", {"text": "long " * 900})
        short = pool.submit(client.post, "/v1/translate", {"text": "short"})
        wait_until(lambda: client.load() == 2 + 1800 + 2)
        engine.go(2)
        assert texts(first.result()) == ["FIRST"]
        assert texts(short.result()) == ["SHORT"]
        assert client.load() == 1800
        long.close()


@pytest.mark.parametrize(("wrong", "status"), [(IMPOSSIBLE, 400), (BROKEN, 500)])
def test_one_bad_request_harms_no_other(client: Client, engine: FakeEngine, wrong: str, status: int) -> None:
    engine.hold()
    with ThreadPoolExecutor(4) as pool:
        blocking = pool.submit(client.post, "/v1/translate", {"text": "first"})
        assert engine.held.wait(10)
        bad = pool.submit(client.post, "/v1/translate", {"text": [wrong, "its neighbour"]})
        good = pool.submit(client.post, "/v1/translate", {"text": "good"})
        stream = pool.submit(client.post, "/v1/stream", {"text": "a b"})
        wait_until(lambda: client.load() == 2 + 2 + 4 + 2 + 4)
        engine.go()
        assert blocking.result().status == 200
        assert bad.result().status == status
        assert bad.result().json["error"]["message"]
        assert texts(good.result()) == ["GOOD"]
        assert [event.get("piece") for event in events(stream.result().body)] == ["A", " B", None]
    assert client.load() == 0


# ---------------------------------------------------------------- limits


@pytest.mark.parametrize("path", ["/v1/translate", "/v1/stream", "/v1/alternatives"])
def test_a_client_that_leaves_frees_its_place_within_a_step(
    client: Client, engine: FakeEngine, path: str
) -> None:
    engine.hold()
    leaving = client.begin(path, {"text": "many words " * 100})
    assert engine.held.wait(10)
    held = client.load()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(client.post, "/v1/translate", {"text": "next"})
        wait_until(lambda: client.load() == held + 2)
        leaving.close()
        wait_until(lambda: client.load() == 2)
        engine.go()
        assert texts(waiting.result()) == ["NEXT"]
    assert engine.live == [[], ["next"]]


def test_a_client_that_leaves_a_stream_midway_frees_its_place(client: Client, engine: FakeEngine) -> None:
    with client.begin("/v1/stream", {"text": "many words " * 10_000}) as connection:
        assert b"200 OK" in connection.recv(100)
    wait_until(lambda: client.load() == 0)
    assert texts(client.post("/v1/translate", {"text": "next"})) == ["NEXT"]


def test_a_full_queue_asks_to_come_again(engine: FakeEngine) -> None:
    engine.hold()
    with served({"m": engine}, queue_size=10) as client, ThreadPoolExecutor(1) as pool:
        first = pool.submit(client.post, "/v1/translate", {"text": "a b c d"})
        wait_until(lambda: client.load() == 8)
        for path in ("/v1/translate", "/v1/stream"):
            busy = client.post(path, {"text": "a b"})
            assert busy.status == 503
            assert int(busy.headers["retry-after"]) >= 1
        engine.go()
        assert first.result().status == 200
        assert client.post("/v1/translate", {"text": "a b"}).status == 200
        too_long = client.post("/v1/translate", {"text": "a b c d e f"})
        assert (too_long.status, too_long.json["error"]["field"]) == (413, "text")
        assert "at most 5" in too_long.json["error"]["message"]


@pytest.mark.parametrize(
    "constraint",
    [{"required": ["a"] * 4}, {"forbidden": ["a"] * 40}, {"glossary": {str(n): "a" for n in range(800)}},
     {"glossary": {"c": "d", "e": "f", "a": ["b"] * 800}}, {"prefix": "a" * 800}],
)  # fmt: skip
def test_constraints_take_room_too(engine: FakeEngine, constraint: dict[str, Any]) -> None:
    with served({"m": engine}, queue_size=100) as client:
        assert client.post("/v1/translate", {"text": "a"} | constraint).status == 413
        name, value = next(iter(constraint.items()))
        few = dict(list(value.items())[:2]) if isinstance(value, dict) else value[:2]
        assert client.post("/v1/translate", {"text": "a", name: few}).status == 200


def test_attention_is_bounded_as_it_grows_with_the_square(shared: Client) -> None:
    for words, status in ((1400, 200), (1500, 413)):
        asked = {"text": "a " * words, "attention": True, "nbest": 2}
        assert shared.post("/v1/translate", asked).status == status
        assert shared.post("/v1/translate", asked | {"attention": False}).status == 200


def test_large_bodies_are_refused_declared_or_not(engine: FakeEngine) -> None:
    with served({"m": engine}, max_body=1000) as client:
        for headers in ({}, {"Transfer-Encoding": "chunked"}):
            body = json.dumps({"text": "a" * 2000}).encode()
            if headers:
                body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            reply = client.post("/v1/translate", body, **headers)
            assert reply.status == 413
            assert "1000 bytes" in reply.json["error"]["message"]
        assert client.post("/v1/translate", {"text": "a" * 900}).status == 200
        with socket.create_connection(("127.0.0.1", client.port), timeout=10) as connection:
            connection.sendall(b"POST /v1/translate HTTP/1.1\r\nHost: a\r\nContent-Length: 1001\r\n\r\n")
            assert connection.recv(4096).startswith(b"HTTP/1.1 413 ")  # before any of it is sent
    assert engine.batches == [["a" * 900]]


def test_a_body_that_does_not_come_in_time_is_refused(engine: FakeEngine) -> None:
    with (
        served({"m": engine}, body_timeout=0.1) as client,
        socket.create_connection(("127.0.0.1", client.port), timeout=10) as connection,
    ):
        connection.sendall(b"POST /v1/translate HTTP/1.1\r\nHost: a\r\nContent-Length: 20\r\n\r\n{")
        reply = everything(connection)
        assert reply.startswith(b"HTTP/1.1 408 ")
        assert b"\r\nconnection: close\r\n" in reply.lower()


def test_a_head_that_does_not_come_in_time_ends_the_connection(engine: FakeEngine) -> None:
    heads = [b"", b"GET /health HT", b"GET /health HTTP/1.1\r\nHost: a\r\n\r\nGET /he"]
    with served({"m": engine}, idle_timeout=1) as client:
        start = time.monotonic()
        connections = [socket.create_connection(("127.0.0.1", client.port), timeout=10) for _ in heads]
        for connection, head in zip(connections, heads, strict=True):
            connection.sendall(head)
        received = [everything(connection) for connection in connections]
        assert 0.5 < time.monotonic() - start < 5
    assert [one[:12] for one in received] == [b"", b"", b"HTTP/1.1 200"]


@pytest.mark.parametrize("path", ["/v1/translate", "/v1/stream"])
def test_an_answer_that_takes_too_long_is_given_up(engine: FakeEngine, path: str) -> None:
    engine.hold()
    with served({"m": engine}, timeout=0.1) as client:
        reply = client.post(path, {"text": "a"})
        assert reply.status == 504
        assert "0.1 s" in reply.json["error"]["message"]
        assert client.load() == 0
        engine.go()


def test_a_client_that_does_not_read_its_answer_is_left(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "READING", 0.2)
    with served({"m": engine}) as client:
        with client.begin("/v1/translate", {"text": "a" * 250_000, "nbest": 24}):  # 12 MB
            wait_until(lambda: engine.batches)
            wait_until(lambda: not client.server.server_state.connections)
        assert client.get("/health").status == 200


def test_too_many_connections_are_refused(engine: FakeEngine) -> None:
    with served({"m": engine}, max_connections=2) as client:
        held = [socket.create_connection(("127.0.0.1", client.port), timeout=10) for _ in range(2)]
        wait_until(lambda: len(client.server.server_state.connections) == 2)
        for path in ("/v1/translate", "/translate"):
            busy = client.post(path, {"text": "a"})
            assert (busy.status, busy.headers["connection"]) == (503, "close")
            assert int(busy.headers["retry-after"]) >= 1
            assert "connections" in str(busy.json["error"])
        assert client.get("/health").status == 200
        held.pop().close()
        wait_until(lambda: len(client.server.server_state.connections) == 1)
        assert client.post("/v1/translate", {"text": "a"}).status == 200
        held.pop().close()


def test_far_too_many_connections_are_closed_at_once(
    engine: FakeEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serving, "_REFUSED", 3)
    with served({"m": engine}, max_connections=2) as client:
        held = [socket.create_connection(("127.0.0.1", client.port), timeout=10) for _ in range(30)]
        for connection in held[4:]:
            with suppress(ConnectionError):
                assert everything(connection) == b""
        assert len(client.server.server_state.connections) <= 4
        for connection in held:
            connection.close()
        wait_until(lambda: not client.server.server_state.connections)
        assert client.post("/v1/translate", {"text": "a"}).status == 200


@pytest.mark.parametrize(
    ("limits", "asked", "expected"),
    [
        ((1024, 4096), 2100, 2000),
        ((1024, 1024), 1024, 924),
        ((1024, -1), 2100, 2000),
        ((5000, 5000), None, 2000),
        ((-1, -1), None, 2000),
    ],
)
def test_connections_leave_room_for_other_files(
    monkeypatch: pytest.MonkeyPatch, limits: tuple[int, int], asked: int | None, expected: int
) -> None:
    resource = pytest.importorskip("resource", reason="not on Windows")
    calls: list[int] = []
    monkeypatch.setattr(resource, "getrlimit", lambda _: limits)
    monkeypatch.setattr(resource, "setrlimit", lambda _, pair: calls.append(pair[0]))
    assert serving._most_connections(1000) == expected
    assert calls == ([] if asked is None else [asked])


def test_a_key_is_needed_if_there_is_one(engine: FakeEngine) -> None:
    with served({"m": engine}, api_key="key") as client:
        for path in ("/v1/translate", "/v1/stream", "/v1/alternatives"):
            assert client.post(path, {"text": "a"}).status == 401
            assert client.post(path, {"text": "a"}, Authorization="Bearer wrong").status == 401
            assert client.post(path, {"text": "a"}, Authorization="Bearer key").status == 200
        assert client.get("/metrics").status == client.get("/v1/models").status == 401
        assert {client.get(path).status for path in ("/", "/health", "/ready", "/static/app.js")} == {200}
    assert engine.batches == [["a"], ["a"]]


# ---------------------------------------------------------------- stopping


def test_stopping_finishes_what_was_accepted(engine: FakeEngine) -> None:
    engine.hold()
    with served({"m": engine}) as client, ThreadPoolExecutor(3) as pool:
        running = pool.submit(client.post, "/v1/translate", {"text": "running"})
        assert engine.held.wait(10)
        waiting = pool.submit(client.post, "/v1/translate", {"text": "waiting"})
        stream = pool.submit(client.post, "/v1/stream", {"text": "a b"})
        wait_until(lambda: client.load() == 2 + 2 + 4)
        client.server.handle_exit(15, None)
        threading.Timer(0.3, engine.go).start()
        assert texts(running.result()) == ["RUNNING"]
        assert texts(waiting.result()) == ["WAITING"]
        assert {one.result().headers["connection"] for one in (running, waiting, stream)} == {"close"}
        assert events(stream.result().body)[-1]["translation"]["text"] == "A B"
        with pytest.raises(ConnectionRefusedError):
            client.get("/health")


# ---------------------------------------------------------------- LibreTranslate


def form(client: Client, path: str, body: str) -> Any:
    return client.post(path, body.encode(), **{"Content-Type": "application/x-www-form-urlencoded"})


def test_libretranslate_translates_forms_and_json(shared: Client) -> None:
    assert form(shared, "/translate", "q=a+b&source=en&target=mr").json == {"translatedText": "A B"}
    assert shared.post("/translate", {"q": "a", "source": "en", "target": "mr"}).json == {
        "translatedText": "A"
    }
    many = shared.post("/translate", {"q": ["a", "b"], "source": "eng", "target": "mr-IN"})
    assert many.json == {"translatedText": ["A", "B"]}
    other = shared.post("/translate", {"q": "a", "source": "en", "target": "mr", "alternatives": 1})
    assert other.json == {"translatedText": "A", "alternatives": ["A 1"]}
    assert shared.post("/translate", {"q": "a", "source": "mr", "target": "mr"}).json == {
        "translatedText": "a"
    }


@pytest.mark.parametrize(
    ("document", "translated", "texts"),
    [
        ("<p class='x'>fish &amp; <b>chips</b></p>", "<p class='x'>FISH &amp; <b>CHIPS</b></p>", 2),
        ("<i>a</i>, &hellip; <b>b</b>.\n<br>– 42", "<i>A</i>, &hellip; <b>B</b>.\n<br>– 42", 2),
        ("<p>…</p>", "<p>…</p>", 0),
        ("<!-- a <b> -->b<SCRIPT>a < b</script >c", "<!-- a <b> -->B<SCRIPT>a < b</script >C", 2),
        ("a<!-- b <i>c", "A<!-- b <i>c", 1),
        ("a < b", "A &lt; B", 1),
    ],
)
def test_libretranslate_keeps_markup(
    client: Client, engine: FakeEngine, document: str, translated: str, texts: int
) -> None:
    asked = {"q": [document, "x"], "source": "en", "target": "mr", "format": "html"}
    assert client.post("/translate", asked).json == {"translatedText": [translated, "X"]}
    assert len(engine.batches[0]) == texts + 1


@pytest.mark.parametrize("markup", ["<!--", "<script", "<", "<a", "</script", "<style></"])
def test_broken_markup_takes_no_longer_than_any(shared: Client, markup: str) -> None:
    start = time.monotonic()
    document = markup * (200_000 // len(markup))
    asked = {"q": document, "source": "en", "target": "mr", "format": "html"}
    assert shared.post("/translate", asked).status in (200, 413)
    assert time.monotonic() - start < 5


def test_libretranslate_detects_languages(shared: Client) -> None:
    assert [one["language"] for one in form(shared, "/detect", "q=small+letters").json] == ["en", "mr"]
    found = shared.post("/detect", {"q": "CAPITALS"}).json
    assert sum(one["confidence"] for one in found) == pytest.approx(100)
    reply = shared.post("/translate", {"q": ["small letters"], "source": "auto", "target": "mr"}).json
    assert reply["translatedText"] == ["SMALL LETTERS"]
    assert reply["detectedLanguage"][0]["language"] == "en"


def test_libretranslate_lists_languages_and_limits(shared: Client) -> None:
    assert shared.get("/languages").json == [
        {"code": "en", "name": "English", "targets": ["en", "mr"]},
        {"code": "mr", "name": "Marathi", "targets": ["mr"]},
    ]
    assert shared.get("/frontend/settings").json["language"]["target"]["code"] == "mr"


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"source": "en", "target": "mr"}, "missing q"),
        ({"text": "a", "source": "en", "target": "mr"}, "given: source, target, text"),
        ({"q": "a", "source": "en", "traget": "mr"}, "traget: no such parameter; did you mean target?"),
        ({"q": "a", "source": "en", "target": "mr", "alternative": 1}, "did you mean alternatives?"),
        ({"q": "a", "target": "mr"}, "missing source"),
        ({"q": "a", "source": "en"}, "missing target"),
        ({"q": {"a": 1}, "source": "en", "target": "mr"}, "list of strings"),
        ({"q": "a", "source": ["en"], "target": "mr"}, "must be a string"),
        ({"q": "a", "source": "en", "target": "tlh"}, "tlh is not supported"),
        ({"q": "a", "source": "mr", "target": "en"}, "English (en) is not available as a target"),
        ({"q": "a", "source": "en", "target": "mr", "format": "pdf"}, "pdf format is not supported"),
        ({"q": "a", "source": "en", "target": "mr", "alternatives": "x"}, "whole number"),
        ({"q": "a", "source": "en", "target": "mr", "alternatives": "9" * 5000}, "whole number"),
        ({"q": "a", "source": "en", "target": "mr", "format": "\ud800"}, "? format is not supported"),
        ({"q": "a\ud800", "source": "mr", "target": "mr"}, "Unicode"),
        ({"q": "a\ud800", "source": "en", "target": "mr"}, "Unicode"),
    ],
)
def test_libretranslate_errors_are_a_message(shared: Client, values: dict[str, Any], says: str) -> None:
    reply = shared.post("/translate", values)
    assert reply.status == 400
    assert says in reply.json["error"]


def test_libretranslate_takes_the_key_as_a_field(engine: FakeEngine) -> None:
    with served({"m": engine}, api_key="key") as client:
        asked = {"q": "a", "source": "en", "target": "mr"}
        assert client.post("/translate", asked).status == 403
        assert client.post("/translate", asked | {"api_key": "no"}).json == {"error": "Invalid API key"}
        assert client.post("/translate", asked | {"api_key": "key"}).status == 200
        assert form(client, "/detect", "q=a&api_key=key").status == 200
        assert client.get("/languages").status == 200


def test_pages_of_other_origins_may_use_it_only_if_told(engine: FakeEngine) -> None:
    for allowed, expected in (([], None), (["https://a.example"], "https://a.example")):
        with served({"m": engine}, allow_origin=allowed) as client:
            reply = client.post("/v1/translate", {"text": "a"}, Origin="https://a.example")
            assert reply.headers.get("access-control-allow-origin") == expected
