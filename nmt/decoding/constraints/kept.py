"""What a translation keeps exactly as the source has it: addresses, numbers, emoji."""

import re
import unicodedata
from collections.abc import Collection, Sequence

Group = tuple[str, ...]
"""Forms of which one is enough."""

_PICTURE = (
    "[\u203c\u2049\u2122\u2139\u2194-\u21aa\u231a-\u23ff\u25aa-\u25fe\u2600-\u27bf"
    "\u2934\u2935\u2b05-\u2b55\U0001f000-\U0001faff]"
)
EMOJI = re.compile(
    f"[\U0001f1e6-\U0001f1ff]{{2}}|{_PICTURE}[\ufe0f\U0001f3fb-\U0001f3ff]*"
    f"(?:\u200d{_PICTURE}[\ufe0f\U0001f3fb-\U0001f3ff]*)*"
)
_PATTERNS = {
    "url": re.compile(r"(?:https?://|ftp://|www\.)[^\s<>\"]+", re.IGNORECASE),
    "email": re.compile(r"(?<![\w.+-])[\w.+-]++@[\w-]+(?:\.[\w-]+)+"),
    "emoji": EMOJI,
    "number": re.compile(r"(?<![\w.,])(?<!\d[:/])\d+(?:[.,:/]\d+)*(?!\w|[.,:/]\d)"),
}  # fmt: skip
"""In the order in which they take characters: the number in a URL is a part of it."""
_AFTER_ADDRESS = ".,;:!?'\"»”’।"


def find_kept(text: str, kinds: Collection[str], zeros: Sequence[str]) -> list[Group]:
    """The things of some kinds in a cleaned text, each once.

    Args:
        text: the source.
        kinds: of `nmt.decoding.constraints.request.KINDS`.
        zeros: the digit zero of each script in which a number may be written as well.
    """
    found: dict[Group, None] = {}
    for kind, pattern in _PATTERNS.items():
        for match in pattern.findall(text):
            if kind in kinds:
                found[_forms(match, kind, zeros)] = None
        text = pattern.sub(lambda match: " " * len(match[0]), text)
    return list(found)


def find_addresses(text: str, kinds: Collection[str]) -> list[str]:
    """The URLs and e-mail addresses in a cleaned text, if of the kinds, each as often as it occurs."""
    found: list[str] = []
    for kind in ("url", "email"):
        if matches := _PATTERNS[kind].findall(text):
            for match in matches if kind in kinds else ():
                found += _forms(match, kind, ())
            text = _PATTERNS[kind].sub(lambda match: " " * len(match[0]), text)
    return found


def _forms(text: str, kind: str, zeros: Sequence[str]) -> Group:
    if kind == "url":
        text = text.rstrip(_AFTER_ADDRESS)
        return (text.rstrip(")" + _AFTER_ADDRESS) if "(" not in text else text,)
    if kind != "number":
        return (text,)
    forms = {text: None}
    for zero in zeros:
        forms["".join(chr(ord(zero) + unicodedata.digit(c)) if c.isdecimal() else c for c in text)] = None
    return tuple(forms)
