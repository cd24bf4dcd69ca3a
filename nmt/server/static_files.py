"""The files of the page, as the server sends them: no build step, nothing from another host."""

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import NamedTuple

from nmt.visualisation.webfont import DEVANAGARI, devanagari_woff

INDEX = "index.html"
FONT = "devanagari.woff"
_HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; font-src 'self'; "
    "img-src 'self' data:; connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
"""Of every file of the page: the browser then runs no script and fetches nothing from elsewhere."""
_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
    "woff": "font/woff",
}


class StaticFile(NamedTuple):
    """A file of the page."""

    content: bytes
    media_type: str
    headers: Mapping[str, str]


@cache
def static_names() -> tuple[str, ...]:
    """The names of all files: `INDEX` is the page at /, the others are at /static/NAME."""
    names = (file.name for file in (resources.files("nmt.server") / "static").iterdir())
    return (*sorted(names), FONT)


def static_file(name: str) -> StaticFile | None:
    """A file of `static_names()`, or None for any other name.

    The font takes a second the first time, so a server calls this outside its event loop.
    """
    return _read(name) if name in static_names() else None


@cache
def _read(name: str) -> StaticFile:
    media_type = _TYPES[name.rpartition(".")[2]]
    if name == FONT:
        headers = _HEADERS | {"Cache-Control": "max-age=604800"}
        return StaticFile(devanagari_woff(DEVANAGARI), media_type, headers)
    content = (resources.files("nmt.server") / "static" / name).read_bytes()
    headers = _HEADERS | {"Cache-Control": "no-cache"}  # never the page of one version, the script of another
    return StaticFile(content, media_type, headers)
