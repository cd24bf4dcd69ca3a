"""`python -m nmt.serve` as a user starts it: it translates as the library does, and stops in order."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from conftest import Call
from console import TRAINING
from inside import inside

for needed in ("starlette", "uvicorn", "prometheus_client"):
    pytest.importorskip(needed, reason="needs the extra serve")
sys.path.insert(0, str(Path(__file__).parents[2] / "scripts"))
import check_invariance  # noqa: E402
from invariance import ways  # noqa: E402

import nmt  # noqa: E402
from nmt import serve, train  # noqa: E402

SENTENCES = ["The dog sees the cat.", "Sita likes this house.", "", "A new sentence, with words: 42."]


class Running(NamedTuple):
    """A server process and its address."""

    process: "subprocess.Popen[str]"
    url: str

    def post(self, path: str, values: Any) -> Any:
        """The JSON that a request of JSON is answered with."""
        headers = {"Content-Type": "application/json"}
        request = urllib.request.Request(self.url + path, json.dumps(values).encode(), headers)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def stop(self) -> int:
        """Its exit status after SIGTERM."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(60)


def start(*arguments: object) -> Running:
    """A server on a port of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "nmt.serve", "--port", "0", *map(str, arguments)],
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.fullmatch(r"serving .* on (http://127\.0\.0\.1:\d+) \(Ctrl-C to stop\)\n", line)
    if not found:
        process.kill()
        pytest.fail(line + process.stderr.read())
    return Running(process, found[1])


@pytest.fixture(scope="module")
def back(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of the other direction."""
    folder = tmp_path_factory.mktemp("back")
    answer = inside(train, *TRAINING, "data.swap=true", "training.max_steps=3", "name=back", folder=folder)
    assert answer.code == 0, answer.err
    return folder / "runs" / "back"


@pytest.fixture(scope="module")
def running(trained: Path, back: Path) -> Iterator[Running]:
    runs = [f"en-mr={trained}", f"twice={trained}", f"twice={trained}", f"ranked={trained}"]
    running = start(*(part for run in runs for part in ("--run", run)), "--reverse", f"ranked={back}")
    yield running
    running.process.kill()
    running.process.wait()


def test_it_translates_as_the_library_does(running: Running, trained: Path) -> None:
    translator = nmt.Translator.load(trained)
    asked = {"text": SENTENCES, "nbest": 2, "attention": True}
    answer = running.post("/v1/translate", asked)
    expected = translator.translate(SENTENCES, nbest=2, attention=True)
    assert [one["text"] for one in answer["translations"]] == [one.text for one in expected]
    for one, other in zip(answer["translations"], expected, strict=True):
        assert one["score"] == pytest.approx(other.score, abs=1e-5)
        assert one["flags"] == list(other.flags)
    alone = [running.post("/v1/translate", {"text": text})["translations"][0] for text in SENTENCES]
    assert [one["text"] for one in alone] == [one.text for one in expected]


def test_translations_do_not_depend_on_other_requests(
    running: Running, trained: Path, call: Call, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ways, "TOGETHER", 20)  # all sentences are more: each is a request of its own
    answer = call(check_invariance, "--run", trained, "--server", running.url, "--sentences", 24)
    assert answer.code == 0, answer.out + answer.err
    assert "| server, shuffled | 24 | 0 | 0 |" in answer.out


def test_alternatives_are_those_of_the_library(running: Running, trained: Path) -> None:
    asked = {"text": SENTENCES[0], "count": 3, "prefix": "क"}
    forbidden = running.post("/v1/alternatives", asked)["alternatives"][0]["words"][0]["text"]
    for more in ({}, {"forbidden": [forbidden]}):
        found = running.post("/v1/alternatives", asked | more)["alternatives"]
        expected = nmt.Translator.load(trained).alternatives(SENTENCES[0], "क", 3, **more)
        assert [one["text"] for one in found] == [one.text for one in expected]


def test_a_client_of_libretranslate_translates(running: Running, trained: Path) -> None:
    module = pytest.importorskip("libretranslatepy", reason="needs libretranslatepy")
    client = module.LibreTranslateAPI(running.url)
    (expected,) = nmt.Translator.load(trained).translate(SENTENCES[:1])
    assert client.translate(SENTENCES[0], "en", "mr") == expected.text
    assert [language["code"] for language in client.languages()] == ["en", "mr"]
    assert client.detect(SENTENCES[0])[0]["language"] == "en"


def test_runs_have_names_and_may_be_an_ensemble(running: Running) -> None:
    answers = [
        running.post("/v1/translate", {"text": "A cat.", "model": name}) for name in ("en-mr", "twice")
    ]
    assert [answer["model"] for answer in answers] == ["en-mr", "twice"]
    assert answers[0]["translations"][0]["text"] == answers[1]["translations"][0]["text"]
    with pytest.raises(urllib.error.HTTPError, match="404"):
        running.post("/v1/translate", {"text": "A cat.", "model": "other"})


def test_a_reverse_model_ranks_the_translations_of_the_model_it_is_for(
    running: Running, trained: Path, back: Path
) -> None:
    asked = {"text": SENTENCES, "nbest": 3}
    expected = nmt.Translator.load(trained, reverse=back).translate(SENTENCES, nbest=3)
    found = running.post("/v1/translate", asked | {"model": "ranked"})["translations"]
    assert found == [one.to_dict() | {"score": pytest.approx(one.score, abs=1e-5)} for one in expected]
    other = running.post("/v1/translate", asked | {"model": "en-mr"})["translations"]
    assert [one["text"] for one in other] == [
        one.text for one in nmt.Translator.load(trained).translate(SENTENCES, nbest=3)
    ]
    assert found != other


def test_sigterm_finishes_what_was_accepted(running: Running) -> None:
    """The last test of this server."""
    many = [f"The dog sees {number} cats." for number in range(100)]
    with ThreadPoolExecutor(4) as pool:
        answers = [pool.submit(running.post, "/v1/translate", {"text": many}) for _ in range(4)]
        while _load(running) == 0:
            time.sleep(0.01)
        code = running.stop()
        assert [len(answer.result()["translations"]) for answer in answers] == [100] * 4
    assert code == 0
    assert running.process.stderr is not None
    assert running.process.stderr.read() == ""


def _load(running: Running) -> float:
    with urllib.request.urlopen(running.url + "/metrics", timeout=60) as response:
        metrics = response.read().decode()
    found = re.search(r'^nmt_queue_load\{model="en-mr"\} (\S+)$', metrics, re.MULTILINE)
    assert found
    return float(found[1])


# ---------------------------------------------------------------- mistakes


def refused(call: Call, *arguments: object) -> str:
    answer = call(serve, *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("\n") == 1, answer.err
    return answer.err


def test_wrong_settings_are_named(call: Call, trained: Path) -> None:
    assert "--port=70000: must be at most 65535" in refused(call, "--run", trained, "--port", 70000)
    assert "--max-body=0: must be at least 1" in refused(call, "--run", trained, "--max-body", 0)
    assert "--threads=0" in refused(call, "--run", trained, "--threads", 0)
    assert "--api-key" in refused(call, "--run", trained, "--api-key", "")
    assert "--run NAME=" in refused(call, "--run", trained, "--run", trained)
    two = ["--run", f"a={trained}", "--run", f"b={trained}"]
    assert "which of a, b is it for? Give --reverse NAME=" in refused(call, *two, "--reverse", trained)
    assert "--reverse c=x: no model is named c, only a, b" in refused(call, *two, "--reverse", "c=x")
    twice = ["--reverse", "a=x", "--reverse", "a=y"]
    assert "--reverse a=y: a has one already, x; give one" in refused(call, *two, *twice)


def test_what_is_not_there_is_named(call: Call, trained: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no such run" in refused(call, "--run", "en-mr=missing", "--port", 0)
    assert "no such run" in refused(call, "--run", trained, "--reverse", "missing", "--port", 0)
    forward = refused(call, "--run", trained, "--reverse", trained, "--port", 0)
    assert "translates from en to mr, but" in forward
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert f"--port {port}: " in refused(call, "--run", trained, "--port", port)
    assert "--host nowhere.invalid" in refused(call, "--run", trained, "--host", "nowhere.invalid")
    for name in [name for name in sys.modules if name.startswith("nmt.server")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "uvicorn", None)
    assert "uvicorn is not installed: pip install starlette uvicorn" in refused(call, "--run", trained)
