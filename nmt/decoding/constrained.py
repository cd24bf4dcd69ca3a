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
    """

    row: int
    named: Sequence[int]
    first: int
    wanted: frozenset[int]
    exclusive: bool


_Extension = tuple[float, int, int, bool]
"""An extension of a hypothesis: minus its log-probability, the slot of its parent, the token, and whether it
stays a candidate however many others are more probable. They sort from the best one."""


class _Candidate(NamedTuple):
    """One that can be chosen.

    Attributes:
        total, slot, token: as of the extension.
        state: of the constraint after it; with EOS before it.
        met: how much of the constraint is met.
    """

    total: float
    slot: int
    token: int
    state: ConstraintState
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
            for slot in range(int(rows.counts[index])):
                state, row = self._states[sentence][slot], firsts[index] + slot
                allowed, wanted = constraint.allowed(state), frozenset(constraint.wanted(state)) - banned
                if isinstance(allowed, Except):
                    banned_rows += [row] * len(allowed.tokens)
                    banned_tokens += allowed.tokens
                    wanted = wanted.difference(allowed.tokens) if wanted else wanted
                tokens = frozenset(allowed.tokens) - banned if isinstance(allowed, Only) else wanted
                asked.append(_Row(row, sorted(tokens), len(named), wanted, isinstance(allowed, Only)))
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
        for index, asked in self._asked.items():
            sentence = sentences[index]
            found = sorted(self._extensions(asked, totals[index].tolist(), answer, count))
            candidates = self._candidates(
                sentence, found[: 2 * K] + [one for one in found[2 * K :] if one[3]]
            )
            best = _allocate(candidates, K)
            ended = [one for one in best if one.token == self._eos]
            others = [one for one in (candidates if K > 1 else best) if one.token != self._eos]
            going = _allocate(others, K)
            self._states[sentence] = [one.state for one in going]
            _fill(extensions.totals[index], -np.inf, [one.total for one in going])
            _fill(extensions.tokens[index], 0, [one.token for one in going])
            _fill(extensions.origins[index], 0, [one.slot for one in going])
            _fill(extensions.ended[index], -np.inf, [one.total for one in ended])
            _fill(extensions.parents[index], 0, [one.slot for one in ended])

    def _candidates(self, sentence: int, found: Sequence[_Extension]) -> list[_Candidate]:
        """Extensions with what they meet."""
        constraint, states = self._constraints[sentence], self._states[sentence]
        candidates = []
        for cost, slot, token, _ in found:
            after = states[slot] if token == self._eos else constraint.advance(states[slot], token)
            candidates.append(_Candidate(-cost, slot, token, after, constraint.met(after)))
        return candidates

    def _extensions(
        self, asked: Sequence[_Row], totals: Sequence[float], answer: Answer, count: int
    ) -> Iterator[_Extension]:
        """The allowed extensions of the hypotheses of a sentence: the most probable of each, and those that
        are wanted. Of each hypothesis the best is kept, too (Post and Vilar, 2018, Section 3.1).
        """
        for slot, one in enumerate(asked):
            values = answer.named[one.first : one.first + len(one.named)].astype(np.float64).tolist()
            found = dict(zip(one.named, values, strict=True))
            if one.exclusive and len(found) > count:
                likely = sorted(found, key=lambda token: (-found[token], token))[:count]
                found = {token: found[token] for token in {*likely, *(one.wanted & found.keys())}}
            elif not one.exclusive:
                best = answer.tokens[one.row].tolist(), answer.values[one.row].astype(np.float64).tolist()
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
