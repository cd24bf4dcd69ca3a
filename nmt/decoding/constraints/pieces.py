"""A target vocabulary as text: what each token adds to a translation, and which begin with given text."""

import re
import unicodedata
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from typing import NamedTuple

import numpy as np

from nmt.data.text import clean
from nmt.data.tokenizer import SPACE, Tokenizer
from nmt.decoding.constraints.characters import EDGE, changes, is_inside, may_change, with_edges
from nmt.decoding.interface import Booleans

_BYTE = re.compile("<0x([0-9A-F]{2})>")
_LAST = "\U0010ffff"  # above every character of a piece


class PlainPiece(NamedTuple):
    """A token whose text is clean and begins with a character that is no combining mark, as it is read where
    it does not change the character before it.

    Attributes:
        first: its first character.
        head: what is before its last character and the marks after that, with the edges inside it.
        rest: that character and marks, with the edge before them if there is a head.
        previous: the last character of the head, "" if there is none.
        tail: the rest without edges.
    """

    first: str
    head: str
    rest: str
    previous: str
    tail: str


class Pieces:
    """The tokens of a target vocabulary.

    Args:
        tokenizer: of the target.

    Attributes:
        texts: token → its text, with spaces, for the tokens of text.
        byte_tokens: byte → its token; empty without byte fallback.
    """

    def __init__(self, tokenizer: Tokenizer) -> None:
        self.texts = {token: text.replace(SPACE, " ") for token, text in tokenizer.texts().items()}
        self._names = tokenizer.pieces()
        self._bytes = {
            token: int(piece[3:5], 16)
            for token, piece in enumerate(self._names)
            if _BYTE.fullmatch(piece) and token not in self.texts
        }
        self.byte_tokens = {byte: token for token, byte in self._bytes.items()}
        self._tokens = {text: token for token, text in self.texts.items()}
        self._sorted = sorted(self._tokens)
        self._longest = max(map(len, self._tokens), default=0)
        self._canonical = tokenizer.encode
        self.changing = lru_cache(1 << 12)(self._changing)
        """Characters → the tokens whose first character changes them: composes with a letter, or is put
        before a mark."""

    def byte(self, token: int) -> int | None:
        """The byte that a token stands for; None: it is no byte."""
        return self._bytes.get(token)

    def text(self, token: int) -> str:
        """The text of a token that is no byte; of special tokens their name."""
        return self.texts.get(token, self._names[token])

    def token(self, text: str) -> int | None:
        """The token whose text this is; None: none."""
        return self._tokens.get(text)

    def beginning(self, text: str) -> list[int]:
        """The tokens whose text begins with `text`, itself included."""
        first = bisect_left(self._sorted, text)
        last = bisect_right(self._sorted, text + _LAST)
        return [self._tokens[found] for found in self._sorted[first:last]]

    def within(self, text: str, start: int) -> Iterator[tuple[int, int]]:
        """The tokens whose text is at `start` of `text`, shortest first, and where each ends."""
        for end in range(start + 1, min(start + self._longest, len(text)) + 1):
            token = self._tokens.get(text[start:end])
            if token is not None:
                yield token, end

    @property
    def size(self) -> int:
        """V, the number of tokens."""
        return len(self._names)

    def ending_in(self, text: str) -> list[int]:
        """The tokens at whose end `text` may begin, whatever their last character and its marks become."""
        keys, tokens = self._endings
        found = []
        for end in range(1, len(text) + 1):
            found += tokens[bisect_left(keys, text[:end]) : bisect_right(keys, text[:end])]
        return found

    @cached_property
    def _endings(self) -> tuple[list[str], list[int]]:
        """Every end of the text of every token, without its last character and the marks after that (unless
        there is no more), and the token; sorted.
        """
        found = []
        for text, token in self._tokens.items():
            last = max((i for i, one in enumerate(text) if not unicodedata.combining(one)), default=0)
            found += [(text[start : max(last, start + 1)], token) for start in range(len(text))]
        found.sort()
        return [key for key, _ in found], [token for _, token in found]

    def having(self, character: str) -> Sequence[int]:
        """The tokens whose text has a character."""
        return self._having.get(character, ())

    @cached_property
    def _having(self) -> dict[str, list[int]]:
        found: dict[str, list[int]] = {}
        for text, token in self._tokens.items():
            for character in set(text):
                found.setdefault(character, []).append(token)
        return found

    def containing(self, text: str) -> list[int]:
        """The tokens whose text has `text` anywhere."""
        found = []
        position = self._joined.find(text)
        while position >= 0:
            index = bisect_right(self._starts, position) - 1
            found.append(self._tokens[self._sorted[index]])
            following = self._starts[index + 1] if index + 1 < len(self._starts) else len(self._joined)
            position = self._joined.find(text, following)
        return found

    def _changing(self, tail: str) -> frozenset[int]:
        return frozenset(
            token
            for character, tokens in self.by_first_character.items()
            if changes(tail, character)
            for token in tokens
        )

    @cached_property
    def changing_any(self) -> Booleans:
        """[V], True at the tokens that change some character before them."""
        found = np.zeros(self.size, np.bool_)
        found[[*self.unclean, *self.byte_tokens.values()]] = True
        for character, tokens in self.by_first_character.items():
            found[tokens] |= may_change(character)
        return found

    @cached_property
    def plain(self) -> dict[int, PlainPiece]:
        """Most tokens of text, prepared for reading."""
        return {
            token: _plain(text)
            for text, token in self._tokens.items()
            if _is_clean(text) and not unicodedata.combining(text[0])
        }

    @cached_property
    def unclean(self) -> list[int]:
        """The tokens whose text is not as cleaning leaves it: with removed characters, or several spaces."""
        return [token for text, token in self._tokens.items() if not _is_clean(text)]

    def spelt(self, character: str) -> list[int] | None:
        """The tokens of a character's bytes; None: there are none."""
        tokens = [self.byte_tokens.get(byte) for byte in character.encode("utf-8", "surrogatepass")]
        return [token for token in tokens if token is not None] if None not in tokens else None

    def canonical(self, text: str) -> list[int]:
        """The tokens as which training has `text`."""
        return self._canonical(text)

    @cached_property
    def by_first_character(self) -> dict[str, list[int]]:
        """The tokens of text by their first character."""
        found: dict[str, list[int]] = {}
        for text in self._sorted:
            found.setdefault(text[0], []).append(self._tokens[text])
        return found

    @cached_property
    def zeros(self) -> list[str]:
        """The digit zero of each script that has a digit in the vocabulary."""
        digits = {one for text in self._tokens for one in text if unicodedata.category(one) == "Nd"}
        return sorted({chr(ord(digit) - unicodedata.digit(digit)) for digit in digits})

    @cached_property
    def _joined(self) -> str:
        return "\n".join(self._sorted)  # no piece has a line feed

    @cached_property
    def _starts(self) -> Sequence[int]:
        starts, position = [], 0
        for text in self._sorted:
            starts.append(position)
            position += len(text) + 1
        return starts


def _plain(text: str) -> PlainPiece:
    start = max(index for index, character in enumerate(text) if not unicodedata.combining(character))
    head, tail = text[:start], text[start:]
    edge = "" if not head or is_inside(head[-1], tail[0]) else EDGE
    return PlainPiece(text[0], with_edges(head), edge + with_edges(tail), head[-1:], tail)


def _is_clean(text: str) -> bool:
    return clean(f".{text}.") == f".{text}."
