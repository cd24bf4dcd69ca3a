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


class _Predicted(NamedTuple):
    """The answer to a query as lists: the best tokens of each row, their log-probabilities, and those of the
    tokens that were asked for by name.
    """

    tokens: list[list[int]]
    values: list[list[float]]
    named: list[float]


class _Candidate(NamedTuple):
    """One that can be chosen.

    Attributes:
        total, slot, token: as of the extension.
        met: how much of the constraint is met.
    """

    total: float
    slot: int
    token: int
    met: int


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
        for index, asked in self._asked.items():
            sentence = sentences[index]
            constraint, states = self._constraints[sentence], self._states[sentence]
            found = sorted(self._extensions(asked, totals[index].tolist(), predicted, count))
            candidates = self._candidates(
                constraint, states, found[: 2 * K] + [one for one in found[2 * K :] if one[3]]
            )
            ended: list[_Candidate] = []
            if any(one.token == self._eos for one in candidates):
                best = _allocate(candidates, K)
                ended = [one for one in best if one.token == self._eos]
                candidates = [one for one in (candidates if K > 1 else best) if one.token != self._eos]
            going = _allocate(candidates, K)
            self._states[sentence] = [
                None if states[one.slot] is None else constraint.advance(states[one.slot], one.token)
                for one in going
            ]
            _fill(extensions.totals[index], -np.inf, [one.total for one in going])
            _fill(extensions.tokens[index], 0, [one.token for one in going])
            _fill(extensions.origins[index], 0, [one.slot for one in going])
            _fill(extensions.ended[index], -np.inf, [one.total for one in ended])
            _fill(extensions.parents[index], 0, [one.slot for one in ended])

    def _candidates(
        self, constraint: Constraint, states: Sequence[ConstraintState], found: Sequence[_Extension]
    ) -> list[_Candidate]:
        """Extensions with what they meet."""
        return [
            _Candidate(
                -cost,
                slot,
                token,
                constraint.met(states[slot])
                if token == self._eos or states[slot] is None
                else constraint.met_after(states[slot], token),
            )
            for cost, slot, token, _ in found
        ]

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
            first = max(found, key=lambda token: (found[token], -token), default=None)
            total, wanted = totals[slot], one.wanted
            for token, value in found.items():
                if value > -np.inf:
                    yield -(total + value), slot, token, token == first or token in wanted


def _columns(pairs: Sequence[tuple[int, int]]) -> tuple[Integers, Integers]:
    rows, tokens = np.array(pairs, np.int64).reshape(-1, 2).T.copy()
    return rows, tokens


def _allocate(candidates: Sequence[_Candidate], K: int) -> list[_Candidate]:
    """K candidates, best first: of each bank an equal number, or one more of those that meet most; then the
    best of the others.
    """
    if len(candidates) <= K:
        return list(candidates)
    banks: dict[int, list[int]] = {}
    for number, one in enumerate(candidates):
        banks.setdefault(one.met, []).append(number)
    if len(banks) == 1:
        return list(candidates[:K])
    share, more = divmod(K, len(banks))
    chosen: set[int] = set()
    for rank, met in enumerate(sorted(banks, reverse=True)):
        chosen.update(banks[met][: share + (rank < more)])
    rest = (number for number in range(len(candidates)) if number not in chosen)
    chosen.update(number for number, _ in zip(rest, range(K - len(chosen)), strict=False))
    return [candidates[number] for number in sorted(chosen)]


def _fill(row: Doubles | Integers, empty: float, values: Sequence[float]) -> None:
    row[:] = empty
    row[: len(values)] = values
