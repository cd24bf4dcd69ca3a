"""Downloading, against a web server on this machine that behaves as badly as real ones do."""

import io
import random
import re
import threading
import time
import urllib.error
import urllib.request
import zipfile
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.data.archive import check_archive, open_member
from nmt.data.download import fetch
from nmt.errors import ConfigError, DataError, DownloadError


def archive(seed: int = 0, member: str = "mar.txt") -> bytes:
    """A zip archive of some 200 kB, so that it comes in several chunks."""
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as zipped:
        zipped.writestr(member, random.Random(seed).randbytes(200_000))
        zipped.writestr("_about.txt", "about")
    return file.getvalue()


def encrypted() -> bytes:
    """An archive whose member is flagged as encrypted."""
    data = bytearray(archive())
    data[data.index(b"PK\x03\x04") + 6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def corrupt() -> bytes:
    """An archive with one flipped bit in its member."""
    data = bytearray(archive())
    data[100_000] ^= 1
    return bytes(data)


GOOD = archive()


@dataclass
class Answer:
    """How the server treats one request."""

    body: bytes = GOOD
    status: int = 200
    drop_after: int | None = None  # drops the connection after so many bytes
    ranges: bool = True
    etag: str | None = None
    shift: int = 0  # answers a range request with a range that starts elsewhere
    stall: threading.Event | None = None


@dataclass
class Site:
    """A web site; it gives its answers in turn, then repeats the last one."""

    url: str
    answers: list[Answer] = field(default_factory=lambda: [Answer()])
    requests: list[dict[str, str]] = field(default_factory=list)

    def ranges(self) -> list[str | None]:
        return [headers.get("Range") for headers in self.requests]


class Handler(BaseHTTPRequestHandler):
    """Gives the site's next answer."""

    site: Site

    def do_GET(self) -> None:
        self.site.requests.append(dict(self.headers.items()))
        if self.headers.get("User-Agent", "Python-urllib").startswith("Python-urllib"):
            self.send_error(406)
            return
        answers = self.site.answers
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        if answer.stall:
            answer.stall.wait(5)
            return
        self._send(answer, self._start(answer))

    def _start(self, answer: Answer) -> int | None:
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        same = self.headers.get("If-Range") in (None, answer.etag)
        return int(wanted[1]) + answer.shift if wanted and answer.ranges and same else None

    def _send(self, answer: Answer, start: int | None) -> None:
        status, body, total = answer.status, answer.body, len(answer.body)
        headers = {"ETag": answer.etag} if answer.etag else {}
        if start is not None and start >= total:
            status, body, headers["Content-Range"] = 416, b"no such range", f"bytes */{total}"
        elif start is not None:
            status, body, headers["Content-Range"] = 206, body[start:], f"bytes {start}-{total - 1}/{total}"
        self.send_response(status)
        for name, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body[: answer.drop_after])

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def site(monkeypatch: pytest.MonkeyPatch) -> Iterator[Site]:
    monkeypatch.setenv("no_proxy", "*")
    server = ThreadingHTTPServer(("127.0.0.1", 0), BaseHTTPRequestHandler)
    site = Site(f"http://127.0.0.1:{server.server_port}/mar-eng.zip")
    server.RequestHandlerClass = type("SiteHandler", (Handler,), {"site": site})
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def destination(tmp_path: Path) -> Path:
    return tmp_path / "cache" / "manythings" / "mar-eng.zip"


def part_of(destination: Path) -> Path:
    return destination.with_name("mar-eng.zip.part")


def get(
    site: Site, destination: Path, sleep: Callable[[float], None] = lambda _: None, **options: float
) -> Path:
    return fetch(site.url, destination, member="mar.txt", sleep=sleep, timeout=options.get("timeout", 5.0))


def assert_clean(destination: Path, body: bytes = GOOD) -> None:
    """The archive is in the cache, and nothing half-written beside it."""
    assert destination.read_bytes() == body
    assert not part_of(destination).exists()


# ---------------------------------------------------------------- what works


def test_a_file_is_downloaded_once(site: Site, destination: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert get(site, destination) == destination
    assert get(site, destination) == destination
    assert_clean(destination)
    assert len(site.requests) == 1
    assert capsys.readouterr() == ("", "")  # no progress bar where there is no terminal


def test_it_introduces_itself(site: Site, destination: Path) -> None:
    with pytest.raises(urllib.error.HTTPError, match="406"):
        urllib.request.urlopen(site.url)
    get(site, destination)
    assert site.requests[-1]["User-Agent"].startswith("nmt/")


@pytest.mark.parametrize("status", [500, 503, 429])
def test_passing_server_errors_are_retried_ever_more_slowly(
    site: Site, destination: Path, status: int
) -> None:
    site.answers = [Answer(status=status), Answer(status=status), Answer()]
    pauses: list[float] = []
    get(site, destination, sleep=pauses.append)
    assert_clean(destination)
    assert pauses == [1.0, 2.0]


def test_a_dropped_connection_is_resumed(site: Site, destination: Path) -> None:
    site.answers = [
        Answer(drop_after=70_000, etag='"1"'),
        Answer(drop_after=50_000, etag='"1"'),
        Answer(etag='"1"'),
    ]
    get(site, destination)
    assert_clean(destination)
    assert site.ranges() == [None, "bytes=70000-", "bytes=120000-"]
    assert [headers.get("If-Range") for headers in site.requests] == [None, '"1"', '"1"']


def test_a_server_without_ranges_is_asked_from_the_beginning(site: Site, destination: Path) -> None:
    site.answers = [Answer(drop_after=70_000), Answer(ranges=False)]
    get(site, destination)
    assert_clean(destination)
    assert site.ranges() == [None, "bytes=70000-"]


def test_a_new_version_on_the_server_is_not_glued_to_the_old_one(site: Site, destination: Path) -> None:
    new = archive(seed=1)
    site.answers = [Answer(drop_after=70_000, etag='"old"'), Answer(new, etag='"new"')]
    get(site, destination)
    assert_clean(destination, new)
    assert len(site.requests) == 2


def test_a_part_left_by_an_earlier_run_is_resumed(site: Site, destination: Path) -> None:
    destination.parent.mkdir(parents=True)
    part_of(destination).write_bytes(GOOD[:150_000])
    get(site, destination)
    assert_clean(destination)
    assert site.ranges() == ["bytes=150000-"]


@pytest.mark.parametrize(
    ("left", "ranges"),
    [
        pytest.param(archive(seed=1)[:150_000], ["bytes=150000-", None], id="of another version"),
        pytest.param(GOOD, [f"bytes={len(GOOD)}-"], id="already complete"),
        pytest.param(GOOD + b"x", [f"bytes={len(GOOD) + 1}-", None], id="too long"),
        pytest.param(b"x" * len(GOOD), [f"bytes={len(GOOD)}-", None], id="complete but wrong"),
        pytest.param(b"", [None], id="empty"),
    ],
)
def test_a_part_is_never_trusted(
    site: Site, destination: Path, left: bytes, ranges: list[str | None]
) -> None:
    destination.parent.mkdir(parents=True)
    part_of(destination).write_bytes(left)
    get(site, destination)
    assert_clean(destination)
    assert site.ranges() == ranges


def test_a_wrong_range_is_noticed(site: Site, destination: Path) -> None:
    site.answers = [Answer(drop_after=70_000), Answer(shift=-5), Answer()]
    get(site, destination)
    assert_clean(destination)
    assert site.ranges() == [None, "bytes=70000-", None]


def test_processes_that_start_together_download_once(site: Site, destination: Path) -> None:
    with ThreadPoolExecutor(6) as pool:  # each opens the lock file for itself, as processes do
        list(pool.map(lambda _: get(site, destination), range(6)))
    assert_clean(destination)
    assert len(site.requests) == 1


# ---------------------------------------------------------------- what fails


@pytest.mark.parametrize(
    ("body", "message"),
    [
        pytest.param(GOOD[:-1000], "not a complete zip archive", id="truncated"),
        pytest.param(b"<html>Please try later</html>", "not a complete zip archive", id="web page"),
        pytest.param(b"", "not a complete zip archive", id="empty"),
        pytest.param(corrupt(), "checksum of mar.txt|Bad CRC", id="flipped bit"),
        pytest.param(encrypted(), "encrypted", id="encrypted"),
        pytest.param(archive(member="deu.txt"), "has no mar.txt, only deu.txt", id="another language"),
        pytest.param(archive(member="readme"), "text files in it: none", id="no text"),
    ],
)
def test_what_is_no_archive_never_reaches_the_cache(
    site: Site, destination: Path, body: bytes, message: str
) -> None:
    site.answers = [Answer(body), Answer()]
    with pytest.raises(DownloadError, match=message) as caught:
        get(site, destination)
    assert "\n" not in str(caught.value)
    assert site.url in str(caught.value)
    assert not destination.exists()
    assert not part_of(destination).exists()
    get(site, destination)
    assert_clean(destination)


def test_a_resumed_part_that_stays_bad_ends_in_an_error(site: Site, destination: Path) -> None:
    destination.parent.mkdir(parents=True)
    part_of(destination).write_bytes(GOOD[:1000])
    site.answers = [Answer(corrupt())]
    with pytest.raises(DownloadError, match="not a complete zip archive"):
        get(site, destination)
    assert site.ranges() == ["bytes=1000-", None]
    assert not part_of(destination).exists()


@pytest.mark.parametrize("status", [400, 403, 404, 410])
def test_a_refusal_is_final(site: Site, destination: Path, status: int) -> None:
    site.answers = [Answer(status=status), Answer()]
    with pytest.raises(DownloadError, match=f"HTTP {status}") as caught:
        get(site, destination)
    assert len(site.requests) == 1
    assert ("data.language" in str(caught.value)) == (status == 404)
    get(site, destination)
    assert_clean(destination)


def test_a_server_that_stays_broken_is_given_up(site: Site, destination: Path) -> None:
    site.answers = [Answer(status=500)]
    pauses: list[float] = []
    with pytest.raises(DownloadError, match="HTTP 500"):
        get(site, destination, sleep=pauses.append)
    assert len(site.requests) == 4
    assert pauses == [1.0, 2.0, 4.0]
    assert not destination.exists()


def test_what_came_before_giving_up_is_kept_for_the_next_call(site: Site, destination: Path) -> None:
    site.answers = [Answer(drop_after=30_000)]
    with pytest.raises(DownloadError, match=r"after 120,000 of \d+,\d+ bytes"):
        get(site, destination)
    assert not destination.exists()
    site.answers = [Answer()]
    get(site, destination)
    assert_clean(destination)
    assert site.ranges()[-1] == "bytes=120000-"


def test_silence_times_out(site: Site, destination: Path) -> None:
    silence = threading.Event()
    site.answers = [Answer(stall=silence)]
    start = time.monotonic()
    with pytest.raises(DownloadError, match="timed out"):
        get(site, destination, timeout=0.05)
    assert time.monotonic() - start < 3
    silence.set()
    assert len(site.requests) == 4


def test_without_a_network_one_line_names_the_alternatives(
    destination: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("no_proxy", "*")
    with pytest.raises(DownloadError) as caught:
        fetch("http://127.0.0.1:1/mar-eng.zip", destination, member="mar.txt", sleep=lambda _: None)
    message = str(caught.value)
    assert "\n" not in message
    for needed in ("no connection", "data.archive=FILE", str(destination), "data=sample"):
        assert needed in message


def test_the_cached_file_is_left_alone(destination: Path) -> None:
    destination.parent.mkdir(parents=True)
    destination.write_bytes(b"as it is")
    assert fetch("http://127.0.0.1:1/mar-eng.zip", destination, member="mar.txt") == destination
    assert destination.read_bytes() == b"as it is"


@pytest.mark.parametrize(
    "url", ["file:///etc/hostname", "mar-eng.zip", "", "http://a b/", "http://[a/", "http://a:b/", "http://"]
)
def test_only_web_addresses_are_fetched(url: str, destination: Path) -> None:
    with pytest.raises(ConfigError, match=r"data\.url"):
        fetch(url, destination, member="mar.txt", sleep=lambda _: None)
    assert not destination.exists()


def test_a_cache_that_cannot_be_written(site: Site, tmp_path: Path) -> None:
    (tmp_path / "cache").write_text("a file, not a folder")
    with pytest.raises(DownloadError, match=r"data\.cache=FOLDER"):
        get(site, tmp_path / "cache" / "manythings" / "mar-eng.zip")


# ---------------------------------------------------------------- zip archives


@settings(max_examples=300, deadline=None)
@given(data=st.data())
def test_no_corruption_gets_through(data: st.DataObject, tmp_path_factory: pytest.TempPathFactory) -> None:
    text = "Go.\tजा.\nRun!\tपळ!\n".encode() * 3
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("mar.txt", text)
    content = bytearray(file.getvalue())
    for _ in range(data.draw(st.integers(1, 3))):
        content[data.draw(st.integers(0, len(content) - 1))] = data.draw(st.integers(0, 255))
    path = tmp_path_factory.mktemp("zip", numbered=True) / "mar-eng.zip"
    path.write_bytes(content[: data.draw(st.sampled_from([len(content), len(content) - 1]))])

    def read() -> bytes:
        with open_member(path, "mar.txt") as opened:
            return opened.read()

    for action in (read, lambda: check_archive(path, "mar.txt")):
        with suppress(DataError):
            assert action() in (text, None)
