"""A server with a model for both directions, and clients of LibreTranslate that name languages."""

from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from fake_engine import FakeEngine
from served import Client, served

from nmt.library.options import TranslationOptions


class BothDirections(FakeEngine):
    """A fake model that knows two target languages, and both of them on either side."""

    def __init__(self) -> None:
        super().__init__(("en", "mr"))
        self.targets = ("mr", "en")
        self.directions = (("en", "mr"), ("mr", "en"))
        self.asked: list[str | None] = []

    def target_size(self, text: str) -> int:
        return self.size(text)

    def translate_batch(
        self, texts: Sequence[str], options: Sequence[TranslationOptions], **others: Any
    ) -> list[Any]:
        self.asked += [own.to for own in options]
        return super().translate_batch(texts, options, **others)


@pytest.fixture(scope="module")
def engine() -> Iterator[BothDirections]:
    engine = BothDirections()
    yield engine
    engine.go()


@pytest.fixture(scope="module")
def client(engine: BothDirections) -> Iterator[Client]:
    with served({"single": FakeEngine(("eng", "fra")), "both": engine}) as client:
        yield client


def test_all_directions_are_listed(client: Client) -> None:
    found = {one["code"]: one["targets"] for one in client.get("/languages").json}
    assert found == {"en": ["en", "fr", "mr"], "mr": ["en", "mr"], "fr": ["fr"]}


@pytest.mark.parametrize(
    ("source", "target", "to"),
    [
        ("en", "mr", "mr"),
        ("mr", "en", "en"),
        ("auto", "mr", "mr"),
        ("auto", "en", "en"),
        ("mr-IN", "en", "en"),
    ],
)
def test_languages_choose_the_direction(
    client: Client, engine: BothDirections, source: str, target: str, to: str
) -> None:
    """Also where the vocabulary cannot tell the languages apart."""
    engine.asked.clear()
    reply = client.post("/translate", {"q": "a cat", "source": source, "target": target})
    assert reply.json["translatedText"] == "A CAT"
    assert engine.asked == [to]


def test_a_model_for_one_direction_is_asked_for_none(client: Client, engine: BothDirections) -> None:
    engine.asked.clear()
    assert client.post("/translate", {"q": "a cat", "source": "en", "target": "fr"}).status == 200
    assert engine.asked == []
    refused = client.post("/translate", {"q": "a cat", "source": "fr", "target": "mr"})
    assert (refused.status, refused.json["error"]) == (
        400, "Marathi (mr) is not available as a target language from French (fr)",
    )  # fmt: skip


def test_the_models_say_what_to_may_name(client: Client) -> None:
    single, both = client.get("/v1/models").json["models"]
    assert single == {"name": "single", "source": "en", "target": "fr", "attention": True}
    assert both["targets"] == [{"code": "mr", "sources": ["en"]}, {"code": "en", "sources": ["mr"]}]


def test_our_own_api_takes_the_language_as_an_option(client: Client, engine: BothDirections) -> None:
    engine.asked.clear()
    assert client.post("/v1/translate", {"text": ["a", "b"], "model": "both", "to": "en"}).status == 200
    assert client.post("/v1/translate", {"text": "a", "model": "both"}).status == 200
    assert engine.asked == ["en", "en", None]
