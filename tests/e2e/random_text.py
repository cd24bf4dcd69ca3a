"""Random lines of text, of everything that UTF-8 can hold, for fuzz tests."""

import random
import sys

LONG = 5000  # characters
WORDS = (
    "The",
    "dog",
    "sees",
    "Rahul's",
    "well-known",
    "house.",
    "कुत्रा",
    "पाहतो.",
    "?",
    "3.5",
    "me@example.org",
)
MARKS = "\u0300\u0301\u093e\u094d\u200c\u200d\ufe0f\u20e3\u1f3fd"
CONTROLS = "".join(
    map(chr, [*range(10), *range(11, 32), *range(127, 160), 0xAD, 0x2028, 0x2029, 0x202E, 0xFEFF])
)
SPECIAL = "\u2581\u2585\u2047\ufffd\u00a0\u3000</s><unk><s><pad><0x0A><synthetic>"


def _any(generator: random.Random) -> str:
    """A character of any of the 17 planes, assigned or not; no surrogate, and not U+000A."""
    code = generator.choice(
        (generator.randrange(0x110000), generator.randrange(0x3000), generator.randrange(256))
    )
    return " " if code == 10 or 0xD800 <= code < 0xE000 else chr(code)


def random_line(generator: random.Random) -> str:
    """A line of one of many kinds, without U+000A."""
    kind = generator.choice(
        ("any", "any", "words", "words", "mixed", "marks", "controls", "special", "blank", "one")
    )
    length = generator.randrange(1, 40)
    if kind == "blank":
        return generator.choice(("", " ", "\t \u3000", "\r", "\ufeff", "\u200d", "\x00"))
    if kind == "one":
        return _any(generator) * length
    if kind == "words":
        return " ".join(generator.choices(WORDS, k=length // 4 + 1))
    if kind == "mixed":
        words = generator.choices(WORDS, k=length // 4 + 1)
        return "".join(word + _any(generator) for word in words)
    if kind == "any":
        return "".join(_any(generator) for _ in range(length))
    alphabet = {"marks": MARKS + "aक", "controls": CONTROLS + "a ", "special": SPECIAL}[kind]
    return "".join(generator.choices(alphabet, k=length))


def random_lines(count: int, long: int, seed: int) -> list[str]:
    """So many lines, of which `long` have 5,000 characters."""
    generator = random.Random(seed)
    lines = [random_line(generator) for _ in range(count)]
    for number in generator.sample(range(count), long):
        line = (lines[number] or "a") + generator.choice((" ", "", "."))
        lines[number] = (line * LONG)[:LONG]
    assert max(map(ord, "".join(lines))) > sys.maxunicode // 2
    return lines
