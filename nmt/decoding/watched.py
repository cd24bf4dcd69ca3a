"""Beam search with constraints that only exclude tokens: it is the search without them until one that it
would go on with is excluded.

So tokens are looked at only where they could matter (`nmt.decoding.constraint.Watch`), and the predictions
are asked again for the sentence concerned, without what is excluded. A sentence that is also searched
without its constraint branches at this step, into a search with it and the one that goes on; until then
they are one.

Shapes: b active searches, w of them watched, K slots per search (the beam size), N rows (live hypotheses), V
vocabulary, T maximum length, t tokens so far.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from nmt.decoding.beam import Beams, Extensions
from nmt.decoding.constraint import Constraint, ConstraintState, Except, Watch
from nmt.decoding.interface import Booleans, Integers, Query, Rows, Step
from nmt.decoding.live import padded

_UNWATCHED, _FOLLOWED, _BOTH, _FREE = range(4)
"""How a constraint counts in a search: not; it is followed; likewise, but this is also the search without it;
it is not followed, but what breaks it is known."""


class _Noted(NamedTuple):
    """What is known of the new hypotheses of some searches.

    Attributes:
        tokens: [w, K, t + 1].
        begun: [w, K], in which something of the constraint has begun.
        broken: [w, K], which break it.
        states: of those in which something has begun, by slot.
        excluded: [w], whether the constraint excludes an extension.
    """

    tokens: Integers
    begun: Booleans
    broken: Booleans
    states: list[dict[int, ConstraintState]]
    excluded: Booleans


class Followed(NamedTuple):
    """What `Watched.follow` has found.

    Attributes:
        extensions: [b', K], those of searches that begin here at the end.
        origins: [b'], the index of the search, among the b, whose hypotheses each extends; None: its own.
        begun: the numbers of those that begin.
    """

    extensions: Extensions
    origins: Integers | None
    begun: list[int]


class Watched:
    """The searches that have such a constraint, with what their hypotheses have of it.

    Args:
        constraints: of each search, and how to follow it.
        branches: number of a search → that of the search with its constraint, which may be the same.
        shape: the number of all searches, branches included; K; T.
        eos: the token that ends a sentence.
    """

    def __init__(
        self,
        constraints: Mapping[int, tuple[Constraint, Watch]],
        branches: Mapping[int, int],
        shape: tuple[int, int, int],
        eos: int,
    ) -> None:
        self._constraints, self._branches, self._eos = dict(constraints), branches, eos
        self._steps, size = 0, shape[0]
        self._roles, self._table_of = np.zeros(size, np.int64), np.zeros(size, np.int64)
        self._repeated = np.zeros(size, np.bool_)
        tables: list[Booleans] = []
        for number, (_, watch) in constraints.items():
            self._roles[number] = _FOLLOWED if branches[number] == number else _BOTH
            self._repeated[number] = watch.repeated
            if watch.tokens is not None:
                tables.append(watch.tokens)
                self._table_of[number] = len(tables)
        self._tables = np.stack((np.zeros_like(tables[0]), *tables)) if tables else None
        self._tokens = np.zeros(shape, np.int64)
        self._begun = np.zeros(shape[:2], np.bool_)
        self._broken = np.zeros(shape[:2], np.bool_)
        self._states: dict[int, dict[int, ConstraintState]] = {}

    def broken(self, searches: Integers | int) -> Booleans:
        """[b, K] or [K], the hypotheses of these searches that break a constraint that is not followed."""
        return self._broken[searches]

    def follow(
        self, step: Step[Any], query: Query, rows: Rows, beams: Beams, searches: Integers, found: Extensions
    ) -> Followed:
        """The extensions that the constraints allow.

        Args:
            step: the predictions.
            query: what was asked of them, without constraints.
            rows: of this step.
            beams: before it.
            searches: the number of each, [b].
            found: the extensions without constraints; those of a search that follows its constraint are
                replaced in place.
        """
        self._steps += 1
        watched = np.flatnonzero(self._roles[searches] != _UNWATCHED)
        numbers = searches[watched]
        noted = self._look_at(numbers, found.select(watched))
        again = np.flatnonzero(noted.excluded)
        if not len(again):
            self._keep(numbers, noted)
            return Followed(found, None, [])
        places, numbers_again = watched[again], numbers[again]
        allowed = self._ask_again(step, query, rows, beams, places, numbers_again)
        new = self._look_at(numbers_again, allowed)
        self._keep(numbers, noted)
        branching = self._roles[numbers_again] == _BOTH
        begun = [self._begin(number) for number in numbers_again[branching].tolist()]
        targets = numbers_again.copy()
        targets[branching] = begun
        self._keep(targets, new)
        for column, more in zip(found, allowed, strict=True):
            column[places[~branching]] = more[~branching]
        if not begun:
            return Followed(found, None, begun)
        origins = np.concatenate((np.arange(len(searches)), places[branching]))
        return Followed(found.concatenate(allowed.select(branching)), origins, begun)

    def _begin(self, number: int) -> int:
        """Begin the search with the constraint; returns its number."""
        branch = self._branches[number]
        self._roles[number], self._roles[branch] = _FREE, _FOLLOWED
        for of_search in (self._repeated, self._table_of):
            of_search[branch] = of_search[number]
        self._constraints[branch] = self._constraints[number]
        return branch

    def _look_at(self, numbers: Integers, found: Extensions) -> _Noted:
        """What there is of the constraints in the extensions of some searches [w]."""
        at, t, w = numbers[:, None], self._steps - 1, len(numbers)
        before = self._tokens[at, found.origins, :t]
        broken = self._broken[at, found.origins]
        matters = self._begun[at, found.origins]
        if self._tables is not None:
            matters |= self._tables[self._table_of[numbers][:, None], found.tokens]
        if self._repeated.any():
            seen = (before == found.tokens[:, :, None]).any(axis=2)
            matters |= seen & self._repeated[numbers][:, None]
        matters &= (found.totals > -np.inf) & ~broken
        ending = (found.ended > -np.inf) & self._begun[at, found.parents]
        tokens = np.concatenate((before, found.tokens[:, :, None]), axis=2)
        noted = _Noted(tokens, np.zeros_like(broken), broken, [{} for _ in range(w)], np.zeros(w, np.bool_))
        for row in np.flatnonzero(matters.any(axis=1) | ending.any(axis=1)).tolist():
            self._look_closely(int(numbers[row]), row, noted, found, matters[row], ending[row])
        return noted

    def _look_closely(
        self, number: int, row: int, noted: _Noted, found: Extensions, matters: Booleans, ending: Booleans
    ) -> None:
        """The same for the slots of one search, [K], in which a token matters, or that end."""
        constraint, watch = self._constraints[number]
        follows = self._roles[number] != _FREE
        for slot in np.flatnonzero(matters).tolist():
            token = int(found.tokens[row, slot])
            state = self._state(number, int(found.origins[row, slot]))
            noted.excluded[row] |= follows and watch.excludes(state, token)
            if watch.breaks(state, token):
                noted.broken[row, slot] = True
                continue
            after = constraint.advance(state, token)
            if not watch.is_quiet(after):
                noted.begun[row, slot], noted.states[row][slot] = True, after
        for slot in np.flatnonzero(ending).tolist() if follows else ():
            state = self._state(number, int(found.parents[row, slot]))
            noted.excluded[row] |= watch.excludes(state, self._eos)

    def _state(self, number: int, slot: int) -> ConstraintState:
        """The state of a hypothesis before this step."""
        states = self._states.setdefault(number, {})
        if slot not in states:
            constraint, _ = self._constraints[number]
            state = constraint.start()
            for token in self._tokens[number, slot, : self._steps - 1].tolist():
                state = constraint.advance(state, token)
            states[slot] = state
        return states[slot]

    def _ask_again(
        self, step: Step[Any], query: Query, rows: Rows, beams: Beams, places: Integers, numbers: Integers
    ) -> Extensions:
        """The extensions of some searches, given by index and number, without what is excluded."""
        counts = rows.counts[places]
        firsts = (np.cumsum(rows.counts) - rows.counts)[places]
        asked = np.concatenate([np.arange(k, k + n) for k, n in zip(firsts, counts, strict=True)])
        banned: list[tuple[int, int]] = []
        row = 0
        for number, count in zip(numbers.tolist(), counts.tolist(), strict=True):
            for slot in range(count):
                allowed = self._constraints[number][0].allowed(self._state(number, slot))
                if isinstance(allowed, Except):
                    banned += [(row, token) for token in allowed.tokens]
                row += 1
        bans = np.array(banned, np.int64).reshape(-1, 2).T
        answer = step.read(replace(query, rows=asked, bans=(bans[0], bans[1]), attention=False))
        some = Rows(rows.tokens[asked], asked, counts, None, rows.width)
        return beams.select(places).extensions(*padded(answer, some), self._eos)

    def _keep(self, numbers: Integers, noted: _Noted) -> None:
        self._tokens[numbers, :, : noted.tokens.shape[2]] = noted.tokens
        self._begun[numbers], self._broken[numbers] = noted.begun, noted.broken
        self._states.update(zip(numbers.tolist(), noted.states, strict=True))


def watched(
    constraints: Mapping[int, Constraint], branches: Mapping[int, int], shape: tuple[int, int, int], eos: int
) -> Watched | None:
    """Those of the constraints that can be watched, with the other arguments of `Watched`; None: none."""
    found = {
        number: (one, watch) for number, one in constraints.items() if (watch := one.watch()) is not None
    }
    return Watched(found, branches, shape, eos) if found else None
