"""The JSON of requests: read, checked, and made the options of the library. Errors name the field."""

import dataclasses
import difflib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from nmt.config.server import ServerConfig
from nmt.library.options import OptionError, TranslationOptions

_OPTIONS = tuple(item.name for item in dataclasses.fields(TranslationOptions))
_OF_SAMPLING = ("sample", "mbr", "mbr_size", "temperature", "top_k", "top_p", "seed")
_SEARCHED = tuple(name for name in _OPTIONS if name not in ("nbest", "tree", *_OF_SAMPLING))
"""Options of alternatives: `count` is their `nbest`, and they are searched for, not drawn."""
_TRANSLATION_FIELDS = ("text", "model", *_OPTIONS)
_ALTERNATIVES_FIELDS = ("text", "model", "count", *_SEARCHED)
_PLAIN = TranslationOptions()
_ALTERNATIVES = 5  # unless a request names a count
_SHOWN = 60  # characters of a name that is unknown


class RequestError(Exception):
    """A request that cannot be answered as asked.

    Args:
        message: what is wrong and what to do.
        field: the field of the request that is wrong, if any.
        status: the HTTP status.
        headers: of the answer.
    """

    def __init__(
        self,
        message: str,
        field: str | None = None,
        status: int = 400,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.message, self.field, self.status, self.headers = message, field, status, headers


@dataclass(frozen=True)
class Ask:
    """What a request asks for.

    Attributes:
        texts: to translate.
        model: its name; None: the first.
        options: of all texts.
        count: of alternatives; None: translations.
    """

    texts: Sequence[str]
    model: str | None
    options: TranslationOptions
    count: int | None = None


def parse_json(body: bytes) -> dict[str, Any]:
    """The object in the body of a request.

    Raises:
        RequestError: if there is none.
    """
    try:
        values = json.loads(body, parse_constant=_refuse)
    except (ValueError, RecursionError) as error:  # also of bytes that are not UTF-8
        reason = "nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise RequestError(f"the body is not valid JSON: {reason}") from error
    if not isinstance(values, dict):
        raise RequestError('the body must be a JSON object, such as {"text": "Hello."}')
    return values


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not a number of JSON")


def translation_ask(values: Mapping[str, Any], config: ServerConfig) -> Ask:
    """A request of `/v1/translate`.

    Raises:
        RequestError: for a field that is unknown, missing or wrong.
    """
    check_fields(values, _TRANSLATION_FIELDS)
    texts = _texts(values.get("text"), config)
    return Ask(texts, _model(values), _options(values, config))


def stream_ask(values: Mapping[str, Any], config: ServerConfig) -> Ask:
    """A request of `/v1/stream`; errors as of `translation_ask`."""
    check_fields(values, _TRANSLATION_FIELDS)
    _check_single(values)
    return translation_ask(values, config)


def alternatives_ask(values: Mapping[str, Any], config: ServerConfig) -> Ask:
    """A request of `/v1/alternatives`; errors as of `translation_ask`."""
    check_fields(values, _ALTERNATIVES_FIELDS)
    _check_single(values)
    count = values.get("count", _ALTERNATIVES)
    if type(count) is not int or not 1 <= count <= config.max_beam_size:
        raise RequestError(f"count: must be a whole number from 1 to {config.max_beam_size}", "count")
    return Ask(_texts(values["text"], config), _model(values), _options(values, config), count)


def check_fields(values: Mapping[str, Any], known: Sequence[str]) -> None:
    """Refuse fields that are not known, first of all: a text whose field is misspelt is no missing text.

    Raises:
        RequestError: if there is one; it names the most similar field that is known.
    """
    for name in values:
        if name not in known:
            near = difflib.get_close_matches(name[:_SHOWN], known, n=1)
            advice = f"did you mean {near[0]}?" if near else f"known are {', '.join(known)}"
            raise RequestError(f"{name[:_SHOWN]}: no such field; {advice}", name[:_SHOWN])


def _check_single(values: Mapping[str, Any]) -> None:
    if not isinstance(values.get("text"), str):
        raise RequestError("text: must be a string", "text")


def _texts(given: Any, config: ServerConfig) -> list[str]:
    texts = [given] if isinstance(given, str) else given
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise RequestError("text: must be a string or a list of strings", "text")
    if not texts:
        raise RequestError("text: must have at least one string", "text")
    if len(texts) > config.max_texts:
        raise RequestError(f"text: {len(texts)} texts; at most {config.max_texts} at a time", "text", 413)
    for text in texts:
        check_unicode(text, "text")
    return texts


def _model(values: Mapping[str, Any]) -> str | None:
    model = values.get("model")
    if model is not None and not isinstance(model, str):
        raise RequestError("model: must be a string", "model")
    return model


def _options(values: Mapping[str, Any], config: ServerConfig) -> TranslationOptions:
    """The options among the fields of a request."""
    given = {name: value for name, value in values.items() if name in _OPTIONS}
    if not given:
        return _PLAIN
    try:
        options = TranslationOptions(**given)
    except OptionError as error:
        raise RequestError(str(error), error.field) from error
    for name, value in given.items():
        check_unicode(json.dumps(value, ensure_ascii=False), name)
    for name in ("beam_size", "nbest", "mbr_size", "candidates"):
        if (getattr(options, name) or 0) > config.max_beam_size:
            raise RequestError(f"{name}: must be at most {config.max_beam_size}", name)
    return options


def check_unicode(text: str, field: str) -> None:
    """Refuse half a surrogate pair, which JSON can escape, but no text can have."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise RequestError(f"{field}: not valid Unicode: half a surrogate pair", field) from error


def as_json(content: Any) -> bytes:
    """JSON as UTF-8. Half a surrogate pair, of which an error may say that it is wrong, becomes `?`."""
    text = json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode(errors="replace")


def error_content(error: RequestError) -> dict[str, Any]:
    """The body of the answer to a request that failed."""
    content = {"message": error.message} | ({} if error.field is None else {"field": error.field})
    return {"error": content}
