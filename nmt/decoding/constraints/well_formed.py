"""Bytes that are characters: of a vocabulary with byte fallback, only tokens that make valid UTF-8."""

import math
from collections.abc import Mapping
from copy import copy
from typing import NamedTuple

from nmt.decoding.constraint import Allowed, Except, Only
from nmt.decoding.constraints.characters import decode
from nmt.decoding.constraints.excluding import Excluding

_LONGEST = 4  # bytes of a character


class State(NamedTuple):
    """The number of tokens so far, and the bytes of an incomplete character."""

    used: int
    undecoded: bytes


class WellFormedBytes(Excluding):
    """A constraint (see `nmt.decoding.constraint.Constraint`): what is generated is valid UTF-8 at its end,
    so that no text has U+FFFD. For sampling, which may draw any token; search hardly ever finds others.

    Args:
        byte_tokens: byte → its token; not empty.
    """

    def __init__(self, byte_tokens: Mapping[int, int]) -> None:
        self._byte_of = {token: byte for byte, token in byte_tokens.items()}
        self._limit = math.inf
        self._known: dict[tuple[bytes, int], Allowed] = {}

    def within(self, limit: int) -> "WellFormedBytes":
        """The same where there are at most `limit` tokens: a character that would not fit is not begun."""
        limited = copy(self)
        limited._limit = limit
        return limited

    def start(self) -> State:
        """No tokens."""
        return State(0, b"")

    def advance(self, state: State, token: int) -> State:
        """The state after one more token."""
        byte = self._byte_of.get(token)
        if byte is None:
            return State(state.used + 1, b"")
        return State(state.used + 1, decode(state.undecoded + bytes([byte]))[1])

    def allowed(self, state: State) -> Allowed:
        """Within a character, bytes that go on with it; else all but bytes with which none can begin."""
        key = state.undecoded, int(min(self._limit - state.used, _LONGEST))
        if key not in self._known:
            valid = _continuing(*key)
            tokens = [token for token, byte in self._byte_of.items() if (byte in valid) == bool(key[0])]
            self._known[key] = Only(tuple(tokens)) if key[0] else Except(tuple(tokens))
        return self._known[key]


def _continuing(undecoded: bytes, room: int) -> frozenset[int]:
    """The bytes with which a character goes on, or begins, that has at most `room` bytes more."""
    found = set()
    for byte in range(256):
        spelt = undecoded + bytes([byte])
        missing = _length(spelt[0]) - len(spelt)
        if missing < max(room, 1) and any(_is_text(spelt + fill * missing) for fill in (b"\x80", b"\xbf")):
            found.add(byte)
    return frozenset(found)


def _is_text(spelt: bytes) -> bool:
    try:
        spelt.decode()
    except UnicodeDecodeError:
        return False
    return True


def _length(first: int) -> int:
    """The number of bytes of a character that begins with this one."""
    return 1 + (first >= 0xC0) + (first >= 0xE0) + (first >= 0xF0)
