"""A translation as it grows, token by token, as the cleaned text that it will be (`nmt.data.text.clean`).

A character is read as soon as its last byte is there. One that cleaning removes is not read, and of white
space only one. What a later character could still change, a letter and its marks, is read, but read anew in
its composed form (NFC) if one does: र and then its nukta become the one character ऱ.

Whoever reads has a value, which each character changes. White space at the end is read, although cleaning
removes it: no phrase ends in it.
"""

import unicodedata
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from nmt.decoding.constraints.characters import changes, cleaned, decode
from nmt.decoding.constraints.pieces import Pieces

ValueT = TypeVar("ValueT")
Read = Callable[[ValueT, str, str], ValueT]
"""The value, the character before ("" at the beginning), a character → the value after it."""


class Position(NamedTuple, Generic[ValueT]):
    """How far a translation has come.

    Attributes:
        undecoded: bytes of an incomplete character.
        previous: the character before `tail`, "" if there is none.
        tail: the last character and the marks after it.
        before: the value before `tail`.
        value: the value now.
    """

    undecoded: bytes
    previous: str
    tail: str
    before: ValueT
    value: ValueT

    @property
    def last(self) -> str:
        """The last character, "" at the beginning."""
        return self.tail[-1:] or self.previous


class TextStream(Generic[ValueT]):
    """Reads tokens.

    Args:
        pieces: the vocabulary.
        read: what a character changes.
    """

    def __init__(self, pieces: Pieces, read: "Read[ValueT]") -> None:
        self._pieces, self._read = pieces, read

    def advance(self, position: Position[ValueT], token: int) -> Position[ValueT]:
        """The position after one more token."""
        byte = self._pieces.byte(token)
        if byte is None:
            return self.characters(self.flush(position), self._pieces.text(token))
        text, undecoded = decode(position.undecoded + bytes([byte]))
        return self.characters(position, text)._replace(undecoded=undecoded)

    def flush(self, position: Position[ValueT]) -> Position[ValueT]:
        """The position if no byte follows: an incomplete character is U+FFFD."""
        if not position.undecoded:
            return position
        return self.characters(position._replace(undecoded=b""), "\ufffd")

    def characters(self, position: Position[ValueT], text: str) -> Position[ValueT]:
        """The position after more characters."""
        for character in text:
            character = cleaned(character)
            if character and not (character == " " and position.last in ("", " ")):
                position = self._character(position, character)
        return position

    def _character(self, position: Position[ValueT], character: str) -> Position[ValueT]:
        undecoded, previous, tail, before, value = position
        if not changes(tail, character):
            after = self._read(value, position.last, character)
            if unicodedata.combining(character):
                return Position(undecoded, previous, tail + character, before, after)
            return Position(undecoded, position.last, character, value, after)
        composed = unicodedata.normalize("NFC", tail + character)
        after, last = before, previous
        for one in composed:
            after, last = self._read(after, last, one), one
        return Position(undecoded, previous, composed, before, after)
