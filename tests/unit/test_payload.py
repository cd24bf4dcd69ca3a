"""Requests of the server: what is wrong is named, and nothing wrong gets through."""

import pytest

from nmt.config.server import ServerConfig
from nmt.library.options import TranslationOptions
from nmt.server.payload import (
    RequestError,
    alternatives_ask,
    as_json,
    error_content,
    parse_json,
    stream_ask,
    translation_ask,
)

CONFIG = ServerConfig(max_beam_size=8, max_texts=3)


def refused(values: dict[str, object], ask=translation_ask) -> RequestError:
    with pytest.raises(RequestError) as caught:
        ask(values, CONFIG)
    return caught.value


def test_a_request_becomes_options_of_the_library() -> None:
    ask = translation_ask(
        {
            "text": ["One.", "Two."], "model": "m", "nbest": 2, "beam_size": 4, "prefix": "अ",
            "required": ["ब"], "forbidden": [], "glossary": {"cat": "मांजर"}, "attention": True,
        },
        CONFIG,
    )  # fmt: skip
    assert (ask.texts, ask.model, ask.count) == (["One.", "Two."], "m", None)
    assert ask.options == TranslationOptions(
        nbest=2,
        beam_size=4,
        prefix="अ",
        required=["ब"],
        forbidden=[],
        glossary={"cat": "मांजर"},
        attention=True,
    )
    plain = translation_ask({"text": "One."}, CONFIG)
    assert (plain.texts, plain.model, plain.options) == (["One."], None, TranslationOptions())


@pytest.mark.parametrize(
    ("values", "field", "says"),
    [
        ({}, "text", "must be a string or a list"),
        ({"text": 5}, "text", "must be a string or a list"),
        ({"text": ["a", None]}, "text", "must be a string or a list"),
        ({"text": []}, "text", "at least one"),
        ({"text": "half \ud83d"}, "text", "surrogate"),
        ({"text": "a", "prefix": "\udc00"}, "prefix", "surrogate"),
        ({"text": "a", "glossary": {"\udc00": "b"}}, "glossary", "surrogate"),
        ({"text": "a", "model": 1}, "model", "must be a string"),
        ({"text": "a", "nbets": 1}, "nbets", "did you mean nbest?"),
        ({"txt": "a"}, "txt", "did you mean text?"),
        ({"text": "a", "zzz": 1}, "zzz", "known are text, model, nbest"),
        ({"text": "a", "x" * 1000: 1}, "x" * 60, "no such field"),
        ({"text": "a", "nbest": "2"}, "nbest", "whole number"),
        ({"text": "a", "nbest": True}, "nbest", "whole number"),
        ({"text": "a", "nbest": 0}, "nbest", "at least 1"),
        ({"text": "a", "nbest": 9}, "nbest", "at most 8"),
        ({"text": "a", "beam_size": 9}, "beam_size", "at most 8"),
        ({"text": "a", "mbr": "samples", "mbr_size": 9}, "mbr_size", "at most 8"),
        ({"text": "a", "required": "b"}, "required", "list"),
        ({"text": "a", "required": [1]}, "required", "text"),
        ({"text": "a", "glossary": ["b"]}, "glossary", "mapping"),
        ({"text": "a", "glossary": {"a": 1}}, "glossary", "text"),
        ({"text": "a", "attention": 1}, "attention", "True or False"),
    ],
)
def test_what_is_wrong_is_named(values: dict[str, object], field: str, says: str) -> None:
    error = refused(values)
    assert error.field == field
    assert error.message.startswith(field)
    assert says in error.message
    assert error.status == 400


def test_too_many_texts_are_too_large() -> None:
    assert refused({"text": ["a"] * 4}).status == 413


@pytest.mark.parametrize("ask", [stream_ask, alternatives_ask])
def test_one_text_is_streamed_or_has_alternatives(ask) -> None:
    assert refused({"text": ["a"]}, ask).field == "text"
    misspelt = refused({"txt": "a"}, ask)
    assert (misspelt.field, misspelt.message) == ("txt", "txt: no such field; did you mean text?")
    assert ask({"text": "a", "prefix": "b"}, CONFIG).options.prefix == "b"


@pytest.mark.parametrize("count", [0, 9, "2", True, None])
def test_a_count_of_alternatives_is_bounded(count: object) -> None:
    assert refused({"text": "a", "count": count}, alternatives_ask).field == "count"
    assert refused({"text": "a", "nbest": 2}, alternatives_ask).field == "nbest"


def test_alternatives_have_the_options_of_a_search() -> None:
    steered = {"required": ["b"], "forbidden": ["c"], "glossary": {"a": "d"}, "keep": ["url"], "prefix": "e"}
    ask = alternatives_ask({"text": "a", "count": 3, **steered, "attention": True}, CONFIG)
    assert ask.options == TranslationOptions(**steered, attention=True)
    assert ask.count == 3
    for name in ("sample", "mbr", "tree"):
        assert refused({"text": "a", name: True}, alternatives_ask).field == name


def test_fields_of_an_error_can_be_written() -> None:
    error = refused({"text": "a", "\ud800": 1})
    assert as_json(error_content(error)).startswith(b'{"error":{"message":"?: no such field')


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"{", b"[]", b"null", b'"text"', b"\xff\xfe{", b'{"text": NaN}'),
        *(b"[" * 100_000, b'{"a": ' * 100_000, b'{"nbest": ' + b"9" * 5000 + b"}"),
    ],
    ids=lambda body: repr(body[:12]),
)
def test_what_is_no_object_of_json_is_refused(body: bytes) -> None:
    with pytest.raises(RequestError) as caught:
        parse_json(body)
    assert caught.value.status == 400
    assert len(caught.value.message) < 200
