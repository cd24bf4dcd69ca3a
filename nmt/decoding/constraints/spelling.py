"""The ways in which a given text can be generated: which tokens lead on from each of its characters."""

import math
import unicodedata
from bisect import bisect_right
from functools import cached_property
from typing import NamedTuple

from nmt.decoding.constraints.characters import decode
from nmt.decoding.constraints.pieces import Pieces


class Move(NamedTuple):
    """A token with which a text can go on.

    Attributes:
        token: it.
        end: the number of characters of the text that there are with it.
        added: what it has after the end of the text.
    """

    token: int
    end: int
    added: str = ""


class Spelling:
    """A text as tokens of a vocabulary. A character that is a token is not begun in bytes.

    Args:
        pieces: the vocabulary.
        text: cleaned, after a space, as the first token of a text has one.
        open_end: whether the last token may go on after the text.

    Attributes:
        text: it.
    """

    def __init__(self, pieces: Pieces, text: str, open_end: bool = False) -> None:
        self.text, self._pieces, self._open_end = text, pieces, open_end

    def moves(self, start: int, undecoded: bytes = b"") -> list[Move]:
        """What can be generated next.

        Args:
            start: the number of characters that there are.
            undecoded: bytes of the character at `start` that there are as well.
        """
        if (
            start == len(self.text) or unicodedata.category(self.text[start]) == "Cs"
        ):  # a surrogate is no text
            return []
        moves = []
        if not undecoded:
            moves = [Move(token, end) for token, end in self._pieces.within(self.text, start)]
            if self._open_end:
                rest = self.text[start:]
                longer = [(token, self._pieces.text(token)) for token in self._pieces.beginning(rest)]
                moves += [
                    Move(token, len(self.text), text[len(rest) :]) for token, text in longer if text != rest
                ]
            if self._pieces.token(self.text[start]) is not None:
                return moves
        byte = _spelt(self.text[start])[: len(undecoded) + 1]
        token = self._pieces.byte_tokens.get(byte[-1])
        if token is None or byte[:-1] != undecoded:
            return moves
        return [*moves, Move(token, start + (decode(byte)[0] == self.text[start]))]

    def next(self, start: int, undecoded: bytes = b"") -> int | None:
        """The token with which training has the text go on; if none of its tokens starts there, the longest
        one that can be generated; None: none can.
        """
        if not undecoded and start in self._canonical:
            return self._canonical[start]
        within = [move for move in self.moves(start, undecoded) if not move.added]
        return max(within, key=lambda move: move.end).token if within else None

    def least(self, start: int, undecoded: bytes = b"") -> float:
        """The smallest number of tokens of what is left of the text; infinite: it cannot be generated."""
        if not undecoded:
            return self._fewest[start]
        rest = _spelt(self.text[start : start + 1])
        if not rest.startswith(undecoded):
            return math.inf
        return len(rest) - len(undecoded) + self._fewest[start + 1]

    def progress(self, start: int) -> int:
        """How many of the tokens that training has for the text end within its first characters."""
        return bisect_right(self._ends, start)

    @property
    def impossible(self) -> str:
        """The first character that cannot be generated, "" if all can."""
        return next((c for i, c in enumerate(self.text) if not self.moves(i)), "")

    @cached_property
    def _fewest(self) -> list[float]:
        fewest = [math.inf] * len(self.text) + [0.0]
        for start in range(len(self.text) - 1, -1, -1):
            for _, end, _ in self.moves(start):
                tokens = 1 if end > start else len(_spelt(self.text[start]))
                fewest[start] = min(fewest[start], tokens + fewest[max(end, start + 1)])
        return fewest

    @cached_property
    def _canonical(self) -> dict[int, int]:
        """Where each token of the text starts that is not inside a character."""
        found, undecoded, position = {}, b"", 0
        for token in self._pieces.canonical(self.text[1:]):
            if not undecoded:
                found[position] = token
            byte = self._pieces.byte(token)
            if byte is None:
                position += len(self._pieces.text(token))
            else:
                text, undecoded = decode(undecoded + bytes([byte]))
                position += len(text)
        return found

    @cached_property
    def _ends(self) -> list[int]:
        return [*list(self._canonical)[1:], len(self.text)]


def _spelt(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")
