"""Phrases that a translation must have (lexically constrained decoding: Hokamp and Liu, 2017; Post and Vilar,
2018), as text: in whatever subwords, but led to by those that training has for them.
"""

import math
from collections.abc import Sequence
from copy import copy
from typing import NamedTuple

from nmt.data.tokenizer import EOS
from nmt.decoding.constraints.characters import is_inside, stand_in
from nmt.decoding.constraints.phrase_automaton import END, PhraseAutomaton, bare, pattern, without_edges
from nmt.decoding.constraints.pieces import Pieces
from nmt.decoding.constraints.spelling import Spelling
from nmt.decoding.constraints.text_stream import Position, TextStream
from nmt.decoding.interface import Allowed, Except, Only

Group = tuple[str, ...]
"""Phrases of which one is required."""


class Found(NamedTuple):
    """What there is of the phrases.

    Attributes:
        node: of the automaton.
        groups: those that have been found, one bit each.
    """

    node: int
    groups: int


class State(NamedTuple):
    """The number of tokens so far, and the position."""

    used: int
    position: Position[Found]


class RequiredPhrases:
    """A constraint (see `nmt.decoding.interface.Constraint`): a hypothesis ends only with all phrases, and is
    made to have them while there is room.

    Args:
        pieces: the vocabulary.
        groups: cleaned phrases, of each group one is required.

    Attributes:
        least: a number of tokens that is enough for all of them, without end-of-sentence; infinite: one
            cannot be generated.
    """

    def __init__(self, pieces: Pieces, groups: Sequence[Group]) -> None:
        phrases = [(index, phrase) for index, group in enumerate(groups) for phrase in group]
        self._limit = math.inf
        self._automaton = PhraseAutomaton([pattern(phrase) for _, phrase in phrases])
        self._stream = TextStream[Found](pieces, self._read)
        self._group_of = [index for index, _ in phrases]
        self._spellings = [Spelling(pieces, " " + bare(phrase)) for _, phrase in phrases]
        self._all = (1 << len(groups)) - 1
        self._least = [min(self._spellings[i].least(0) for i in self._of(g)) for g in range(len(groups))]
        self._tokens = [
            max(self._spellings[i].progress(len(self._spellings[i].text)) for i in self._of(g))
            for g in range(len(groups))
        ]
        self.least = sum(self._least)
        self._known: dict[tuple[Found, str, bytes], tuple[int, ...]] = {}

    def within(self, limit: int) -> "RequiredPhrases":
        """The same where a hypothesis has at most `limit` tokens, end-of-sentence included."""
        limited = copy(self)
        limited._limit = limit
        return limited

    def start(self) -> State:
        """The state before the first token."""
        found = Found(self._automaton.start(), 0)
        return State(0, Position(b"", "", "", found, found))

    def advance(self, state: State, token: int) -> State:
        """The state after one more token."""
        return State(state.used + 1, self._stream.advance(state.position, token))

    def allowed(self, state: State) -> Allowed | None:
        """Everything but the end, until all phrases are there; only what leads to them, where there is no
        more room than they need.
        """
        position = state.position
        complete = self._is_complete(position)
        room = self._limit - state.used - 1  # after the next token
        if sum(self._missing(position.value.groups)) < room:
            return None if complete else Except((EOS,))
        leading = [
            token
            for token in self.wanted(state)
            if self._needed(self._stream.advance(position, token)) < room
        ]
        return Only((*leading, EOS) if complete else tuple(leading))

    def wanted(self, state: State) -> Sequence[int]:
        """The next token of each phrase that is missing: of those that have begun, and the first ones."""
        position = state.position
        key = position.value, stand_in(position.last), position.undecoded
        if key not in self._known:
            self._known[key] = tuple(sorted(self._leading_on(*key)))
        return self._known[key]

    def met(self, state: State) -> int:
        """The number of tokens that training has for what there is of the phrases."""
        found = state.position.value
        complete = sum(tokens for group, tokens in enumerate(self._tokens) if found.groups >> group & 1)
        begun = (self._spellings[index].progress(length) for index, length in self._begun(found))
        return complete + max(begun, default=0)

    def _of(self, group: int) -> list[int]:
        """The phrases of a group."""
        return [index for index, own in enumerate(self._group_of) if own == group]

    def _read(self, found: Found, left: str, character: str) -> Found:
        node, phrases = self._automaton.read(found.node, left, character)
        groups = found.groups
        for index in phrases:
            groups |= 1 << self._group_of[index]
        return Found(node, groups)

    def _is_complete(self, position: Position[Found]) -> bool:
        flushed = self._stream.flush(position)
        return self._read(flushed.value, flushed.last, END).groups == self._all

    def _missing(self, groups: int) -> list[float]:
        """The number of tokens of each group that has not been found."""
        return [least for group, least in enumerate(self._least) if not groups >> group & 1]

    def _begun(self, found: Found) -> list[tuple[int, int]]:
        """The missing phrases that have begun, and the number of characters that there are, with the space
        before them.
        """
        strings = self._automaton.strings
        return [
            (index, len(without_edges(strings[index][:length])) + 1)
            for index, length in self._automaton.partial[found.node]
            if not found.groups >> self._group_of[index] & 1
        ]

    def _needed(self, position: Position[Found]) -> float:
        """A number of tokens that is enough for all that is missing: as many as each phrase takes, but for
        one that has begun.
        """
        found = position.value
        missing = self._missing(found.groups)
        begun = self._begun(found)
        if position.last == " ":
            begun += [(index, 1) for index in self._unmet(found.groups)]
        saved = (
            self._least[self._group_of[index]] - self._spellings[index].least(length, position.undecoded)
            for index, length in begun
        )
        return sum(missing) - max((0.0, *saved))

    def _unmet(self, groups: int) -> list[int]:
        """The phrases of groups that have not been found."""
        return [index for index, group in enumerate(self._group_of) if not groups >> group & 1]

    def _leading_on(self, found: Found, last: str, undecoded: bytes) -> set[int]:
        tokens = {self._spellings[index].next(length, undecoded) for index, length in self._begun(found)}
        for index in self._unmet(found.groups):
            spelling = self._spellings[index]
            if last == " " or (last and not is_inside(last, spelling.text[1])):
                tokens.add(spelling.next(1, undecoded))
            if last != " " and not undecoded:
                tokens.add(spelling.next(0))
        return {token for token in tokens if token is not None}
