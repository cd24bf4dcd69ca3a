"""A model in processes of its own: results, errors, texts that are given up, and processes that end."""

import os
import threading
import time
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest
from fake_engine import BROKEN, IMPOSSIBLE, FakeEngine

for needed in ("starlette", "uvicorn", "prometheus_client"):
    pytest.importorskip(needed, reason="needs the extra serve")
from served import served, wait_until  # noqa: E402

from nmt.errors import ConfigError  # noqa: E402
from nmt.library.options import OptionError, TranslationOptions  # noqa: E402
from nmt.server.engine_processes import EngineProcesses  # noqa: E402

PLAIN = TranslationOptions()
PARENT = os.getpid()


class Slow(FakeEngine):
    """A model in another process, where its steps take a while, and that tells of itself."""

    def _step(self) -> None:
        time.sleep(0.002)

    def _outcome(self, text: str, own: TranslationOptions) -> Any:
        if text == "end":
            os._exit(3)
        if text == "option":
            raise OptionError("nbest", "must be less", 7)
        answers = {"process": str(os.getpid()), "shares": str(self.shares)}
        return super()._outcome(answers.get(text, text), own)


def load(message: str = "") -> Slow:
    if message:
        raise ConfigError(message)
    return Slow()


@pytest.fixture(scope="module")
def engine() -> Iterator[EngineProcesses]:
    engine = EngineProcesses(load, 2)
    yield engine
    engine.close()


def translate(engine: EngineProcesses, *texts: str, **changes: Any) -> list[Any]:
    given: dict[str, Any] = {"cancelled": lambda index: False} | changes
    return list(engine.translate_batch(texts, [PLAIN] * len(texts), **given))


def test_it_translates_in_another_process(engine: EngineProcesses) -> None:
    (own,) = translate(engine, "process")
    assert int(own.text) != os.getpid()
    assert (engine.heads, engine.beam_size, engine.languages) == (1, 2, ("eng", "mar"))
    assert (engine.size("a b"), engine.target_size("ab")) == (2, 2)


def test_pieces_and_outcomes_come_as_they_are_found(engine: EngineProcesses) -> None:
    pieces: list[tuple[int, str]] = []
    ended: list[tuple[int, str]] = []
    found = translate(
        engine,
        "one two three",
        "one",
        streamed=[0],
        report=lambda index, piece: pieces.append((index, piece)),
        finished=lambda index, outcome: ended.append((index, outcome.text)),
    )
    assert [one.text for one in found] == ["ONE TWO THREE", "ONE"]
    assert pieces == [(0, "ONE"), (0, " TWO"), (0, " THREE")]
    assert ended == [(1, "ONE"), (0, "ONE TWO THREE")]
    others = engine.alternatives("a b", "x", 2, PLAIN, cancelled=lambda: False)
    assert [one.text for one in others] == ["x0", "x1"]


def test_batches_are_translated_at_the_same_time(engine: EngineProcesses) -> None:
    """Each waits, in its first report, for the other one."""
    together = threading.Barrier(2)
    found: list[str] = []

    def one() -> None:
        reported: list[str] = []

        def report(index: int, piece: str) -> None:
            if not reported:
                together.wait(20)
            reported.append(piece)

        found.extend(one.text for one in translate(engine, "one two", streamed=[0], report=report))

    threads = [threading.Thread(target=one) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["ONE TWO"] * 2


def test_batches_share_the_threads_of_a_process(engine: EngineProcesses) -> None:
    engine.share_threads(2)
    assert translate(engine, "shares")[0].text.endswith("2]")
    engine.share_threads(1)
    assert translate(engine, "shares")[0].text.endswith("1]")


def test_what_is_given_up_ends_early(engine: EngineProcesses) -> None:
    """And no later call takes it for one of its own texts."""
    long = "word " * 100_000
    asked: list[int] = []

    def cancelled(index: int) -> bool:
        asked.append(index)
        return len(asked) > 20

    assert translate(engine, long, cancelled=cancelled) == [None]
    assert not list(engine.alternatives(long, "", 2, PLAIN, cancelled=lambda: True))
    for _ in range(4):
        assert [one.text for one in translate(engine, "next", "one")] == ["NEXT", "ONE"]


def test_errors_are_those_of_the_model(engine: EngineProcesses) -> None:
    assert [type(one) for one in translate(engine, IMPOSSIBLE)] == [ConfigError]
    with pytest.raises(RuntimeError, match=r"(?s)Traceback.*fake_engine.*the model is broken"):
        translate(engine, BROKEN)
    with pytest.raises(OptionError, match=r"^nbest=7: must be less$") as caught:
        translate(engine, "option")
    assert (caught.value.field, caught.value.problem) == ("nbest", "must be less")
    assert [one.text for one in translate(engine, "next")] == ["NEXT"]


def test_a_process_that_ends_is_replaced(engine: EngineProcesses) -> None:
    before = {child.process.pid for child in engine._children}
    with pytest.raises(RuntimeError, match="ended with exit code 3"):
        translate(engine, "end")
    for _ in range(4):
        assert [one.text for one in translate(engine, "next")] == ["NEXT"]
    after = {child.process.pid for child in engine._children}
    assert len(after) == 2
    assert len(after - before) == 1


def test_one_that_ended_while_it_was_free_is_not_noticed(engine: EngineProcesses) -> None:
    for child in engine._children:
        child.process.kill()
        child.process.join(10)
    for _ in range(3):
        assert [one.text for one in translate(engine, "next")] == ["NEXT"]


def test_a_call_that_is_not_awaited_tells_the_next_nothing(engine: EngineProcesses) -> None:
    def fails(index: int, value: Any) -> None:
        raise ValueError("nobody listens")

    for _ in range(2):
        with pytest.raises(ValueError, match="nobody listens"):
            translate(engine, "one", "two of them", finished=fails)
    for _ in range(3):
        assert [one.text for one in translate(engine, "next", "and one")] == ["NEXT", "AND ONE"]


def test_closing_ends_the_processes() -> None:
    engine = EngineProcesses(load, 2)
    processes = [child.process for child in engine._children]
    assert all(process.is_alive() for process in processes)
    engine.close()
    assert [process.exitcode for process in processes] == [0, 0]


def test_a_model_that_cannot_be_loaded() -> None:
    with pytest.raises(ConfigError, match="no such model"):
        EngineProcesses(partial(load, "no such model"), 2)


def test_a_request_that_ends_a_process_harms_no_other(engine: EngineProcesses) -> None:
    with served({"m": engine}, processes=2) as client:
        reply = client.post("/v1/translate", {"text": ["good", "end"]})
        assert reply.status == 500
        assert client.post("/v1/translate", {"text": "good"}).json["translations"][0]["text"] == "GOOD"
        wait_until(lambda: client.load() == 0)
        assert client.get("/ready").status == 200
