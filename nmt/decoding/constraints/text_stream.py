"""A translation as it grows, token by token, as the cleaned text that it will be (`nmt.data.text.clean`).

A character is read as soon as its last byte is there. One that cleaning removes is not read, and of white
space only one. What a later character could still change, a letter and its marks, is read, but read anew in
its composed form (NFC) if one does: र and then its nukta become the one character ऱ.

The text has a symbol, `EDGE`, wherever a word may begin or end. Whoever reads has a value, which each
character changes. White space at the end is read, although cleaning
removes it: no phrase ends in it.
"""

import unicodedata
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

from nmt.decoding.constraints.characters import EDGE, changes, cleaned, decode, is_inside, with_edges
from nmt.decoding.constraints.pieces import Pieces, PlainPiece

ValueT = TypeVar("ValueT")
Read = Callable[[ValueT, str], ValueT]
"""The value, and more text with its edges → the value after it."""


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
        read: what more text changes.
        skip: value, token → the value after it, and before its last character if there is another one, if it
            is known without reading; None: it is not. For tokens that do not change what there is.
    """

    def __init__(
        self, pieces: Pieces, read: "Read[ValueT]", skip: Callable[[ValueT, int], ValueT | None]
    ) -> None:
        self._pieces, self._read, self._skip = pieces, read, skip
        self._known: tuple[dict[ValueT, dict[int, tuple[ValueT, ValueT]]], ...] = {}, {}
        self._first: dict[tuple[ValueT, int], Position[ValueT]] = {}

    def advance(self, position: Position[ValueT], token: int) -> Position[ValueT]:
        """The position after one more token."""
        plain = self._pieces.plain.get(token)
        if (
            plain is not None
            and not position.undecoded
            and self._is_independent(position, token, plain.first)
        ):
            last = position.last
            after = self._skip(position.value, token)
            if after is not None:
                before = after if plain.head else position.value
                return Position(b"", plain.previous or last, plain.tail, before, after)
            inside = is_inside(last, plain.first)
            known = self._known[inside].setdefault(position.value, {})
            values = known.get(token) or known.setdefault(token, self._plain(plain, position.value, inside))
            return Position(b"", plain.previous or last, plain.tail, *values)
        if position.tail or position.undecoded:
            return self._by_character(position, token)
        if (position.value, token) not in self._first:
            self._first[position.value, token] = self._by_character(position, token)
        return self._first[position.value, token]

    def _by_character(self, position: Position[ValueT], token: int) -> Position[ValueT]:
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

    def _plain(self, piece: PlainPiece, value: ValueT, inside: bool) -> tuple[ValueT, ValueT]:
        """The values before and after the last character of a token; `inside`: it goes on with a word."""
        edge = "" if inside else EDGE
        before = self._read(value, edge + piece.head) if piece.head else value
        return before, self._read(before, piece.rest if piece.head else edge + piece.rest)

    def _is_independent(self, position: Position[ValueT], token: int, first: str) -> bool:
        """Whether a token's text is read as it is."""
        if position.undecoded or (first == " " and position.last in ("", " ")):
            return False
        return token not in self._pieces.changing(position.tail)

    def _character(self, position: Position[ValueT], character: str) -> Position[ValueT]:
        undecoded, previous, tail, before, value = position
        if not changes(tail, character):
            edge = "" if is_inside(position.last, character) else EDGE
            after = self._read(value, edge + character)
            if unicodedata.combining(character):
                return Position(undecoded, previous, tail + character, before, after)
            return Position(undecoded, position.last, character, value, after)
        composed = unicodedata.normalize("NFC", tail + character)
        edge = "" if is_inside(previous, composed[0]) else EDGE
        after = self._read(before, edge + with_edges(composed))
        return Position(undecoded, previous, composed, before, after)
