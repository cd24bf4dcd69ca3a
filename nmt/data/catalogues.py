"""Catalogues of GNU gettext: binary ones (`.mo`), by Python's `gettext`, and text (`.po`).

A catalogue is data from elsewhere: nothing in it is run. Its only expression, the rule for plural forms, is
parsed by `gettext.c2py`, which accepts arithmetic on `n` of limited length and depth, and is not evaluated.
"""

import gettext
import io
import re
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from nmt.data.lines import file_lines
from nmt.errors import DataError

_LITTLE_ENDIAN = b"\xde\x12\x04\x95"
_CONTEXT = "\x04"  # ends the context of a message in a .mo file
_LINE = re.compile(r'(?:(msgctxt|msgid_plural|msgid|msgstr)(\[\d+\])?\s*)?"((?:[^"\\]|\\.)*)"')
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "a": "\a", "b": "\b", "f": "\f", "v": "\v"}


class Message(NamedTuple):
    """A message and its translation, with its line, or in a `.mo` file its number, from 1."""

    original: str
    translation: str
    line: int


def read_catalogue(file: Path) -> Iterator[Message]:
    """The translated messages of a catalogue, without their contexts. Those with plural forms are left out,
    and so is what is marked as fuzzy or obsolete.

    Raises:
        DataError: while iterating, for a file that is not a catalogue, with the line if it is text.
    """
    return _read_text(file) if file.suffix == ".po" else _read_binary(file)


# ---------------------------------------------------------------- .mo


def _read_binary(file: Path) -> Iterator[Message]:
    try:
        content = file.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read ({error.strerror or error})", file) from error
    try:
        _check_sizes(content)
        catalogue = vars(gettext.GNUTranslations(io.BytesIO(content)))["_catalog"]
    except struct.error as error:  # whose message is about buffers
        raise DataError("not a complete gettext catalogue (too short)", file) from error
    except (OSError, ValueError, LookupError) as error:
        raise DataError(f"not a complete gettext catalogue ({error})", file) from error
    for number, (original, translation) in enumerate(catalogue.items(), 1):
        if isinstance(original, str) and original and translation:  # the empty one is the header
            yield Message(original.rpartition(_CONTEXT)[2], translation, number)


def _check_sizes(content: bytes) -> None:
    """Check that the texts together are not longer than the file: a small one could take hours to read."""
    order = "<" if content[:4] == _LITTLE_ENDIAN else ">"
    count, *tables = struct.unpack_from(f"{order}III", content, 8)
    lengths = (struct.unpack_from(f"{order}{2 * count}I", content, table)[::2] for table in tables)
    if sum(map(sum, lengths)) > len(content):
        raise ValueError("its texts are longer than the file")


# ---------------------------------------------------------------- .po


class _Entry:
    """An entry of a text catalogue while it is read."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self.line, self.keyword, self.fuzzy = 0, "", False

    @property
    def is_complete(self) -> bool:
        return any(keyword.startswith("msgstr") for keyword in self.texts)

    def add(self, keyword: str, text: str, line: int) -> None:
        """Add a text, or with an empty keyword, what continues the last one."""
        if keyword:
            self.keyword = keyword
            self.texts[keyword] = ""
            self.line = self.line or line
        self.texts[self.keyword] += text

    def messages(self) -> Iterator[Message]:
        """The message, if it is translated and has no plural forms."""
        original, translation = self.texts.get("msgid"), self.texts.get("msgstr")
        if original and translation and not self.fuzzy:
            yield Message(original, translation, self.line)


def _read_text(file: Path) -> Iterator[Message]:
    entry = _Entry()
    for number, line in file_lines(file):
        text = line.strip()
        if not text:
            continue
        comment, keyword = text.startswith("#"), text.split('"')[0].split("[")[0].strip()
        if entry.is_complete and (comment or keyword in ("msgctxt", "msgid")):
            yield from entry.messages()
            entry = _Entry()
        if comment:
            entry.fuzzy |= text.startswith("#,") and "fuzzy" in text
            continue
        found = _LINE.fullmatch(text)
        if not found or not (found[1] or entry.keyword):
            raise DataError('not a line of a gettext catalogue, such as msgid "text"', file, number)
        content = _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), found[3])
        entry.add((found[1] or "") + (found[2] or ""), content, number)
    yield from entry.messages()
