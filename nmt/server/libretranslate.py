"""The API of LibreTranslate, as far as its clients need it: `/languages`, `/translate`, `/detect` and
`/frontend/settings`. Requests are JSON or forms; errors are `{"error": "message"}`.
"""

import html
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
from nmt.server.engine import Result
from nmt.server.payload import RequestError, parse_json, translation_ask
from nmt.server.service import Service, read_body

PATHS = ("/languages", "/translate", "/detect", "/frontend/settings")
_TAG = re.compile(r"(<[^<>]*>)")


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
        values = await self._values(request)
        text = _required(values, "q")
        return JsonResponse(self._detector.detect(text if isinstance(text, str) else "\n".join(text)))

    async def translate(self, request: Request) -> Response:
        """`POST /translate`: one text, or a list."""
        values = await self._values(request)
        given = _required(values, "q")
        texts = [given] if isinstance(given, str) else list(given)
        source, target = language_code(_word(values, "source")), language_code(_word(values, "target"))
        detected = self._detector.detect("\n".join(texts))[0] if source == "auto" else None
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
        parts = [_split(text) if markup else [text] for text in texts]
        todo = [html.unescape(part) if markup else part for pieces in parts for part in pieces[::2]]
        values: dict[str, Any] = {"text": todo, "nbest": 1 + count, **model}
        found = iter(await self._service.run(request, translation_ask(values, self._service.config)))
        answer: list[tuple[str, list[str]]] = []
        for pieces in parts:
            results = [next(found) for _ in pieces[::2]]
            if markup:
                answer.append((_join(pieces, results), []))
            else:
                answer.append((results[0].text, [one.text for one in results[0].alternatives]))
        return answer

    async def _values(self, request: Request) -> Mapping[str, Any]:
        """The fields of a request, from JSON or a form.

        Raises:
            RequestError: for what is neither, and without the API key, which may be one of the fields.
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


def _required(values: Mapping[str, Any], name: str) -> Any:
    value = values.get(name)
    if not value:
        raise RequestError(f"Invalid request: missing {name} parameter")
    if not isinstance(value, str) and not (
        isinstance(value, list) and all(isinstance(one, str) for one in value)
    ):
        raise RequestError(f"Invalid request: {name} must be a string or a list of strings")
    return value


def _word(values: Mapping[str, Any], name: str) -> str:
    value = _required(values, name)
    if not isinstance(value, str):
        raise RequestError(f"Invalid request: {name} must be a string")
    return value


def _count(value: Any) -> int:
    """How many alternatives are asked for; forms have it as text."""
    if isinstance(value, bool) or not (isinstance(value, int) or str(value).isdecimal()):
        raise RequestError("Invalid request: alternatives must be a whole number")
    return max(0, int(value))


def _split(text: str) -> list[str]:
    """HTML as text, tag, text, tag … text."""
    return _TAG.split(text)


def _join(pieces: Sequence[str], results: Sequence[Result]) -> str:
    """HTML with its texts translated."""
    joined = list(pieces)
    joined[::2] = [html.escape(result.text, quote=False) for result in results]
    return "".join(joined)


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
