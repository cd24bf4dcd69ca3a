"""HTML as what is translated and what is kept: tags, comments, programs and style sheets, and text without a
letter, such as "…" between two tags.
"""

import html
import re
from collections.abc import Iterable
from typing import NamedTuple

# An element or a comment that does not end, goes to the end of the text: so every match is of what it has
# looked at, and the time is linear in the length.
_KEPT = re.compile(
    r"<!--.*?(?:-->|\Z)|<(script|style|code)\b.*?(?:</\1\b[^<>]*>|\Z)|<[^<>]*>", re.DOTALL | re.IGNORECASE
)


class Piece(NamedTuple):
    """A part of a document.

    Attributes:
        markup: as it stands there.
        text: what is translated, without character references; None: it is kept.
    """

    markup: str
    text: str | None = None


def pieces(document: str) -> list[Piece]:
    """The parts of a document, which joined are the document."""
    found: list[Piece] = []
    end = 0
    for match in _KEPT.finditer(document):
        found += [*_text(document[end : match.start()]), Piece(match[0])]
        end = match.end()
    return [*found, *_text(document[end:])]


def _text(markup: str) -> list[Piece]:
    """What stands between two tags, if anything does."""
    text = html.unescape(markup)
    has_letters = any(character.isalpha() for character in text)
    return [Piece(markup, text if has_letters else None)] if markup else []


def joined(parts: Iterable[Piece], translations: Iterable[str]) -> str:
    """A document with its texts translated.

    Args:
        parts: of the document.
        translations: of each piece that has a text, in order.
    """
    found = iter(translations)
    return "".join(
        part.markup if part.text is None else html.escape(next(found), quote=False) for part in parts
    )
