"""Codes of languages: whatever runs and clients call them, they are the same."""

import pytest

from nmt.config.languages import CODES, language_code, language_name
from nmt.server.detection import Detector


def test_the_table_has_every_code_once() -> None:
    assert len(CODES) > 60
    assert all(len(three) == 3 and len(two) == 2 for three, two in CODES.items())
    assert len({*CODES.values()}) == len({language_name(two) for two in CODES.values()}) == len(CODES)


@pytest.mark.parametrize(("given", "code"), [("mar", "mr"), ("mr", "mr"), ("mr-IN", "mr"), ("zh_Hans", "zh")])
def test_codes_are_those_of_clients(given: str, code: str) -> None:
    assert language_code(given) == code


def test_what_is_unknown_stays() -> None:
    assert (language_code("tlh"), language_name("tlh")) == ("tlh", "tlh")
    assert (language_code("auto"), language_name("mr")) == ("auto", "Marathi")


def test_the_language_is_that_with_the_fewest_pieces() -> None:
    pieces = {"en": 3, "mr": 5, "de": 3}
    found = Detector({code: lambda text, n=n: n for code, n in pieces.items()}).detect("text")
    assert [one["language"] for one in found] == ["en", "de", "mr"]
    # e^0 : e^0 : e^-2
    assert [one["confidence"] for one in found] == pytest.approx([46.8, 46.8, 6.3], abs=0.1)
    assert Detector({}).detect("text") == []


def test_only_the_beginning_of_a_long_text_is_looked_at() -> None:
    seen: list[int] = []
    Detector({"en": lambda text: seen.append(len(text)) or 1}).detect("a" * 100_000)
    assert seen == [1000]
