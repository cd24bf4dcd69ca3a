"""Phrases that a translation must not have, as text: in whatever subwords."""

import math
from collections.abc import Sequence
from copy import copy
from typing import NamedTuple

from nmt.data.tokenizer import EOS
from nmt.decoding.constraints.characters import stand_in
from nmt.decoding.constraints.phrase_automaton import END, PhraseAutomaton, without_edges
from nmt.decoding.constraints.pieces import Pieces
from nmt.decoding.constraints.text_stream import Position, TextStream
from nmt.decoding.interface import Allowed, Except

_REJECTED = -1
Node = int
"""Of the automaton, or `_REJECTED`."""


class State(NamedTuple):
    """The number of tokens so far, and the position."""

    used: int
    position: Position[Node]


class ForbiddenPhrases:
    """A constraint (see `nmt.decoding.interface.Constraint`): a token that would complete a phrase is not
    allowed. It keeps which tokens do, once it knows.

    Args:
        pieces: the vocabulary.
        strings: phrases with their edges (see `nmt.decoding.constraints.phrase_automaton.pattern`).
    """

    def __init__(self, pieces: Pieces, strings: Sequence[str]) -> None:
        self._pieces = pieces
        self._automaton = PhraseAutomaton(strings)
        self._stream = TextStream[Node](pieces, self._read)
        texts = [text for text in map(without_edges, strings) if text]
        self._anywhere = {token for text in texts for token in pieces.containing(text)}
        self._anywhere |= {*pieces.unclean, *pieces.byte_tokens.values(), EOS}
        self._limit = math.inf
        self._known: dict[tuple[Node, str, bool], Except | None] = {}

    def within(self, limit: int) -> "ForbiddenPhrases":
        """The same where a hypothesis has at most `limit` tokens, end-of-sentence included."""
        limited = copy(self)
        limited._limit = limit
        return limited

    def start(self) -> State:
        """The state before the first token."""
        node = self._automaton.start()
        return State(0, Position(b"", "", "", node, node))

    def advance(self, state: State, token: int) -> State:
        """The state after one more token."""
        return State(state.used + 1, self._stream.advance(state.position, token))

    def allowed(self, state: State) -> Allowed | None:
        """All tokens but those that complete a phrase; the last one, if the translation ends after it."""
        position, last = state.position, state.used + 1 >= self._limit
        if position.undecoded:
            return self._after_bytes(position, last)
        common = self._after(position.value, stand_in(position.last), last)
        changing = self._pieces.changing(position.tail)
        if not changing:
            return common
        banned = set(common.tokens if common else ()).difference(changing)
        return _all_but(banned.union(token for token in changing if self._rejects(position, token, last)))

    def wanted(self, state: State) -> Sequence[int]:
        """None in particular."""
        return ()

    def met(self, state: State) -> int:
        """Always 0: there is nothing to reach."""
        return 0

    def _read(self, node: Node, left: str, character: str) -> Node:
        if node == _REJECTED:
            return node
        node, found = self._automaton.read(node, left, character)
        return _REJECTED if found else node

    def _rejects(self, position: Position[Node], token: int, last: bool) -> bool:
        """Whether a token completes a phrase; if it is the last one, at the end of the translation."""
        after = position if token == EOS else self._stream.advance(position, token)
        if last or token == EOS:
            after = self._stream.flush(after)
            return self._read(after.value, after.last, END) == _REJECTED
        return after.value == _REJECTED

    def _after(self, node: Node, left: str, last: bool) -> Except | None:
        """Where no character is incomplete, and none of the next token changes the last one."""
        if (node, left, last) not in self._known:
            position = Position(b"", "", left, node, node)
            self._known[node, left, last] = _all_but(self._completing(position, last))
        return self._known[node, left, last]

    def _completing(self, position: Position[Node], last: bool) -> set[int]:
        """The tokens that complete a phrase: those that have it, or begin with what is left of it."""
        if last:
            return {
                token
                for token in (*self._pieces.texts, *self._anywhere)
                if self._rejects(position, token, last)
            }
        suspects = set(self._anywhere)
        banned = set()
        for index, length in self._automaton.partial[position.value]:
            rest = without_edges(self._automaton.strings[index][length:])
            if rest:
                suspects.update(self._pieces.beginning(rest))
                if position.last in ("", " "):
                    suspects.update(self._pieces.beginning(" " + rest))
                continue
            for character, tokens in self._pieces.by_first_character.items():
                if self._stream.characters(position, character).value == _REJECTED:
                    banned.update(tokens)
        return banned.union(token for token in suspects if self._rejects(position, token, last))

    def _after_bytes(self, position: Position[Node], last: bool) -> Except | None:
        """Where a character is incomplete: the tokens of text make it U+FFFD."""
        flushed = self._stream.flush(position)
        if flushed.value == _REJECTED:
            banned = {*self._pieces.texts, EOS}
        else:
            common = self._after(flushed.value, stand_in(flushed.last), last)
            banned = set(common.tokens if common else ())
        spelling = self._pieces.byte_tokens.values()
        banned.difference_update(spelling)
        return _all_but(banned.union(token for token in spelling if self._rejects(position, token, last)))


def _all_but(tokens: set[int]) -> Except | None:
    return Except(tuple(sorted(tokens))) if tokens else None
