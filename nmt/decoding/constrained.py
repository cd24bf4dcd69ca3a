"""Beam search with constraints: the extensions of the sentences that have any.

The slots of a sentence are shared among its hypotheses by how much of the constraint they meet: see
`nmt.decoding.allocation`. The other sentences of the batch are not affected.

Shapes: b active sentences, c of them constrained, K slots per sentence (the beam size), N rows (live
hypotheses), C candidates per row by their probability, L per sentence, M tokens asked for by name.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np

from nmt.decoding.allocation import choose
from nmt.decoding.arrays import gather
from nmt.decoding.beam import Extensions
from nmt.decoding.constraint import Constraint, Except, Only
from nmt.decoding.hypothesis import Doubles
from nmt.decoding.interface import Answer, Booleans, Integers, Query, Rows


class _Asked(NamedTuple):
    """What is asked for the constrained sentences.

    Attributes:
        indices: [c], which of the b sentences they are.
        rows: [c, K], the row of each slot; -1: it has none.
        named: rows and tokens that are candidates, [M] and [M], by row.
        wanted: [M], those that are candidates however improbable they are.
        exclusive: the rows in which no others are.
        ending: the rows in which EOS is asked for, too, though it is not allowed yet.
    """

    indices: Integers
    rows: Integers
    named: tuple[Integers, Integers]
    wanted: Booleans
    exclusive: Integers
    ending: Integers


class _Candidates(NamedTuple):
    """Extensions of hypotheses; every field is [c, L].

    Attributes:
        totals: log-probabilities; minus infinity: none.
        slots: of the parents.
        tokens: the last ones.
        wanted: those that stay candidates however many others are more probable.
    """

    totals: Doubles
    slots: Integers
    tokens: Integers
    wanted: Booleans

    def select(self, order: Integers) -> "_Candidates":
        """Select them by index, [c, L']."""
        return _Candidates(
            gather(self.totals, order),
            gather(self.slots, order),
            gather(self.tokens, order),
            gather(self.wanted, order),
        )


class Constrained:
    """The sentences of a search that have a constraint, with the state of each hypothesis.

    Args:
        constraints: by the number of the sentence.
        eos: the token that ends a sentence.
    """

    def __init__(self, constraints: Mapping[int, Constraint], eos: int) -> None:
        self._constraints, self._eos = constraints, eos
        self._states = {sentence: [one.start()] for sentence, one in constraints.items()}
        self._forcing = {sentence for sentence, one in constraints.items() if one.forces()}
        self._asked: _Asked | None = None

    def query(self, query: Query, sentences: Sequence[int], rows: Rows) -> Query:
        """`query` with what the constraints ask for.

        Args:
            query: the same for all rows.
            sentences: the number of each of the b sentences.
            rows: of this step.
        """
        banned = frozenset(query.banned.tolist())
        firsts = np.cumsum(rows.counts) - rows.counts
        indices: list[int] = []
        banned_rows: list[int] = []
        banned_tokens: list[int] = []
        named: list[int] = []  # row, token and whether it is wanted; no tuples, which are garbage to collect
        exclusive: list[int] = []
        ending: list[int] = []
        for index, sentence in enumerate(sentences):
            states = self._states.get(sentence, [])
            if all(state is None for state in states):
                continue
            indices.append(index)
            constraint, first = self._constraints[sentence], int(firsts[index])
            for row, state in enumerate(states[: rows.counts[index]], first):
                if state is None:
                    continue
                allowed, wanted = constraint.allowed(state), constraint.wanted(state)
                tokens: Collection[int] = wanted
                if isinstance(allowed, Except):
                    banned_rows += [row] * len(allowed.tokens)
                    banned_tokens += allowed.tokens
                    tokens = set(wanted).difference(allowed.tokens)
                    if self._eos in allowed.tokens and self._eos not in banned and sentence in self._forcing:
                        ending.append(row)
                elif isinstance(allowed, Only):
                    exclusive.append(row)
                    tokens = set(allowed.tokens)
                for token in tokens:
                    if token not in banned:
                        named += (row, token, token in wanted)
        columns = np.array(named, np.int64).reshape(-1, 3).T.copy()
        places = np.array(indices, np.int64)
        slots = np.arange(rows.width)
        self._asked = _Asked(
            places,
            np.where(slots < rows.counts[places][:, None], firsts[places][:, None] + slots, -1),
            (columns[0], columns[1]),
            columns[2].astype(np.bool_),
            np.array(exclusive, np.int64),
            np.array(ending, np.int64),
        )
        bans = np.array(banned_rows, np.int64), np.array(banned_tokens, np.int64)
        asked = (
            np.concatenate((columns[0], self._asked.ending)),
            np.concatenate((columns[1], np.full(len(ending), self._eos))),
        )
        return replace(query, bans=bans, named=asked)

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
        assert self._asked is not None
        indices, K = self._asked.indices, totals.shape[1]
        if not len(indices):
            return
        numbers = [sentences[index] for index in indices.tolist()]
        found = self._kept(_candidates(self._asked, totals[indices], answer, count), K)
        there = found.totals > -np.inf
        ended, going = choose(there, found.tokens == self._eos, self._met(numbers, found, there), K)
        first, last = _first(going, K), _first(ended, K)
        extensions.totals[indices] = np.where(first >= 0, gather(found.totals, first), -np.inf)
        extensions.tokens[indices] = np.where(first >= 0, gather(found.tokens, first), 0)
        extensions.origins[indices] = np.where(first >= 0, gather(found.slots, first), 0)
        extensions.ended[indices] = np.where(last >= 0, gather(found.totals, last), -np.inf)
        extensions.parents[indices] = np.where(last >= 0, gather(found.slots, last), 0)
        slots, tokens = extensions.origins[indices].tolist(), extensions.tokens[indices].tolist()
        for row, (number, alive) in enumerate(zip(numbers, (first >= 0).sum(axis=1).tolist(), strict=True)):
            constraint, states = self._constraints[number], self._states[number]
            self._states[number] = [
                None if states[slot] is None else constraint.advance(states[slot], token)
                for slot, token in zip(slots[row][:alive], tokens[row][:alive], strict=True)
            ]

    def _kept(self, found: _Candidates, K: int) -> _Candidates:
        """The 2K best of each sentence, the best of each hypothesis (Post and Vilar, 2018, Section 3.1) and
        those that are wanted; best first.
        """
        found = found.select(np.lexsort((found.tokens, found.slots, -found.totals)))
        kept = found.wanted.copy()
        kept[:, : 2 * K] = True
        for slot in range(K):
            best = (found.slots == slot).argmax(axis=1)
            kept[np.arange(len(best)), best] = True
        kept &= found.totals > -np.inf
        length = max(int(kept.sum(axis=1).max()), K)
        found = found._replace(totals=np.where(kept, found.totals, -np.inf))
        return found.select(np.argsort(~kept, axis=1, kind="stable")[:, :length])

    def _met(self, numbers: Sequence[int], found: _Candidates, there: Booleans) -> Integers:
        """How much of the constraint each of the candidates meets, [c, L]."""
        met = np.zeros(there.shape, np.int64)
        slots, tokens, counts = found.slots.tolist(), found.tokens.tolist(), there.sum(axis=1).tolist()
        for row, number in enumerate(numbers):
            constraint, states = self._constraints[number], self._states[number]
            usual = [constraint.usual_met(state) for state in states]
            after: dict[int, Callable[[int], int]] = {}
            values = []
            for slot, token in zip(slots[row][: counts[row]], tokens[row], strict=False):
                known = usual[slot]
                if known is not None and (known.unless is None or not known.unless[token]):
                    values.append(known.met)
                elif token == self._eos:
                    values.append(constraint.met(states[slot]))
                else:
                    if slot not in after:
                        after[slot] = constraint.met_after(states[slot])
                    values.append(after[slot](token))
            met[row, : len(values)] = values
        return met


def _candidates(asked: _Asked, totals: Doubles, answer: Answer, count: int) -> _Candidates:
    """The allowed extensions of the hypotheses of each sentence: the most probable of each, and what is
    wanted. A hypothesis that the model would rather end goes on with what is wanted only.

    Args:
        asked: what was asked for.
        totals: log-probabilities of the hypotheses, [c, K].
        answer: to it.
        count: as for `extend`.
    """
    (rows, tokens), M = asked.named, len(asked.wanted)
    best = answer.values.astype(np.float64)
    named = answer.named.astype(np.float64)
    numbers = np.bincount(rows, minlength=len(best))
    firsts = np.cumsum(numbers) - numbers
    best[asked.exclusive] = -np.inf
    ends = named[M:] >= best[asked.ending].max(axis=1, initial=-np.inf)
    best[asked.ending[ends & (numbers[asked.ending] > 0)]] = -np.inf
    best[np.isin(_keys(np.arange(len(best))[:, None], answer.tokens), _keys(rows, tokens))] = -np.inf
    for row in asked.exclusive[numbers[asked.exclusive] > count].tolist():
        own = slice(firsts[row], firsts[row] + numbers[row])
        likely = np.zeros(numbers[row], np.bool_)
        likely[np.lexsort((tokens[own], -named[own]))[:count]] = True
        named[own] = np.where(likely | asked.wanted[own], named[own], -np.inf)
    shape = (len(best), int(numbers.max(initial=0)))
    place = rows, np.arange(M) - firsts[rows]
    by_name, their_tokens, wanted = (
        np.full(shape, -np.inf),
        np.zeros(shape, np.int64),
        np.zeros(shape, np.bool_),
    )
    by_name[place], their_tokens[place], wanted[place] = named[:M], tokens, asked.wanted
    values = np.concatenate((best, by_name), axis=1)[asked.rows]
    values[asked.rows < 0] = -np.inf
    c, K, L = values.shape
    return _Candidates(
        (totals[:, :, None] + values).reshape(c, -1),
        np.broadcast_to(np.repeat(np.arange(K), L), (c, K * L)),
        np.concatenate((answer.tokens, their_tokens), axis=1)[asked.rows].reshape(c, -1),
        np.concatenate((np.zeros_like(best, np.bool_), wanted), axis=1)[asked.rows].reshape(c, -1),
    )


def _keys(rows: Integers, tokens: Integers) -> Integers:
    """A number for each token in a row."""
    return (rows << 32) | tokens


def _first(chosen: Booleans, K: int) -> Integers:
    """[c, K], the indices of the first K that are chosen, then -1."""
    order = np.argsort(~chosen, axis=1, kind="stable")[:, :K]
    found: Integers = np.where(gather(chosen, order), order, -1)
    return found


def constrained(constraints: Mapping[int, Constraint], eos: int) -> Constrained | None:
    """Those of the constraints that cannot be watched; None: there are none."""
    found = {number: one for number, one in constraints.items() if one.watch() is None}
    return Constrained(found, eos) if found else None
