"""Batched beam search over any model with the interface of `nmt.decoding.interface`.

The score is log-probability / norm(length), with EOS counted, plus a coverage penalty: see
`nmt.decoding.ranking`. At each step all live hypotheses are extended by all tokens. Those candidates
that end with EOS and are among the best K by log-probability are finished; the best K without EOS stay live.

The search of a sentence stops as soon as its result can no longer change: see `nmt.decoding.pruning`. Then
the sentence is removed from the batch. If it reaches its maximum length with fewer than n finished
hypotheses, its best live ones are appended after the finished ones, regardless of score, so that a larger n
never changes the first results.

One whose hypotheses repeat themselves without end is given up, as at the maximum length: see
`nmt.decoding.repeating`. A sentence with a constraint may have two searches, with it and without: see
`nmt.decoding.branches`.

With beam size 1 this is greedy search, whatever the score: the first EOS ends it. Ties are broken by the
parent's rank, then by the lower token index, and between finished hypotheses by the earlier one.

Shapes: B sentences, b of them active, K slots per sentence (the beam size), n best requested, N rows (live
hypotheses), S source length.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Generic

import numpy as np

from nmt.config.decoding import DecodingConfig
from nmt.decoding.beam import Beams, Extensions
from nmt.decoding.branches import Branches
from nmt.decoding.constrained import constrained
from nmt.decoding.distinct import DistinctTexts
from nmt.decoding.hypothesis import BackPointer, Doubles, History, Hypothesis, dead_end_error
from nmt.decoding.interface import Answer, Integers, Query, Rows, SearchModel, SearchOptions, StateT
from nmt.decoding.live import first_rows, next_rows, padded
from nmt.decoding.pruning import Pruning
from nmt.decoding.ranking import Ranking, check_search
from nmt.decoding.repeating import Loops
from nmt.decoding.sources import Sources, Special
from nmt.decoding.tree import SearchTree, TreeRecorder
from nmt.decoding.watched import watched


def beam_search(
    model: SearchModel[StateT],
    sources: Sources,
    config: DecodingConfig,
    special: Special,
    options: SearchOptions,
) -> list[list[Hypothesis]]:
    """Beam search: the n best hypotheses found for each sentence.

    Args:
        model: the model that predicts the next token.
        sources: B sentences.
        config: beam size, scores and when to stop.
        special: special tokens.
        options: what else is wanted.

    Returns:
        For each sentence 1 to n hypotheses, best first; fewer than n only if no more have a probability
        above zero; none if its constraint allows none.

    Raises:
        ConfigError: if a setting is out of range.
        NmtError: if the model returns NaN, or probability zero for every token.
    """
    search = Search(model, sources, config, special, options)
    while search.active:
        search.step()
    return search.hypotheses(range(len(sources.limits)))


class Search(Generic[StateT]):
    """A beam search in progress, of which the sentences that are done are removed.

    Args:
        model, sources, config, special, options: as for `beam_search`.
    """

    def __init__(
        self,
        model: SearchModel[StateT],
        sources: Sources,
        config: DecodingConfig,
        special: Special,
        options: SearchOptions,
    ) -> None:
        check_search(config, options.nbest, model.heads)
        self._model, self._config, self._special, self._options = model, config, special, options
        self._steps = 0
        B, K = len(sources.limits), config.beam_size
        self._branches = Branches(B, options, lambda pointer: self._history.tokens(pointer))
        self._sentence_of = self._branches.sentence_of
        self._limits = sources.limits[self._sentence_of]
        shape = len(self._limits), K, int(self._limits.max(initial=0))
        self._constrained = constrained(options.constraints, special.eos)
        self._watched = watched(options.constraints, self._branches.constrained, shape, special.eos)
        self._searches, self._rows = np.arange(B), first_rows(B, special.bos, K)
        self._ranking = Ranking(config, sources.mask, shape[2])
        self._beams = Beams.start(sources.limits, special.bos, K, options.nbest)
        if config.coverage_penalty:
            self._beams = replace(self._beams, received=np.zeros((B, K, sources.mask.shape[1])))
        # As many candidates per hypothesis as slots, and one, as one of them may be EOS.
        count, banned = K + (K > 1), {*special.forbidden} | ({special.bos} - {special.eos})
        self._query = Query(count, _array(banned), attention=config.coverage_penalty > 0)
        self._too_short = replace(self._query, banned=_array({*banned, special.eos}))
        self._history = History(self._sentence_of, options.attention)
        self._results: dict[int, list[BackPointer]] = {}
        self._cancelled: set[int] = set()
        constraints = {self._branches.constrained[number]: one for number, one in options.constraints.items()}
        self._pruning = Pruning(config, self._ranking.norms, len(self._limits), constraints)
        lengths = sources.mask.sum(axis=1)[self._sentence_of]
        self._loops = Loops(lengths, config, self._history, self._pruning.forcing)
        self._distinct = DistinctTexts(options.text, self._history) if options.text else None
        traced = [number for number, one in enumerate(self._sentence_of.tolist()) if one in options.trace]
        self._recorder = TreeRecorder(traced, special.eos) if options.trace else None
        if B:
            self._state = model.encode(sources.tokens, sources.mask)

    @property
    def active(self) -> list[int]:
        """The sentences that are not done."""
        found: list[int] = np.unique(self._sentence_of[self._searches]).tolist()
        return found

    def step(self) -> list[int]:
        """One step of all active sentences; returns those that are done.

        Raises:
            NmtError: if the model returns NaN, or probability zero for every token.
        """
        rows, searches, origins = self._rows, self._searches, None
        found = self._model.step(self._state, rows)
        query = plain = self._too_short if self._steps < self._config.min_length else self._query
        if self._constrained:
            query = self._constrained.query(plain, searches.tolist(), rows)
        answer = found.read(query)
        extensions = self._beams.extensions(*padded(answer, rows), self._special.eos)
        received = self._received(answer)
        self._history.keep_attention(searches, found.attention, rows.counts)
        if self._constrained:
            self._constrained.extend(extensions, self._beams.totals, answer, searches.tolist(), query.count)
        if self._watched:
            extensions, origins, begun = self._watched.follow(
                found, plain, rows, self._beams, searches, extensions
            )
            if origins is not None:
                received = self._branch(origins, begun, received)
        scores = self._advance(extensions, received)
        self._history.append(self._searches, extensions.tokens, extensions.origins, extensions.totals)
        counts = self._going_on()
        if self._recorder:
            self._recorder.append(self._steps, self._searches.tolist(), extensions, scores, counts)
        done = [] if counts.all() else self._leave(counts)
        self._state = found.state
        self._go_on(next_rows(rows, extensions.tokens, extensions.origins, counts, origins), counts)
        return done

    def cancel(self, sentence: int) -> None:
        """Remove a sentence in the next step; it has no hypotheses."""
        self._cancelled.add(sentence)

    def shared(self, sentence: int) -> list[int]:
        """The tokens with which the best hypothesis will begin: those that the live hypotheses and the best
        finished one have in common; all of them if the sentence is done.
        """
        if sentence in self._results:
            best = self._results[sentence][:1]
            return self._history.tokens(best[0]) if best else []
        if not self._steps:
            return []
        return self._history.common(
            [one for number in self._branches.open(sentence) for one in self._possible(number)]
        )

    def _possible(self, number: int) -> list[BackPointer]:
        """The hypotheses that the best one of a search will be or begin with."""
        left = self._branches.left(number)
        if left is not None:
            return left[:1]
        row = self._searches.tolist().index(number)
        slots = np.arange(self._rows.counts[row])
        best = self._beams.finished.pointers(row, number)[:1]
        if self._watched and self._branches.is_contested(number):
            slots = slots[~self._watched.broken(number)[slots]]
            best = [one for one in best if self._branches.is_met_by(number, one)]
        last = self._steps - 1
        return [*(BackPointer(number, last, slot, False, 0.0, 0.0) for slot in slots.tolist()), *best]

    def hypotheses(self, sentences: Sequence[int]) -> list[list[Hypothesis]]:
        """The n best hypotheses of each of these sentences, which are done."""
        groups = [self._results[sentence] for sentence in sentences]
        found = iter(self._history.hypotheses([one for group in groups for one in group]))
        return [[next(found) for _ in group] for group in groups]

    def tree(self, sentence: int) -> SearchTree:
        """The beam of a sentence, which is done and whose trace is kept."""
        assert self._recorder is not None
        number = self._branches.chosen[sentence]
        return self._recorder.tree(number, self._branches.left(number) or [])

    def _branch(self, origins: Integers, begun: list[int], received: Doubles | None) -> Doubles | None:
        """Go on with the searches that begin in this step, too.

        Args:
            origins: [b'], the search, by index, whose hypotheses each extends.
            begun: the numbers of those that begin.
            received: the attention that the source has received, [b, K, S].
        """
        self._searches = np.concatenate((self._searches, np.array(begun, np.int64)))
        limits = self._limits[self._searches]
        self._beams = replace(self._beams.select(origins), limits=limits)
        self._branches.begin(begun)
        if self._recorder:
            for number in begun:
                self._recorder.branch(int(self._sentence_of[number]), number)
        return None if received is None else received[origins]

    def _advance(self, extensions: Extensions, received: Doubles | None) -> Doubles:
        """Replace the beams by all hypotheses of `extensions`; returns the scores of those that end.

        Args:
            extensions: of all searches.
            received: the attention that the source has received after this step, [b, K, S].
        """
        beams, step, behind = self._beams, self._steps, None
        if received is not None:
            index = np.arange(len(received))[:, None]
            behind, received = received[index, extensions.parents], received[index, extensions.origins]
        scores = self._ranking.scores(extensions.ended, step, behind, self._sentence_of[self._searches])
        finished, ended = beams.finished, extensions.ended
        if self._distinct:
            searches = self._searches.tolist()
            finished, kept = self._distinct.drop(finished, scores, extensions.parents, step, searches)
            finished = finished.with_more(
                np.where(kept > -np.inf, ended, kept), kept, step, extensions.parents
            )
        else:
            finished = finished.with_more(ended, scores, step, extensions.parents)
        count = beams.ended + (ended > -np.inf).sum(axis=1)
        self._beams = Beams(extensions.tokens, extensions.totals, beams.limits, finished, count, received)
        return scores

    def _received(self, answer: Answer) -> Doubles | None:
        """The attention that the source has received after this step, [b, K, S]; None: it does not count."""
        if self._beams.received is None:
            return None
        assert answer.attention is not None
        received = self._beams.received.copy()
        received[np.arange(self._rows.width) < self._rows.counts[:, None]] += answer.attention
        return received

    def _going_on(self) -> Integers:
        """[b], the number of hypotheses of each search to go on with."""
        live = self._pruning.live(self._beams, self._searches, self._steps + 1)
        counts: Integers = live.sum(axis=1)
        counts[self._loops.rows(self._steps + 1, self._searches, counts)] = 0
        if self._cancelled:
            counts[np.isin(self._sentence_of[self._searches], list(self._cancelled))] = 0
        if self._watched is None:
            return counts
        hope = (live & ~self._watched.broken(self._searches)).any(axis=1)
        for row in np.flatnonzero(~hope & (counts > 0)).tolist():  # no result can be as the constraint says
            number = int(self._searches[row])
            best = self._beams.finished.pointers(row, number)[:1]
            if not any(self._branches.is_met_by(number, one) for one in best):
                self._branches.leave(number, [])
                counts[row] = 0
        return counts

    def _go_on(self, rows: Rows, counts: Integers) -> None:
        """Go on with these rows, so many of each search."""
        self._rows, self._steps = rows, self._steps + 1
        if not counts.all():
            going = np.flatnonzero(counts)
            self._searches, self._beams = self._searches[going], self._beams.select(going)
        if rows.slots is not None:
            self._beams = self._beams.without(np.arange(rows.width) >= rows.counts[:, None])

    def _leave(self, counts: Integers) -> list[int]:
        """Keep the results of the searches that are done, those with `counts` of 0: the n best of each, the
        finished ones, then, if there are fewer than n, the best live ones. Returns the sentences that are
        done, of which no other search goes on.

        Raises:
            NmtError: if a search without constraint has neither.
        """
        rows, step = np.flatnonzero(counts == 0), self._steps
        beams, searches = self._beams.select(rows), self._searches[rows]
        sentences = self._sentence_of[searches]
        scores = self._ranking.scores(beams.totals, step, beams.received, sentences)
        for row, number in enumerate(searches.tolist()):
            group = [*beams.finished.pointers(row, number), *beams.truncated(scores, row, number, step)]
            if int(sentences[row]) in self._cancelled:
                group = []
            elif not group and not self._branches.follows(number):
                raise dead_end_error()
            if self._distinct:
                group = self._distinct.first_of_each(group)
            if self._branches.left(number) is None:
                self._branches.leave(number, group)
        done = []
        for sentence in np.unique(sentences).tolist():
            result = self._branches.result(sentence)
            if result is not None:
                self._results[sentence] = result
                done.append(sentence)
        counts[np.isin(self._sentence_of[self._searches], done)] = 0
        return done


def _array(tokens: set[int]) -> Integers:
    return np.array(sorted(tokens), np.int64)
