"""Beam search with constraints: the extensions of the sentences that have any.

The slots of a sentence are shared among its hypotheses by how much of the constraint they meet: each such
bank gets the same number of slots, of which those that it cannot fill go to the best of the others (dynamic
beam allocation: Post and Vilar, 2018). The other sentences of the batch are not affected.

Shapes: b active sentences, K slots per sentence (the beam size), N rows (live hypotheses).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from nmt.decoding.beam import Extensions
from nmt.decoding.hypothesis import Doubles
from nmt.decoding.interface import Answer, Constraint, ConstraintState, Except, Integers, Only, Query, Rows


class _Row(NamedTuple):
    """What is asked for one hypothesis.

    Attributes:
        row: among the N.
        named: tokens asked for by name.
        first: where they begin among all that are.
        wanted: those that are candidates however improbable they are.
        exclusive: no others are candidates.
        ending: EOS is asked for, though it is not allowed yet.
    """

    row: int
    named: Sequence[int]
    first: int
    wanted: frozenset[int]
    exclusive: bool
    ending: bool


_NONE: frozenset[int] = frozenset()


_Extension = tuple[float, int, int, bool]
"""An extension of a hypothesis: minus its log-probability, the slot of its parent, the token, and whether it
stays a candidate however many others are more probable. They sort from the best one."""

_EMPTY = -np.inf, 0, 0, -np.inf, 0
"""Each of `Extensions` where there is none."""


class _Predicted(NamedTuple):
    """The answer to a query as lists: the best tokens of each row, their log-probabilities, and those of the
    tokens that were asked for by name.
    """

    tokens: list[list[int]]
    values: list[list[float]]
    named: list[float]


class Constrained:
    """The sentences of a search that have a constraint, with the state of each hypothesis.

    Args:
        constraints: by the number of the sentence.
        eos: the token that ends a sentence.
    """

    def __init__(self, constraints: Mapping[int, Constraint], eos: int) -> None:
        self._constraints, self._eos = constraints, eos
        self._states = {sentence: [one.start()] for sentence, one in constraints.items()}
        self._asked: dict[int, list[_Row]] = {}  # index among the b sentences → its hypotheses

    def query(self, query: Query, sentences: Sequence[int], rows: Rows) -> Query:
        """`query` with what the constraints ask for.

        Args:
            query: the same for all rows.
            sentences: the number of each of the b sentences.
            rows: of this step.
        """
        banned, firsts = frozenset(query.banned.tolist()), (np.cumsum(rows.counts) - rows.counts).tolist()
        banned_rows: list[int] = []
        banned_tokens: list[int] = []
        named: list[tuple[int, int]] = []
        self._asked = {}
        for index, sentence in enumerate(sentences):
            if sentence not in self._constraints or not any(
                state is not None for state in self._states[sentence]
            ):
                continue
            constraint, asked = self._constraints[sentence], []
            forces = constraint.forces()
            for slot in range(int(rows.counts[index])):
                state, row = self._states[sentence][slot], firsts[index] + slot
                if state is None:
                    asked.append(_Row(row, (), len(named), _NONE, False, False))
                    continue
                allowed, wanted = constraint.allowed(state), frozenset(constraint.wanted(state)) - banned
                tokens, ending = wanted, False
                if isinstance(allowed, Except):
                    banned_rows += [row] * len(allowed.tokens)
                    banned_tokens += allowed.tokens
                    tokens = wanted = wanted.difference(allowed.tokens) if wanted else wanted
                    if forces and self._eos in allowed.tokens and self._eos not in banned:
                        tokens, ending = wanted | {self._eos}, True
                elif isinstance(allowed, Only):
                    tokens = frozenset(allowed.tokens) - banned
                exclusive = isinstance(allowed, Only)
                asked.append(_Row(row, sorted(tokens), len(named), wanted, exclusive, ending))
                named += [(row, token) for token in asked[-1].named]
            self._asked[index] = asked
        bans = np.array(banned_rows, np.int64), np.array(banned_tokens, np.int64)
        return replace(query, bans=bans, named=_columns(named))

    def extend(
        self, extensions: Extensions, totals: Doubles, answer: Answer, sentences: Sequence[int], count: int
    ) -> None:
        """Replace the extensions of the constrained sentences, in place.

        Args:
            extensions: of all sentences, as without constraints.
            totals: log-probabilities of the hypotheses to be extended, [b, K].
            answer: to the query of this step.
            sentences: the number of each of the b sentences.
            count: the most that can be chosen for each hypothesis by its probability alone.
        """
        K = totals.shape[1]
        predicted = _Predicted(
            answer.tokens.tolist(),
            answer.values.astype(np.float64).tolist(),
            answer.named.astype(np.float64).tolist(),
        )
        columns: list[list[list[float]]] = [[] for _ in extensions]
        for index, asked in self._asked.items():
            sentence = sentences[index]
            constraint, states = self._constraints[sentence], self._states[sentence]
            found = sorted(self._extensions(asked, totals[index].tolist(), predicted, count))
            found[2 * K :] = [one for one in found[2 * K :] if one[3]]
            ended, going = self._choose(found, self._met(constraint, states, found), K)
            self._states[sentence] = [
                None if states[slot] is None else constraint.advance(states[slot], token)
                for _, slot, token, _ in going
            ]
            for column, values, empty in zip(columns, _values(going, ended), _EMPTY, strict=True):
                column.append(values + [empty] * (K - len(values)))
        indices = list(self._asked)
        for array, column in zip(extensions, columns, strict=True):
            if indices:
                array[indices] = column

    def _choose(
        self, found: Sequence[_Extension], met: Sequence[int], K: int
    ) -> tuple[list[_Extension], list[_Extension]]:
        """Of the candidates, best first, those that end and those that go on."""
        ended, rest = list[int](), list(range(len(found)))
        if any(one[2] == self._eos for one in found):
            best = _allocate(rest, met, K)
            ended = [number for number in best if found[number][2] == self._eos]
            rest = [number for number in (rest if K > 1 else best) if found[number][2] != self._eos]
        return [found[number] for number in ended], [found[number] for number in _allocate(rest, met, K)]

    def _met(
        self, constraint: Constraint, states: Sequence[ConstraintState], found: Sequence[_Extension]
    ) -> list[int]:
        """How much of the constraint each of the candidates meets."""
        after = [None if state is None else constraint.met_after(state) for state in states]
        met = []
        for _, slot, token, _ in found:
            own = after[slot]
            met.append(constraint.met(states[slot]) if own is None or token == self._eos else own(token))
        return met

    def _extensions(
        self, asked: Sequence[_Row], totals: Sequence[float], predicted: _Predicted, count: int
    ) -> Iterator[_Extension]:
        """The allowed extensions of the hypotheses of a sentence: the most probable of each, and those that
        are wanted. Of each hypothesis the best is kept, too (Post and Vilar, 2018, Section 3.1); one that
        the model would rather end goes on with what is wanted only.
        """
        for slot, one in enumerate(asked):
            named = predicted.named[one.first : one.first + len(one.named)]
            found = dict(zip(one.named, named, strict=True))
            end = found.pop(self._eos) if one.ending else -np.inf
            if one.exclusive and len(found) > count:
                likely = sorted(found, key=lambda token: (-found[token], token))[:count]
                found = {token: found[token] for token in {*likely, *(one.wanted & found.keys())}}
            elif not one.exclusive:
                best = predicted.tokens[one.row], predicted.values[one.row]
                if not found or end < max(best[1]):
                    found.update(zip(*best, strict=True))
            highest = max(found.values(), default=-np.inf)
            if highest > -np.inf:
                first = min([token for token, value in found.items() if value == highest])
                total, wanted = totals[slot], one.wanted
                for token, value in found.items():
                    if value > -np.inf:
                        yield -(total + value), slot, token, token == first or token in wanted


def _values(going: Sequence[_Extension], ended: Sequence[_Extension]) -> list[list[float]]:
    """As in `Extensions`."""
    return [
        [-cost for cost, _, _, _ in going],
        [token for _, _, token, _ in going],
        [slot for _, slot, _, _ in going],
        [-cost for cost, _, _, _ in ended],
        [slot for _, slot, _, _ in ended],
    ]


def _columns(pairs: Sequence[tuple[int, int]]) -> tuple[Integers, Integers]:
    rows, tokens = np.array(pairs, np.int64).reshape(-1, 2).T.copy()
    return rows, tokens


def _allocate(candidates: Sequence[int], met: Sequence[int], K: int) -> list[int]:
    """K candidates, best first: of each bank an equal number, or one more of those that meet most; then the
    best of the others.

    Args:
        candidates: their indices in `met`, best first.
        met: how much of the constraint each meets.
        K: how many.
    """
    if len(candidates) <= K:
        return list(candidates)
    banks: dict[int, list[int]] = {}
    for number in candidates:
        banks.setdefault(met[number], []).append(number)
    if len(banks) == 1:
        return list(candidates[:K])
    share, more = divmod(K, len(banks))
    chosen: set[int] = set()
    for rank, level in enumerate(sorted(banks, reverse=True)):
        chosen.update(banks[level][: share + (rank < more)])
    rest = (number for number in candidates if number not in chosen)
    chosen.update(number for number, _ in zip(rest, range(K - len(chosen)), strict=False))
    return sorted(chosen)
