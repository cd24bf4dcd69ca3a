"""Sampling: random translations, drawn token by token from the model's distribution (ancestral sampling).

The random numbers of a sentence come from the seed, its pieces and the number of the draw: see
`random_generators`. Results do not depend on the batch, the order of sentences, or how many draws there are.

Draws of a sentence that have the same tokens so far are in the same state, so they share a row: the model
computes as many rows as there are different beginnings, one for each sentence at the first step.

Shapes: B sentences, b of them active, D draws that go on, N rows, V vocabulary, H attention heads, S source
length.
"""

import hashlib
from collections.abc import Sequence
from typing import Generic

import numpy as np

from nmt.config.decoding import DecodingConfig
from nmt.decoding.constraint import ConstraintState, Except, Only
from nmt.decoding.hypothesis import Doubles, Hypothesis, dead_end_error, nan_error
from nmt.decoding.interface import (
    Attention,
    Booleans,
    Floats,
    Integers,
    Rows,
    SearchModel,
    SearchOptions,
    StateT,
)
from nmt.decoding.live import first_rows
from nmt.decoding.ranking import length_norms
from nmt.decoding.sources import Sources, Special
from nmt.decoding.tree import SearchTree
from nmt.decoding.truncation import check_sampling, draw, probabilities

_ROWS = 64  # whose distributions are in memory at a time


def random_generators(seed: int, source: Integers, draws: int) -> list[np.random.Generator]:
    """The random numbers of the draws of a sentence, one generator for each.

    Args:
        seed: at least 0.
        source: the sentence, as int64 tokens without padding.
        draws: their number; the generators of the first are the same for any.
    """
    digest = hashlib.sha256(source.astype("<i8").tobytes()).digest()
    words: list[int] = np.frombuffer(digest, dtype="<u4").tolist()
    return [np.random.default_rng([seed, number, *words]) for number in range(draws)]


class Sampler(Generic[StateT]):
    """Draws of sentences from the model's distribution over the allowed tokens, in progress. Sentences that
    are done are removed. The methods are those of `Search`.

    Args:
        model, sources, special, options: as for `beam_search`; `options.nbest` is the number of draws of each
            sentence.
        config: temperature, top-k, top-p, seed and lengths; the beam does not count.
        generators: of each sentence, one for each draw; None: as `random_generators` makes them.

    Raises:
        ConfigError: if a setting is out of range.
    """

    def __init__(
        self,
        model: SearchModel[StateT],
        sources: Sources,
        config: DecodingConfig,
        special: Special,
        options: SearchOptions,
        generators: Sequence[Sequence[np.random.Generator]] | None = None,
    ) -> None:
        check_sampling(config.sampling)
        self._model, self._config, self._special, self._limits = model, config, special, sources.limits
        B = len(sources.limits)
        if generators is None:
            given = [row[real] for row, real in zip(sources.tokens, sources.mask, strict=True)]
            generators = [random_generators(config.sampling.seed, row, options.nbest) for row in given]
        self._generators = [one for group in generators for one in group]
        self._sentence_of_draw = np.repeat(np.arange(B), [len(group) for group in generators])
        self._draws = [_Draw() for _ in self._generators]
        self._live = np.arange(len(self._draws))  # [D], by their number among those of all sentences
        self._row_of_draw = self._sentence_of_draw  # [D]
        self._sentences = np.arange(B)  # [b], those that the rows are of
        self._rows, self._steps = first_rows(B, special.bos, 1), 0
        self._cancelled: set[int] = set()
        self._constraints = options.constraints
        self._constraint_states: list[ConstraintState] = [  # of each row; None without a constraint
            self._constraints[i].start() if i in self._constraints else None for i in range(B)
        ]
        self._attention = _KeptAttention(np.isin(self._sentence_of_draw, list(options.attention)))
        if B:
            self._state = model.encode(sources.tokens, sources.mask)

    @property
    def active(self) -> list[int]:
        """The sentences that are not done."""
        found: list[int] = self._sentences.tolist()
        return found

    def step(self) -> list[int]:
        """One token of each draw that goes on; returns the sentences that are done.

        Raises:
            NmtError: if the model returns NaN, or probability zero for every token.
        """
        before = self._sentences
        found = self._model.step(self._state, self._rows)
        predicted = found.log_probabilities()
        if np.isnan(predicted).any():
            raise nan_error()
        allowed, possible = self._allowed(predicted)
        leaving = np.isin(self._sentence_of_draw, before[np.isin(before, list(self._cancelled))])
        self._give_up(np.flatnonzero(leaving), leaving[self._live])
        impossible = ~possible[self._row_of_draw]
        self._give_up(self._live[impossible], impossible)
        tokens = self._drawn(allowed)
        self._attention.append(self._live, self._row_of_draw, found.attention)
        values = predicted[self._row_of_draw, tokens]
        for number, token, value in zip(self._live.tolist(), tokens.tolist(), values.tolist(), strict=True):
            self._draws[number].append(token, value)
        self._state, self._steps = found.state, self._steps + 1
        ended = tokens == self._special.eos
        for number in self._live[ended].tolist():
            self._draws[number].finished = True
        on = ~ended & (self._limits[self._sentence_of_draw[self._live]] > self._steps)
        self._advance(on, tokens, predicted.shape[1])
        done: list[int] = np.setdiff1d(before, self._sentences).tolist()
        return done

    def cancel(self, sentence: int) -> None:
        """Remove a sentence in the next step; it has no hypotheses."""
        self._cancelled.add(sentence)

    def shared(self, sentence: int) -> list[int]:
        """The tokens with which the first hypothesis begins: of the first draw, all so far."""
        number = int(np.searchsorted(self._sentence_of_draw, sentence))
        one = self._draws[number]
        return one.tokens[: len(one.tokens) - one.finished]

    def hypotheses(self, sentences: Sequence[int]) -> list[list[Hypothesis]]:
        """The draws of each of these sentences, which are done, in order; without those that came to where
        the constraint allows no token. Log-probabilities are those of the model, at temperature 1 and not
        renormalised over what may be drawn; scores are divided by the length as in beam search.
        """
        norms = length_norms(int(self._limits.max(initial=1)), self._config)
        numbers = [np.flatnonzero(self._sentence_of_draw == sentence).tolist() for sentence in sentences]
        attention = self._attention.read([number for group in numbers for number in group])
        return [
            [
                self._draws[number].hypothesis(norms, attention.get(number))
                for number in group
                if self._draws[number].possible
            ]
            for group in numbers
        ]

    def tree(self, sentence: int) -> SearchTree:
        """Samples have no beam."""
        raise AssertionError("samples have no beam")

    def _give_up(self, draws: Integers, leaving: Booleans) -> None:
        """End draws that will be no hypotheses, by number; `leaving`, [D]: which of those that go on are."""
        for number in draws.tolist():
            self._draws[number].possible = False
        self._live, self._row_of_draw = self._live[~leaving], self._row_of_draw[~leaving]

    def _allowed(self, predicted: Floats) -> tuple[Floats, Booleans]:
        """Log-probabilities [N, V], minus infinity where a token is not allowed; and the rows, [N], with one
        that is.
        """
        special, sentences = self._special, self._sentences[self._rows.sentences].tolist()
        allowed = predicted.copy()
        allowed[:, sorted({*special.forbidden} | ({special.bos} - {special.eos}))] = -np.inf
        if self._steps < self._config.min_length:
            allowed[:, special.eos] = -np.inf
        if not (allowed.max(axis=1) > -np.inf).all():
            raise dead_end_error()
        for row, sentence in enumerate(sentences):
            if sentence not in self._constraints:
                continue
            choice = self._constraints[sentence].allowed(self._constraint_states[row])
            if isinstance(choice, Except):
                allowed[row, list(choice.tokens)] = -np.inf
            elif isinstance(choice, Only):
                only = list(choice.tokens)
                kept = allowed[row, only]
                allowed[row] = -np.inf
                allowed[row, only] = kept
        possible: Booleans = allowed.max(axis=1) > -np.inf
        return allowed, possible

    def _drawn(self, allowed: Floats) -> Integers:
        """The next token of each draw, [D]."""
        uniform = np.array([self._generators[number].random() for number in self._live.tolist()])
        tokens = np.zeros(len(uniform), np.int64)
        order = np.argsort(self._row_of_draw, kind="stable")
        rows, starts = np.unique(self._row_of_draw[order], return_index=True)
        members = np.split(order, starts[1:])
        for first in range(0, len(rows), _ROWS):
            some = rows[first : first + _ROWS]
            sums = probabilities(allowed[some], self._config.sampling).cumsum(axis=1, dtype=np.float64)
            for values, of_row in zip(sums, members[first : first + _ROWS], strict=True):
                tokens[of_row] = draw(values, uniform[of_row])
        return tokens

    def _advance(self, on: Booleans, tokens: Integers, V: int) -> None:
        """Make the rows of the next step: one for each different beginning of the draws that go `on`, [D]."""
        before = self._rows
        beginnings, row_of_draw = np.unique(self._row_of_draw[on] * V + tokens[on], return_inverse=True)
        parents, lasts = beginnings // V, beginnings % V
        counts = np.bincount(before.sentences[parents], minlength=len(before.counts))
        going = np.flatnonzero(counts)
        everything = len(going) == len(counts)
        self._sentences, counts = self._sentences[going], counts[going]
        self._live, self._row_of_draw = self._live[on], row_of_draw
        width = int(counts.max(initial=1))
        self._rows = Rows(lasts, parents, counts, None if everything else going, width)
        if self._constraints:
            sentences = self._sentences[self._rows.sentences].tolist()
            states = [self._constraint_states[parent] for parent in parents.tolist()]
            self._constraint_states = [
                self._constraints[sentence].advance(state, token) if sentence in self._constraints else None
                for sentence, state, token in zip(sentences, states, lasts.tolist(), strict=True)
            ]


class _Draw:
    """One draw: its tokens so far, EOS included, and their log-probabilities."""

    def __init__(self) -> None:
        self.tokens: list[int] = []
        self.values: list[float] = []
        self.finished, self.possible = False, True

    def append(self, token: int, value: float) -> None:
        self.tokens.append(token)
        self.values.append(value)

    def hypothesis(self, norms: Doubles, attention: Floats | None) -> Hypothesis:
        total, length = sum(self.values), len(self.tokens)
        score = total / float(norms[length - 1])
        tokens = self.tokens[: length - self.finished]
        return Hypothesis(tokens, self.values, total, score, attention, self.finished)


class _KeptAttention:
    """The attention of the draws for which it is wanted.

    Args:
        wanted: bool, of each draw of all sentences.
    """

    def __init__(self, wanted: Booleans) -> None:
        self._wanted = wanted
        self._kept: list[Attention] = []
        self._rows: dict[int, list[int]] = {number: [] for number in np.flatnonzero(wanted).tolist()}
        self._count = 0

    def append(self, live: Integers, row_of_draw: Integers, attention: Attention) -> None:
        """Keep those of a step: of the draws [D] and the row of each, [D]."""
        wanted = self._wanted[live]
        rows, where = np.unique(row_of_draw[wanted], return_inverse=True)
        if not len(rows):
            return
        self._kept.append(attention.select(rows))
        for number, place in zip(live[wanted].tolist(), where.tolist(), strict=True):
            self._rows[number].append(self._count + place)
        self._count += len(rows)

    def read(self, draws: Sequence[int]) -> dict[int, Floats]:
        """The attention of those of these draws for which it is wanted, [T, H, S], by their number."""
        wanted = [number for number in draws if self._rows.get(number)]
        if not wanted:
            return {}
        rows = np.array([row for number in wanted for row in self._rows[number]])
        read = self._kept[0].concatenate(self._kept[1:]).select(rows).numpy()
        parts = np.split(read, np.cumsum([len(self._rows[number]) for number in wanted])[:-1])
        return {number: part.copy() for number, part in zip(wanted, parts, strict=True)}
