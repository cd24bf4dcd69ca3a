"""A translation that begins with given characters, which may end anywhere: inside a word, after a space."""

import math
import unicodedata
from collections.abc import Callable, Sequence
from copy import copy
from typing import NamedTuple

from nmt.data.text import clean
from nmt.data.tokenizer import EOS
from nmt.decoding.constraint import Allowed, Except, Only, Usual
from nmt.decoding.constraints.characters import cleaned, decode
from nmt.decoding.constraints.forcing import Forcing
from nmt.decoding.constraints.pieces import Pieces
from nmt.decoding.constraints.spelling import Spelling


class _Within(NamedTuple):
    """The prefix is not complete.

    Attributes:
        used: number of tokens so far.
        start: number of characters so far, with the space before the first.
        undecoded: bytes of the next one that are there.
    """

    used: int
    start: int
    undecoded: bytes


class _Behind(NamedTuple):
    """The prefix is complete; what follows could still change its end.

    Attributes:
        used: number of tokens so far.
        added: characters that follow.
        undecoded: bytes of the next one.
    """

    used: int
    added: str
    undecoded: bytes


State = _Within | _Behind | None
"""None: nothing can change the prefix any more."""


class Prefix(Forcing):
    """A constraint (see `nmt.decoding.constraint.Constraint`): the cleaned translation begins with these
    characters. The last token may go on after them.

    What follows must leave them as they are: no mark that composes with the last one, and after a space
    something else than the end, which would take it away.

    Args:
        pieces: the vocabulary.
        text: cleaned by `clean_prefix`, not empty.

    Attributes:
        least: the smallest number of tokens, with end-of-sentence; infinite: it cannot be generated.
    """

    def __init__(self, pieces: Pieces, text: str) -> None:
        self._pieces, self._limit = pieces, math.inf
        self._spelling = Spelling(pieces, " " + text, open_end=True)
        self._end = text[_last_starter(text) :]
        self._ends_in_space = text.endswith(" ")
        self._known: dict[tuple[str, bytes], Except | None] = {}
        self.least = self._spelling.least(0) + 1 + self._ends_in_space

    def within(self, limit: int) -> "Prefix":
        """The same where a hypothesis has at most `limit` tokens, end-of-sentence included."""
        limited = copy(self)
        limited._limit = limit
        return limited

    @property
    def impossible(self) -> str:
        """The first character that cannot be generated, "" if all can."""
        return self._spelling.impossible

    def start(self) -> State:
        """The state before the first token."""
        return _Within(0, 0, b"")

    def advance(self, state: State, token: int) -> State:
        """The state after one more token, which is allowed."""
        if state is None:
            return None
        byte = self._pieces.byte(token)
        if byte is None:
            text, undecoded = ("\ufffd" if state.undecoded else "") + self._pieces.text(token), b""
        else:
            text, undecoded = decode(state.undecoded + bytes([byte]))
        used = state.used + 1
        if isinstance(state, _Behind):
            return self._behind(used, state.added + text, undecoded)
        left = len(self._spelling.text) - state.start - len(text)
        if left > 0:
            return _Within(used, state.start + len(text), undecoded)
        return self._behind(used, text[len(text) + left :], undecoded)

    def allowed(self, state: State) -> Allowed | None:
        """Within the prefix: what leads on in it. Behind it: what leaves it as it is."""
        if state is None:
            return None
        if isinstance(state, _Within):
            return Only(tuple(self._leading_on(state)))
        key = state.added, state.undecoded
        if key not in self._known:
            banned = sorted(self._changing(*key))
            self._known[key] = Except(tuple(banned)) if banned else None
        return self._known[key]

    def wanted(self, state: State) -> Sequence[int]:
        """None besides those that are allowed."""
        return ()

    def met(self, state: State) -> int:
        """Always 0: all hypotheses have as much of the prefix as they have tokens."""
        return 0

    def met_after(self, state: State) -> Callable[[int], int]:
        """Always 0."""
        return lambda token: 0

    def usual_met(self, state: State) -> Usual:
        """Always 0."""
        return Usual(0)

    def _leading_on(self, state: _Within) -> list[int]:
        """The tokens of the prefix with which it can be completed in time."""
        found = []
        for token, _, added in self._spelling.moves(state.start, state.undecoded):
            after = self.advance(state, token)
            if isinstance(after, _Within):
                left = self._spelling.least(after.start, after.undecoded) + self._ends_in_space
            else:
                left = float(after is not None and self._is_cut(after.added))
            if state.used + 2 + left <= self._limit and self._is_left_by(added):
                found.append(token)
        return found

    def _behind(self, used: int, added: str, undecoded: bytes) -> State:
        return None if any(map(self._settles, added)) else _Behind(used, added, undecoded)

    def _settles(self, character: str) -> bool:
        """Whether nothing that follows this character can change the prefix."""
        shown = cleaned(character)
        if shown in ("", " "):
            return shown == " " and not self._ends_in_space
        return not unicodedata.combining(character)

    def _is_left_by(self, added: str) -> bool:
        """Whether the prefix is as it was if this and more follows."""
        return clean(f".{self._end}{added}.").startswith(f".{self._end}")

    def _is_cut(self, added: str) -> bool:
        """Whether cleaning takes the last space away if this and the end follows."""
        return self._ends_in_space and not any(cleaned(character).strip() for character in added)

    def _changing(self, added: str, undecoded: bytes) -> set[int]:
        """The tokens that change the prefix, or that its last space needs something else than."""

        def changes(more: str) -> bool:
            return not self._is_left_by(added + more) or self._is_cut(added + more)

        banned = set()
        if not undecoded:  # or else text is behind U+FFFD
            banned |= {EOS} if self._is_cut(added) else set()
            for character, tokens in self._pieces.by_first_character.items():
                if self._settles(character):
                    banned |= set(tokens) if changes(character) else set()
                else:
                    banned |= {token for token in tokens if changes(self._pieces.text(token))}
        for byte, token in self._pieces.byte_tokens.items():
            more, _ = decode(undecoded + bytes([byte]))
            if more and changes(more):
                banned.add(token)
        return banned


def clean_prefix(text: str) -> str:
    """A prefix as the translation can have it: cleaned, but for one space at its end if there is white space
    there; "" if it is blank.
    """
    body = clean(text)
    return body + " " if body and clean(f"{text}.").endswith(" .") else body


def _last_starter(text: str) -> int:
    """The index of the last character that is no combining mark, 0 if there is none."""
    return next((i for i in range(len(text) - 1, -1, -1) if not unicodedata.combining(text[i])), 0)
