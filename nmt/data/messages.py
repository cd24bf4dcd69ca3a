"""Messages of programs as sentence pairs: those that are plain text, without keyboard accelerators."""

import re
from collections import Counter

_MARKUP = re.compile(r"<[^<>]*>|&#?\w+;|\|/\||\$\[|[\n\x00]")
_PLACEHOLDER = re.compile(
    r"%(?:\d+\$|\(\w+\))?[-+#0]*(?:\d+|\*)?(?:\.(?:\d+|\*))?[a-zA-Z]\w*"  # C, Python, LibreOffice
    r"|%L?\d+"  # Qt
    r"|\$\{?\w+\}?|\$\(\w+\)|\{\w*\}|@\w+@"  # shell, Python, templates
    r"|[|]"  # between alternatives
)
_SUFFIX = re.compile(r"(?<!\s)\s*+\([_&~]\w\)")  # of scripts without the letter: "फाइल (_F)"
_INSIDE = re.compile(r"(?<!\w)\w+[_&~]\w+")
_ACCELERATOR = re.compile(r"[_&~](?=[^\W_])")


def sentence_pair(original: str, translation: str) -> tuple[str, str] | None:
    """The texts of a message and its translation, or None if they are not a pair to learn from.

    The mark of the accelerator key (`_Open`, `&Open`, `~Open`, `फाइल (_F)`) is removed. Left out are messages
    of several lines, with markup or entities, with placeholders that are not the same on both sides (`%s`,
    `%1`, `{name}`), without a letter, and those that are not translated.

    Args:
        original, translation: as in a catalogue, without context.
    """
    original, translation = original.strip(), translation.strip()
    if _MARKUP.search(original) or _MARKUP.search(translation):
        return None
    if Counter(_PLACEHOLDER.findall(original)) != Counter(_PLACEHOLDER.findall(translation)):
        return None
    same = set(_INSIDE.findall(original)) & set(_INSIDE.findall(translation))  # such as AT&T
    pair = _without_accelerator(original, same), _without_accelerator(translation, same)
    is_text = any(map(str.isalpha, pair[0])) and any(map(str.isalpha, pair[1]))
    return pair if is_text and pair[0] != pair[1] else None


def _without_accelerator(text: str, kept: set[str]) -> str:
    """A text without the mark of its accelerator, unless it has several, or some in the words `kept`."""
    text = _SUFFIX.sub("", text)
    if kept or len(_ACCELERATOR.findall(text)) != 1:
        return text
    return _ACCELERATOR.sub("", text)
