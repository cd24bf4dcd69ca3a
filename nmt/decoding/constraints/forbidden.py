"""Phrases that a translation must not have, as text: in whatever subwords."""

from collections.abc import Sequence

from nmt.data.tokenizer import EOS
from nmt.decoding.constraints.characters import stand_in
from nmt.decoding.constraints.phrase_automaton import END, PhraseAutomaton, without_edges
from nmt.decoding.constraints.pieces import Pieces
from nmt.decoding.constraints.text_stream import Position, TextStream
from nmt.decoding.interface import Allowed, Except

_REJECTED = -1
Node = int
"""Of the automaton, or `_REJECTED`."""


class ForbiddenPhrases:
    """A constraint (see `nmt.decoding.interface.Constraint`): a token that would complete a phrase is not
    allowed. One object may serve many sentences: it keeps which tokens complete one, once it knows.

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
        self._known: dict[tuple[Node, str], Except | None] = {}

    def start(self) -> Position[Node]:
        """The position before the first token."""
        node = self._automaton.start()
        return Position(b"", "", "", node, node)

    def advance(self, state: Position[Node], token: int) -> Position[Node]:
        """The position after one more token."""
        return self._stream.advance(state, token)

    def allowed(self, state: Position[Node]) -> Allowed | None:
        """All tokens but those that complete a phrase."""
        if state.undecoded:
            return self._after_bytes(state)
        common = self._after(state.value, stand_in(state.last))
        changing = self._pieces.changing(state.tail)
        if not changing:
            return common
        banned = set(common.tokens if common else ()).difference(changing)
        return _all_but(banned.union(token for token in changing if self._rejects(state, token)))

    def wanted(self, state: Position[Node]) -> Sequence[int]:
        """None in particular."""
        return ()

    def met(self, state: Position[Node]) -> int:
        """Always 0: there is nothing to reach."""
        return 0

    def _read(self, node: Node, left: str, character: str) -> Node:
        if node == _REJECTED:
            return node
        node, found = self._automaton.read(node, left, character)
        return _REJECTED if found else node

    def _rejects(self, position: Position[Node], token: int) -> bool:
        if token == EOS:
            position = self._stream.flush(position)
            return self._read(position.value, position.last, END) == _REJECTED
        return self._stream.advance(position, token).value == _REJECTED

    def _after(self, node: Node, left: str) -> Except | None:
        """Where no character is incomplete, and none of the next token changes the last one."""
        if (node, left) not in self._known:
            position = Position(b"", "", left, node, node)
            self._known[node, left] = _all_but(self._completing(position))
        return self._known[node, left]

    def _completing(self, position: Position[Node]) -> set[int]:
        """The tokens that complete a phrase: those that have it, or begin with what is left of it."""
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
        return banned.union(token for token in suspects if self._rejects(position, token))

    def _after_bytes(self, state: Position[Node]) -> Except | None:
        """Where a character is incomplete: the tokens of text make it U+FFFD."""
        flushed = self._stream.flush(state)
        if flushed.value == _REJECTED:
            banned = {*self._pieces.texts, EOS}
        else:
            common = self._after(flushed.value, stand_in(flushed.last))
            banned = set(common.tokens if common else ())
        banned.difference_update(self._pieces.byte_tokens.values())
        return _all_but(
            banned.union(token for token in self._pieces.byte_tokens.values() if self._rejects(state, token))
        )


def _all_but(tokens: set[int]) -> Except | None:
    return Except(tuple(sorted(tokens))) if tokens else None
