"""Phrases that a translation must have (lexically constrained decoding: Hokamp and Liu, 2017; Post and Vilar,
2018), as text: in whatever subwords, but led to by those that training has for them. Numbers are phrases that
letters may follow (see `nmt.decoding.constraints.number_reader`).
"""

import math
from collections.abc import Callable, Sequence
from copy import copy
from typing import NamedTuple

from nmt.data.tokenizer import EOS
from nmt.decoding.constraint import Allowed, Except, Only, Usual
from nmt.decoding.constraints.beginnings import beginnings
from nmt.decoding.constraints.characters import EDGE, is_inside, stand_in
from nmt.decoding.constraints.forcing import Forcing
from nmt.decoding.constraints.number_reader import OUTSIDE, WORD, reader_of
from nmt.decoding.constraints.phrase_automaton import END, ROOT, PhraseAutomaton, bare, pattern, without_edges
from nmt.decoding.constraints.pieces import Pieces
from nmt.decoding.constraints.spelling import Spelling
from nmt.decoding.constraints.text_stream import Position, TextStream

Group = tuple[str, ...]
"""Phrases of which one is required."""
_NO_END = Except((EOS,))


class Found(NamedTuple):
    """What there is of the phrases.

    Attributes:
        node: of the automaton.
        groups: those that have been found, one bit each.
        number: how far the last number goes.
    """

    node: int
    groups: int
    number: str = OUTSIDE


class State(NamedTuple):
    """The number of tokens so far, and the position."""

    used: int
    position: Position[Found]


class RequiredPhrases(Forcing):
    """A constraint (see `nmt.decoding.constraint.Constraint`): a hypothesis ends only with all phrases, and
    is made to have them while there is room.

    Args:
        pieces: the vocabulary.
        groups: cleaned phrases, of each group one is required.
        numbers: likewise, of numbers.

    Attributes:
        least: a number of tokens that is enough for all of them, without end-of-sentence; infinite: one
            cannot be generated.
    """

    def __init__(self, pieces: Pieces, groups: Sequence[Group], numbers: Sequence[Group] = ()) -> None:
        first, groups = len(groups), [*groups, *numbers]
        phrases = [(index, phrase) for index, group in enumerate(groups) for phrase in group]
        self._limit, self._pieces = math.inf, pieces
        self._automaton = PhraseAutomaton([pattern(phrase) for _, phrase in phrases])
        self._stream = TextStream[Found](pieces, self._read, self._skip)
        self._group_of = [index for index, _ in phrases]
        self._numbers = [phrase if index >= first else "" for index, phrase in phrases]
        self._reader = reader_of(phrases[sum(map(len, groups[:first])) :])
        self._spellings = [Spelling(pieces, " " + bare(phrase)) for _, phrase in phrases]
        self._all = (1 << len(groups)) - 1
        self._least = [min(self._spellings[i].least(0) for i in self._of(g)) for g in range(len(groups))]
        self._tokens = [
            max(self._spellings[i].progress(len(self._spellings[i].text)) for i in self._of(g))
            for g in range(len(groups))
        ]
        self.least = sum(self._least)
        self._beginnings = beginnings(pieces, self._automaton.strings)
        self._usual: dict[tuple[int, int], Usual | None] = {}
        self._founds: dict[Found, Found] = {}
        self._met: dict[Found, int] = {}
        self._after: dict[tuple[Found, str], dict[int, int]] = {}
        self._complete: dict[Found, bool] = {}
        self._sums: dict[int, float] = {}
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

    def advance(self, state: State | None, token: int) -> State | None:
        """The state after one more token."""
        if state is None:
            return None
        position = self._stream.advance(state.position, token)
        return None if position.value.groups == self._all else State(state.used + 1, position)

    def allowed(self, state: State | None) -> Allowed | None:
        """Everything but the end, until all phrases are there; only what leads to them, where there is no
        more room than they need.
        """
        if state is None:
            return None
        position = state.position
        groups = position.value.groups
        room = self._limit - state.used - 1  # after the next token
        complete = self._is_complete(position)
        if self._sum_of_missing(groups) < room:
            return None if complete else _NO_END
        leading = [
            token
            for token in sorted(self._leading_on(position, all_ways=True))
            if self._needed(self._stream.advance(position, token)) < room
        ]
        return Only((*leading, EOS) if complete else tuple(leading))

    def wanted(self, state: State | None) -> Sequence[int]:
        """The next token of each phrase that is missing: of those that have begun, and the first ones."""
        if state is None:
            return ()
        position = state.position
        key = position.value, stand_in(position.last), position.undecoded
        if key not in self._known:
            self._known[key] = tuple(sorted(self._leading_on(position)))
        return self._known[key]

    def met(self, state: State | None) -> int:
        """The number of tokens that training has for what there is of the phrases."""
        return sum(self._tokens) if state is None else self._met_with(state.position.value)

    def met_after(self, state: State | None) -> Callable[[int], int]:
        """As `met` after `advance`. What a token adds depends on little, unless it changes characters that
        there are: it is kept.
        """
        if state is None:
            total = self.met(None)
            return lambda token: total
        position = state.position
        changing = self._pieces.changing(position.tail)
        last = stand_in(position.last)
        known = self._after.setdefault((position.value, last), {})
        start = Position(b"", "", last, position.value, position.value)

        def met(token: int) -> int:
            if position.undecoded or token in changing:
                return self._met_with(self._stream.advance(position, token).value)
            if token not in known:
                known[token] = self._met_with(self._stream.advance(start, token).value)
            return known[token]

        return met

    def usual_met(self, state: State | None) -> Usual | None:
        """That of the phrases that are complete, unless another begins or goes on."""
        if state is None:
            return Usual(self.met(None))
        found = state.position.value
        if state.position.undecoded or found.number not in (OUTSIDE, WORD):
            return None
        if (found.node, found.groups) not in self._usual:
            self._usual[found.node, found.groups] = self._usually(found)
        return self._usual[found.node, found.groups]

    def _usually(self, found: Found) -> Usual | None:
        met, begun = self._complete_tokens(found.groups), self._automaton.partial(found.node)
        rests = [self._automaton.strings[index][length:] for index, length in begun if length > 1]
        if not rests:
            return Usual(met, self._beginnings)
        if EDGE in rests:
            return None
        matters = self._beginnings | self._pieces.changing_any
        matters[EOS] = True
        for rest in rests:
            matters[self._pieces.by_first_character.get(rest[rest[0] == EDGE], [])] = True
        return Usual(met, matters)

    def _met_with(self, found: Found) -> int:
        if found not in self._met:
            groups = found.groups
            if self._reader is not None:
                groups |= self._reader.unless_it_goes_on(found.number)
            begun = self._begun(found._replace(groups=groups))
            most = max((self._spellings[index].progress(length) for index, length in begun), default=0)
            self._met[found] = self._complete_tokens(groups) + most
        return self._met[found]

    def _complete_tokens(self, groups: int) -> int:
        """The number of tokens that training has for the phrases of these groups."""
        return sum(tokens for group, tokens in enumerate(self._tokens) if groups >> group & 1)

    def _of(self, group: int) -> list[int]:
        """The phrases of a group."""
        return [index for index, own in enumerate(self._group_of) if own == group]

    def _skip(self, found: Found, token: int) -> Found | None:
        return None if found.node != ROOT or self._reader is not None or self._beginnings[token] else found

    def _read(self, found: Found, text: str) -> Found:
        node, phrases = self._automaton.read(found.node, text)
        groups = found.groups
        for index in phrases:
            if not self._numbers[index]:
                groups |= 1 << self._group_of[index]
        if self._reader is None:
            return self._one(Found(node, groups))
        number, more = self._reader.read(found.number, text)
        return self._one(Found(node, groups | more, number))

    def _one(self, found: Found) -> Found:
        """The same object for equal ones, as many are kept."""
        return self._founds.setdefault(found, found)

    def _is_complete(self, position: Position[Found]) -> bool:
        """Whether all phrases are there if the translation ends here."""
        found = self._stream.flush(position).value
        if found not in self._complete:
            self._complete[found] = self._read(found, EDGE + END).groups == self._all
        return self._complete[found]

    def _sum_of_missing(self, groups: int) -> float:
        """The number of tokens that is enough for the groups that have not been found."""
        if groups not in self._sums:
            self._sums[groups] = sum(
                least for group, least in enumerate(self._least) if not groups >> group & 1
            )
        return self._sums[groups]

    def _begun(self, found: Found) -> list[tuple[int, int]]:
        """The missing phrases that have begun, and the number of characters that there are, with the space
        before them.
        """
        strings = self._automaton.strings
        return [
            (index, len(without_edges(strings[index][:length])) + 1)
            for index, length in self._automaton.partial(found.node)
            if not found.groups >> self._group_of[index] & 1
            and (not self._numbers[index] or self._numbers[index].startswith(found.number))
        ]

    def _needed(self, position: Position[Found]) -> float:
        """A number of tokens that is enough for all that is missing: as many as each phrase takes, but for
        one that has begun.
        """
        saved = (
            self._least[self._group_of[index]] - self._spellings[index].least(length, position.undecoded)
            for index, length in self._places(position)
        )
        return self._sum_of_missing(position.value.groups) - max((0.0, *saved))

    def _places(self, position: Position[Found]) -> list[tuple[int, int]]:
        """The missing phrases that can go on here, or begin without a space, and the number of characters
        that there are, with the space before them.
        """
        found, last = position.value, position.last
        number_begins = found.number in (OUTSIDE, WORD)
        return self._begun(found) + [
            (index, 1)
            for index in self._unmet(found.groups)
            if (number_begins or not self._numbers[index])
            and (last == " " or not is_inside(last, self._spellings[index].text[1]))
        ]

    def _unmet(self, groups: int) -> list[int]:
        """The phrases of groups that have not been found."""
        return [index for index, group in enumerate(self._group_of) if not groups >> group & 1]

    def _leading_on(self, position: Position[Found], all_ways: bool = False) -> set[int]:
        """The tokens that lead on in a missing phrase, or begin it.

        Args:
            position: where.
            all_ways: whether all tokens that do, or those that training has for the phrases.
        """
        undecoded = position.undecoded
        places = self._places(position)
        first = [(index, 0) for index in self._unmet(position.value.groups)]
        if not undecoded and (all_ways or position.last != " "):
            places += first
        tokens = self._tokens_at(places, undecoded, all_ways)
        # If nothing continues an incomplete character, it becomes U+FFFD: only where there is no more room.
        return tokens or (self._tokens_at(first, b"", True) if all_ways else set())

    def _tokens_at(self, places: list[tuple[int, int]], undecoded: bytes, all_ways: bool) -> set[int]:
        """The next tokens of phrases, of which there are some characters."""
        spellings = [(self._spellings[index], start) for index, start in places]
        if all_ways:
            return {move.token for one, start in spellings for move in one.moves(start, undecoded)}
        tokens = {one.next(start, undecoded) for one, start in spellings}
        return {token for token in tokens if token is not None}
