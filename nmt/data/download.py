"""Download of the corpus archive: resumable, retried, and verified before use.

A download is written to `<name>.part` next to its destination and renamed only once it is a complete
zip archive with the wanted member, so the cache never contains anything else. A partial file left by an
interrupted download is resumed; if the result is corrupt, the download starts over automatically. A
lock file lets one process download at a time; the others wait and then use its file.
"""

import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tqdm import tqdm

from nmt import __version__
from nmt.data.archive import check_archive
from nmt.errors import ConfigError, DataError, DownloadError
from nmt.files import lock_file

USER_AGENT = f"nmt/{__version__} (neural machine translation)"  # the site answers 406 to urllib's default
_CHUNK = 1 << 16


class _PassingError(Exception):
    """A transient failure: worth another attempt."""


@contextmanager
def _network() -> Iterator[None]:
    """Separate network failures, which may be transient, from disk failures, which are `OSError` too."""
    try:
        yield
    except urllib.error.HTTPError:
        raise
    except urllib.error.URLError as error:
        raise _PassingError(f"no connection: {error.reason}") from error
    except (ValueError, http.client.InvalidURL) as error:
        raise ConfigError(f"data.url: not a web address ({error})") from error
    except (OSError, http.client.HTTPException) as error:
        raise _PassingError(f"connection lost: {error or type(error).__name__}") from error


def _alternatives(destination: Path) -> str:
    return (
        f"alternatives: data.archive=FILE for a local copy, put the file at {destination.absolute()}, "
        "or data=sample for the bundled corpus"
    )


@dataclass
class _Download:
    """Download of one file to `part`, over several attempts if needed."""

    url: str
    destination: Path
    part: Path
    timeout: float
    validator: str | None = None  # ETag or Last-Modified of the file, once known
    resumed: bool = False  # the partial file came from more than one response

    def attempt(self) -> None:
        """Complete the partial file.

        Raises:
            _PassingError: for a transient failure.
            DownloadError: for a permanent one.
        """
        offset = self.part.stat().st_size if self.part.exists() else 0
        response = self._request(offset)
        if response is None:
            self.resumed = True
            return
        with response:
            if response.status == 206:  # a wrong range would fail the archive's checksums
                self.resumed = True
            else:
                offset = 0
            etag = response.headers.get("ETag", "")
            self.validator = etag if etag.startswith('"') else response.headers.get("Last-Modified")
            self._receive(response, offset)

    def _request(self, offset: int) -> Any:
        """The server's response, or None if it reports that the partial file is already complete."""
        headers = {"User-Agent": USER_AGENT}
        if offset:
            headers["Range"] = f"bytes={offset}-"
            if self.validator:
                headers["If-Range"] = self.validator
        try:
            with _network():
                return urllib.request.urlopen(
                    urllib.request.Request(self.url, headers=headers), timeout=self.timeout
                )
        except urllib.error.HTTPError as error:
            with error:
                return self._refused(error, offset)

    def _refused(self, error: urllib.error.HTTPError, offset: int) -> None:
        if error.code == 416 and offset:
            if error.headers.get("Content-Range") == f"bytes */{offset}":
                return
            self.part.unlink()
            raise _PassingError("the partial download does not match the server's file")
        reason = f"HTTP {error.code} {error.reason}"
        if error.code in (408, 429) or error.code >= 500:
            raise _PassingError(reason)
        hint = "check data.language and data.url; " if error.code == 404 else ""
        raise DownloadError(
            f"the server refused: {reason}; {hint}{_alternatives(self.destination)}", self.url
        )

    def _receive(self, response: Any, offset: int) -> None:
        length = response.headers.get("Content-Length", "")
        total = offset + int(length) if length.isdecimal() else None
        bar = tqdm(
            desc=self.destination.name,
            total=total,
            initial=offset,
            unit="B",
            unit_scale=True,
            disable=None,  # shown on a terminal only
        )
        with bar, self.part.open("ab" if offset else "wb") as file:
            while chunk := self._read(response):
                file.write(chunk)
                bar.update(len(chunk))
            os.fsync(file.fileno())
            size = file.tell()
        if total is not None and size < total:
            raise _PassingError(f"connection lost after {size:,} of {total:,} bytes")

    def _read(self, response: Any) -> bytes:
        with _network():
            return bytes(response.read(_CHUNK))


def _persist(download: _Download, attempts: int, sleep: Callable[[float], None]) -> None:
    """Retry with pauses of 1, 2, 4 … seconds (exponential backoff)."""
    for number in range(attempts):
        try:
            return download.attempt()
        except _PassingError as error:
            reason = error
        if number + 1 < attempts:
            sleep(2.0**number)
    raise DownloadError(
        f"cannot be downloaded ({reason}); {_alternatives(download.destination)}", download.url
    ) from reason


def _fetch(download: _Download, member: str, attempts: int, sleep: Callable[[float], None]) -> None:
    """Download, verify, and move to the destination."""
    for _ in range(2):  # once more from scratch if a resumed download is corrupt
        download.resumed = False
        _persist(download, attempts, sleep)
        try:
            check_archive(download.part, member, download.url)
        except DataError as error:
            download.part.unlink()
            fault = error
        else:
            download.part.replace(download.destination)
            return
        if not download.resumed:
            break
    raise DownloadError(f"{fault}; {_alternatives(download.destination)}") from fault


def fetch(
    url: str,
    destination: Path,
    *,
    member: str,
    timeout: float = 30.0,
    attempts: int = 4,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """Download a zip archive to `destination`, unless it exists already.

    Server errors (5xx, 429), lost connections and timeouts are retried, up to `attempts` attempts in
    total; the partial file is kept and resumed, by the next attempt or the next call.

    Args:
        url: an http or https URL.
        destination: the file in the cache; folders are created as needed.
        member: the file that the archive must contain.
        timeout: seconds without a response.
        attempts: maximum number.
        sleep: waits the given number of seconds between attempts.

    Returns:
        `destination`; verified to be a complete zip archive with `member` if downloaded by this call.

    Raises:
        ConfigError: if `url` is not a URL.
        DownloadError: one line with the cause and the alternatives without network.
    """
    part = destination.with_name(destination.name + ".part")
    try:
        if destination.is_file():
            return destination
        if not re.fullmatch(r"https?://[!-~]+", url):
            raise ConfigError(f"data.url={url}: not a web address (http://… or https://…)")
        destination.parent.mkdir(parents=True, exist_ok=True)
        with lock_file(destination.with_name(f".{destination.name}.lock"), wait=True):
            if not destination.is_file():  # another process may have fetched it meanwhile
                _fetch(_Download(url, destination, part, timeout), member, attempts, sleep)
    except OSError as error:
        raise DownloadError(
            f"cannot be written ({error.strerror or error}); choose another folder with data.cache=FOLDER",
            destination,
        ) from error
    return destination
