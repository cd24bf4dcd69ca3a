"""The archive: fetched over an unreliable network, and checked before anything trusts it.

A download grows in `<name>.part` beside its place and is renamed only when it is a whole zip archive
with the member that is wanted, so the cache never holds anything else. A part left by an interrupted
download is resumed; if the two halves turn out not to fit, the download starts over by itself. A lock
file lets one process at a time download; the others wait and find the file there.
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

USER_AGENT = f"nmt/{__version__} (neural machine translation)"  # the site answers 406 to the library's own
_CHUNK = 1 << 16


class _PassingError(Exception):
    """A failure that may pass: worth another attempt."""


@contextmanager
def _network() -> Iterator[None]:
    """Tell failures of the network, which may pass, from those of the disk, which are `OSError` too."""
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


def _ways_on(destination: Path) -> str:
    return (
        f"other ways: data.archive=FILE for a local copy, the file put at {destination.absolute()}, "
        "or data=sample for the bundled corpus"
    )


@dataclass
class _Download:
    """One file on its way to `part`, over as many attempts as it takes."""

    url: str
    destination: Path
    part: Path
    timeout: float
    validator: str | None = None  # names the server's version of the file, once it is known
    resumed: bool = False  # the part was made of more than one answer

    def attempt(self) -> None:
        """Bring the part to its end.

        Raises:
            _PassingError: if another attempt may help.
            DownloadError: if it will not.
        """
        offset = self.part.stat().st_size if self.part.exists() else 0
        response = self._request(offset)
        if response is None:
            self.resumed = True
            return
        with response:
            if response.status == 206:  # should its range not fit, the archive's checksums will tell
                self.resumed = True
            else:
                offset = 0
            etag = response.headers.get("ETag", "")
            self.validator = etag if etag.startswith('"') else response.headers.get("Last-Modified")
            self._receive(response, offset)

    def _request(self, offset: int) -> Any:
        """The server's answer, or None if it says that the part is whole already."""
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
            raise _PassingError("the part did not fit the server's file")
        reason = f"HTTP {error.code} {error.reason}"
        if error.code in (408, 429) or error.code >= 500:
            raise _PassingError(reason)
        hint = "check data.language and data.url; " if error.code == 404 else ""
        raise DownloadError(f"the server refuses: {reason}; {hint}{_ways_on(self.destination)}", self.url)

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
    """Attempt until it works, with pauses of 1, 2, 4 … seconds."""
    for number in range(attempts):
        try:
            return download.attempt()
        except _PassingError as error:
            reason = error
        if number + 1 < attempts:
            sleep(2.0**number)
    raise DownloadError(
        f"cannot be downloaded ({reason}); {_ways_on(download.destination)}", download.url
    ) from reason


def _fetch(download: _Download, member: str, attempts: int, sleep: Callable[[float], None]) -> None:
    """Download, check, and put in place."""
    for _ in range(2):  # once more from the beginning if a resumed part turns out bad
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
    raise DownloadError(f"{fault}; {_ways_on(download.destination)}") from fault


def fetch(
    url: str,
    destination: Path,
    *,
    member: str,
    timeout: float = 30.0,
    attempts: int = 4,
    sleep: Callable[[float], None] = time.sleep,
) -> Path:
    """Download a zip archive to `destination`, unless it is there already.

    Server errors (5xx, 429), lost connections and silence of `timeout` seconds are retried, up to
    `attempts` in all; what came so far is kept and resumed, now or by the next call.

    Args:
        url: an http or https address.
        destination: the file in the cache; folders are made as needed.
        member: the file that the archive must hold.
        timeout: seconds without an answer.
        attempts: at most.
        sleep: waits so many seconds between attempts.

    Returns:
        `destination`, which is a whole zip archive with `member` if it was downloaded now.

    Raises:
        ConfigError: if `url` is not a web address.
        DownloadError: one line on what went wrong and how to go on without the network.
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
