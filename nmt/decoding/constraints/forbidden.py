"""Phrases that a translation must not have, as text: in whatever subwords."""

from collections.abc import Collection, Sequence
from functools import cached_property

from nmt.data.tokenizer import EOS
from nmt.decoding.constraint import Allowed, Except, Watch
from nmt.decoding.constraints.beginnings import beginnings
from nmt.decoding.constraints.characters import EDGE, stand_in
from nmt.decoding.constraints.excluding import Excluding
from nmt.decoding.constraints.phrase_automaton import END, ROOT, PhraseAutomaton, without_edges
from nmt.decoding.constraints.pieces import Pieces
from nmt.decoding.constraints.text_stream import Position, TextStream

_REJECTED = -1
Node = int
"""Of the automaton, or `_REJECTED`."""


class ForbiddenPhrases(Excluding):
    """A constraint (see `nmt.decoding.constraint.Constraint`): a token that would complete a phrase is not
    allowed. One object may serve many sentences: it keeps which tokens do, once it knows.

    Args:
        pieces: the vocabulary.
        strings: phrases with their edges (see `nmt.decoding.constraints.phrase_automaton.pattern`).
    """

    def __init__(self, pieces: Pieces, strings: Sequence[str]) -> None:
        self._pieces = pieces
        self._automaton = PhraseAutomaton(strings)
        self._begins = beginnings(pieces, self._automaton.strings)
        self._stream = TextStream[Node](pieces, self._read, self._skip)
        texts = [text for text in map(without_edges, strings) if text]
        self._anywhere = {token for text in texts for token in pieces.containing(text)}
        self._anywhere |= {*pieces.unclean, EOS}
        self._anywhere.update(token for text in texts for token in self._bytes_of(text))
        self._known: dict[tuple[Node, str, bool], Except | None] = {}

    def start(self) -> Position[Node]:
        """The position before the first token."""
        node = self._automaton.start()
        return Position(b"", "", "", node, node)

    def advance(self, state: Position[Node], token: int) -> Position[Node]:
        """The position after one more token."""
        return self._stream.advance(state, token)

    def allowed(self, state: Position[Node]) -> Allowed | None:
        """All tokens but those that complete a phrase, also those after which it is complete unless the next
        one goes on in its last word. Search would be led to such words, and often they are none.
        """
        return self._all_but(state, early=True)

    def never(self, state: Position[Node]) -> Except | None:
        """The tokens that complete a phrase whatever follows."""
        return self._all_but(state, early=False)

    def watch(self) -> Watch:
        """The tokens in which a phrase may begin."""
        return self._watch

    @cached_property
    def _watch(self) -> Watch:
        return Watch(
            self._begins,
            repeated=False,
            is_quiet=self._is_quiet,
            excludes=lambda position, token: self._rejects(position, token, early=True),
            breaks=lambda position, token: self._rejects(position, token, early=False),
        )

    def _is_quiet(self, position: Position[Node]) -> bool:
        return not position.undecoded and self._automaton.begins_nothing(position.value)

    def _skip(self, node: Node, token: int) -> Node | None:
        return None if node != ROOT or self._begins[token] else ROOT

    def _read(self, node: Node, text: str) -> Node:
        if node == _REJECTED:
            return node
        node, found = self._automaton.read(node, text)
        return _REJECTED if found else node

    def _rejects(self, position: Position[Node], token: int, early: bool) -> bool:
        """Whether a token completes a phrase."""
        after = position if token == EOS else self._stream.advance(position, token)
        if after.value != _REJECTED and (token == EOS or (early and not after.undecoded)):
            after = self._stream.flush(after)
            return self._read(after.value, EDGE + END) == _REJECTED
        return after.value == _REJECTED

    def _all_but(self, position: Position[Node], early: bool) -> Except | None:
        if position.undecoded:
            return _without(self._after_bytes(position, early))
        common = self._after(position.value, stand_in(position.last), early)
        changing = self._pieces.changing(position.tail)
        if not changing:
            return common
        banned = set(common.tokens if common else ()).difference(changing)
        return _without(banned.union(token for token in changing if self._rejects(position, token, early)))

    def _after(self, node: Node, left: str, early: bool) -> Except | None:
        """Where no character is incomplete, and none of the next token changes the last one."""
        if (node, left, early) not in self._known:
            position = Position(b"", "", left, node, node)
            self._known[node, left, early] = _without(self._completing(position, early))
        return self._known[node, left, early]

    def _completing(self, position: Position[Node], early: bool) -> set[int]:
        """The tokens that complete a phrase: those that have it, or begin with what is left of it."""
        suspects = set(self._anywhere)
        banned = set()
        for index, length in self._automaton.partial(position.value):
            rest = without_edges(self._automaton.strings[index][length:])
            suspects.update(self._bytes_of(rest))
            if rest:
                suspects.update(self._pieces.beginning(rest))
                if position.last in ("", " "):
                    suspects.update(self._pieces.beginning(" " + rest))
                continue
            for character, tokens in self._pieces.by_first_character.items():
                if self._stream.characters(position, character).value == _REJECTED:
                    banned.update(tokens)
        return banned.union(token for token in suspects if self._rejects(position, token, early))

    def _bytes_of(self, rest: str) -> Collection[int]:
        """The bytes that may complete a phrase of which this is left: those that are a character."""
        tokens = self._pieces.byte_tokens
        if rest in ("", "\ufffd"):  # any other character; that of a byte that is none
            return tokens.values()
        return [tokens[ord(rest)]] if len(rest) == 1 and rest.isascii() and tokens else ()

    def _after_bytes(self, position: Position[Node], early: bool) -> set[int]:
        """Where a character is incomplete: the tokens of text make it U+FFFD."""
        flushed = self._stream.flush(position)
        if flushed.value == _REJECTED:
            banned = {*self._pieces.texts, EOS}
        else:
            common = self._after(flushed.value, stand_in(flushed.last), early)
            banned = set(common.tokens if common else ())
        spelling = self._pieces.byte_tokens.values()
        banned.difference_update(spelling)
        return banned.union(token for token in spelling if self._rejects(position, token, early))


def _without(tokens: set[int]) -> Except | None:
    return Except(tuple(sorted(tokens))) if tokens else None
