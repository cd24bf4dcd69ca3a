"""The API of LibreTranslate, as far as its clients need it: `/languages`, `/translate`, `/detect` and
`/frontend/settings`. Requests are JSON or forms; errors are `{"error": "message"}`.
"""

import difflib
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from nmt.config.languages import language_code, language_name
from nmt.server.detection import Detector
from nmt.server.endpoints import JsonResponse
from nmt.server.markup import Piece, joined, pieces
from nmt.server.payload import RequestError, check_unicode, parse_json, translation_ask
from nmt.server.service import Service, read_body

PATHS = ("/languages", "/translate", "/detect", "/frontend/settings")
_DETECT, _TRANSLATE = ("q",), ("q", "source", "target", "format", "alternatives")
"""The fields of requests; besides, `api_key`."""
_SIMILAR = 0.8  # a name that is at least so similar to one that is missing, is that one misspelt
_SURE = 99.0
"""The confidence with which a text must be in the target language not to be translated."""
_SHOWN = 60  # characters of such a name


def routes(service: Service) -> list[Route]:
    """The routes."""
    api = LibreTranslate(service)
    endpoints = ((api.languages, "GET"), (api.translate, "POST"), (api.detect, "POST"), (api.settings, "GET"))
    return [
        Route(path, endpoint, methods=[method])
        for path, (endpoint, method) in zip(PATHS, endpoints, strict=True)
    ]


class LibreTranslate:
    """The endpoints.

    Args:
        service: what all endpoints share.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._models: dict[tuple[str, str], dict[str, str]] = {}  # languages → fields of a request
        for name, batcher in service.batchers.items():
            for source, target in batcher.engine.directions:
                to = {"to": target} if batcher.engine.targets else {}
                key = language_code(source), language_code(target)
                self._models.setdefault(key, {"model": name, **to})
        self._detector = Detector(_sizes(service, self._models))

    async def languages(self, request: Request) -> Response:
        """`GET /languages`: those of the models, and what each can be translated to."""
        targets: dict[str, list[str]] = {}
        for source, target in self._models:
            targets.setdefault(source, [source]).append(target)
            targets.setdefault(target, [target])
        return JsonResponse(
            [
                {"code": code, "name": language_name(code), "targets": sorted(targets[code])}
                for code in sorted(targets, key=language_name)
            ]
        )

    async def settings(self, request: Request) -> Response:
        """`GET /frontend/settings`: the limits."""
        source, target = next(iter(self._models), ("en", "en"))
        return JsonResponse(
            {
                "apiKeys": self._service.api_key is not None,
                "keyRequired": self._service.api_key is not None,
                "charLimit": -1,
                "frontendTimeout": 500,
                "suggestions": False,
                "filesTranslation": False,
                "supportedFilesFormat": [],
                "language": {
                    "source": {"code": source, "name": language_name(source)},
                    "target": {"code": target, "name": language_name(target)},
                },
            }
        )

    async def detect(self, request: Request) -> Response:
        """`POST /detect`: the languages that a text may be in, the most probable first."""
        values = await self._values(request, _DETECT)
        text = _required(values, "q")
        return JsonResponse(self._detector.detect(text if isinstance(text, str) else "\n".join(text)))

    async def translate(self, request: Request) -> Response:
        """`POST /translate`: one text, or a list."""
        values = await self._values(request, _TRANSLATE)
        given = _required(values, "q")
        texts = [given] if isinstance(given, str) else list(given)
        source, target = language_code(_word(values, "source")), language_code(_word(values, "target"))
        detected = self._detected("\n".join(texts), target) if source == "auto" else None
        if detected is not None:
            source = detected["language"]
        count = _count(values.get("alternatives", 0))
        form = values.get("format", "text")
        if form not in ("text", "html"):
            raise RequestError(f"{form} format is not supported; choose text or html")
        if source == target:
            answer: list[tuple[str, list[str]]] = [(text, []) for text in texts]
        else:
            answer = await self._translated(
                request, texts, self._model(source, target), count, form == "html"
            )
        return JsonResponse(_answer(answer, isinstance(given, str), count, detected))

    def _detected(self, text: str, target: str) -> dict[str, Any]:
        """The language of a text that is to be translated: one that can be, unless it surely is the target.
        The vocabulary of a model for both directions knows both of its languages, and cannot tell.
        """
        found = self._detector.detect(text)
        if found and found[0]["language"] == target and found[0]["confidence"] < _SURE:
            return next((one for one in found if (one["language"], target) in self._models), found[0])
        return found[0]

    def _model(self, source: str, target: str) -> dict[str, str]:
        """The fields of a request that choose the model, and its direction, for these languages."""
        if (source, target) in self._models:
            return self._models[source, target]
        known = {code for pair in self._models for code in pair}
        for code in (source, target):
            if code not in known:
                raise RequestError(f"{code} is not supported")
        raise RequestError(
            f"{language_name(target)} ({target}) is not available as a target language from "
            f"{language_name(source)} ({source})"
        )

    async def _translated(
        self, request: Request, texts: Sequence[str], model: dict[str, str], count: int, markup: bool
    ) -> list[tuple[str, list[str]]]:
        """The translation of each text, and its alternatives."""
        parts = [pieces(text) if markup else [Piece(text, text)] for text in texts]
        todo = [part.text for own in parts for part in own if part.text is not None]
        values: dict[str, Any] = {"text": todo, "nbest": 1 + count, **model}
        ask = translation_ask(values, self._service.config) if todo else None
        found = iter([] if ask is None else await self._service.run(request, ask))
        if markup:
            return [(joined(own, (one.text for one in found)), []) for own in parts]
        return [(one.text, [other.text for other in one.alternatives]) for one in found]

    async def _values(self, request: Request, known: Sequence[str]) -> Mapping[str, Any]:
        """The fields of a request, from JSON or a form.

        Raises:
            RequestError: for what is neither, without the API key, which may be one of the fields, and for a
                field that is not one of those `known` but misspelt.
        """
        body = await read_body(request, self._service.config)
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        values: dict[str, Any]
        if kind == "application/json":
            values = parse_json(body)
        elif kind in ("application/x-www-form-urlencoded", ""):
            values = _form(body)
        else:
            raise RequestError(f"{kind}: send JSON or a form (application/x-www-form-urlencoded)", None, 415)
        key = values.get("api_key")
        if not self._service.authorised(request, key if isinstance(key, str) else None):
            raise RequestError("Invalid API key", None, 403)
        _check_fields(values, known)
        return values


def _sizes(
    service: Service, models: Mapping[tuple[str, str], Mapping[str, str]]
) -> dict[str, Callable[[str], int]]:
    """For each language, how a text is counted in pieces of it."""
    sizes: dict[str, Callable[[str], int]] = {}
    for (source, target), model in models.items():
        engine = service.batchers[model["model"]].engine
        sizes.setdefault(source, engine.size)
        sizes.setdefault(target, engine.target_size)
    return sizes


def _form(body: bytes) -> dict[str, Any]:
    """The fields of a form; q may be there several times."""
    try:
        fields = parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=10_000)
    except ValueError as error:
        raise RequestError(f"the body is not a valid form: {error}") from error
    texts = [value for name, value in fields if name == "q"]
    return dict(fields) | ({"q": texts} if len(texts) > 1 else {})


def _check_fields(values: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse a field whose name is like that of one that is missing. Others that are unknown are left alone,
    as LibreTranslate leaves those that its clients send for other servers.
    """
    missing = [name for name in known if name not in values]
    for name in values.keys() - set(known):
        name = name[:_SHOWN]
        for near in difflib.get_close_matches(name.lower(), missing, n=1, cutoff=_SIMILAR):
            raise RequestError(f"Invalid request: {name}: no such parameter; did you mean {near}?")


def _required(values: Mapping[str, Any], name: str) -> Any:
    value = values.get(name)
    if not value:
        given = ", ".join(sorted(values))[:_SHOWN] or "none"
        raise RequestError(f"Invalid request: missing {name} parameter; given: {given}")
    if not isinstance(value, str) and not (
        isinstance(value, list) and all(isinstance(one, str) for one in value)
    ):
        raise RequestError(f"Invalid request: {name} must be a string or a list of strings")
    check_unicode("".join(value), name)
    return value


def _word(values: Mapping[str, Any], name: str) -> str:
    value = _required(values, name)
    if not isinstance(value, str):
        raise RequestError(f"Invalid request: {name} must be a string")
    return value


def _count(value: Any) -> int:
    """How many alternatives are asked for; forms have it as text."""
    is_number = type(value) is int or (isinstance(value, str) and re.fullmatch("[0-9]{1,9}", value))
    if not is_number:
        raise RequestError("Invalid request: alternatives must be a whole number")
    return max(0, int(value))


def _answer(
    answer: Sequence[tuple[str, list[str]]], single: bool, count: int, detected: Mapping[str, Any] | None
) -> dict[str, Any]:
    """The answer to one text, or to a list."""
    texts, others = [text for text, _ in answer], [alternatives for _, alternatives in answer]
    found: dict[str, Any] = {"translatedText": texts[0] if single else texts}
    if count:
        found["alternatives"] = others[0] if single else others
    if detected is not None:
        found["detectedLanguage"] = detected if single else [detected] * len(texts)
    return found
