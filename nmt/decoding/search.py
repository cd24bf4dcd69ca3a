"""Batched beam search over any model with the interface of `nmt.decoding.interface`.

The score is log-probability / norm(length), with EOS counted, plus a coverage penalty: see
`nmt.decoding.ranking`. At each step all live hypotheses are extended by all tokens. Those candidates
that end with EOS and are among the best K by log-probability are finished; the best K without EOS stay live.

The search of a sentence stops as soon as its result can no longer change. Log-probabilities only fall and
lengths only grow up to the maximum, so no extension of a live hypothesis scores above its
log-probability / norm(maximum length). A live hypothesis whose bound is no better than the n-th best finished
score is given up: neither it nor anything that takes its place in the beam can be among the n best. When none
is live the sentence is removed from the batch. If a sentence reaches its maximum length with fewer than n
finished hypotheses, its best live ones are appended after the finished ones, regardless of score, so that a
larger n never changes the first results.

This bound is loose: the maximum length is several times that of the source, and most steps only confirm a
result found long before. With a lookahead of L, the length in the bound is at most L tokens more than now: a
hypothesis is given up if L certain tokens would not make it win. A result can then differ from that of the
exact search only if the better translation is longer by more than L tokens. (Stopping at the current length,
L = 0, is a common heuristic; it changes many results.) With a patience of p (Kasai et al. 2022), a sentence
is also done when p·K of its hypotheses have ended. One whose hypotheses repeat themselves without end is
given up, as at the maximum length: see `nmt.decoding.repeating`.

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
from nmt.decoding.constrained import Constrained
from nmt.decoding.distinct import DistinctTexts
from nmt.decoding.hypothesis import BackPointer, Doubles, History, Hypothesis, dead_end_error
from nmt.decoding.interface import (
    Answer,
    Booleans,
    Integers,
    Query,
    Rows,
    SearchModel,
    SearchOptions,
    StateT,
)
from nmt.decoding.live import first_rows, next_rows, padded
from nmt.decoding.ranking import Ranking, check_search
from nmt.decoding.repeating import Loops
from nmt.decoding.sources import Sources, Special
from nmt.decoding.tree import SearchTree, TreeRecorder

_MARGIN = 4.0
"""Where a constraint forces tokens, a hypothesis is given up whose log-probability is this much below that of
the n-th best finished one."""


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
        self._ranking = Ranking(config, sources.mask, int(sources.limits.max(initial=0)))
        self._sentences, self._rows = np.arange(B), first_rows(B, special.bos, K)
        self._beams = Beams.start(sources.limits, special.bos, K, options.nbest)
        if config.coverage_penalty:
            self._beams = replace(self._beams, received=np.zeros((B, K, sources.mask.shape[1])))
        # As many candidates per hypothesis as slots, and one, as one of them may be EOS.
        count, banned = K + (K > 1), {*special.forbidden} | ({special.bos} - {special.eos})
        self._query = Query(count, _array(banned), attention=config.coverage_penalty > 0)
        self._too_short = replace(self._query, banned=_array({*banned, special.eos}))
        self._history = History(B, options.attention)
        self._results: dict[int, list[BackPointer]] = {}
        self._cancelled: set[int] = set()
        self._constrained = Constrained(options.constraints, special.eos) if options.constraints else None
        forcing = [sentence for sentence, one in options.constraints.items() if one.forces()]
        self._patience = np.full(B, np.inf if config.patience is None else config.patience)
        self._patience[forcing] = np.minimum(self._patience[forcing], 1.0)
        self._margins = np.full(B, np.inf)
        self._margins[forcing] = _MARGIN
        self._loops = Loops(sources, config, self._history, forcing)
        self._distinct = DistinctTexts(options.text, self._history) if options.text else None
        self._recorder = TreeRecorder(options.trace, special.eos) if options.trace else None
        if B:
            self._state = model.encode(sources.tokens, sources.mask)

    @property
    def active(self) -> list[int]:
        """The sentences that are not done."""
        found: list[int] = self._sentences.tolist()
        return found

    def step(self) -> list[int]:
        """One step of all active sentences; returns those that are done.

        Raises:
            NmtError: if the model returns NaN, or probability zero for every token.
        """
        rows, sentences = self._rows, self.active
        found = self._model.step(self._state, rows)
        query = self._too_short if self._steps < self._config.min_length else self._query
        if self._constrained:
            query = self._constrained.query(query, sentences, rows)
        answer = found.read(query)
        extensions = self._beams.extensions(*padded(answer, rows), self._special.eos)
        if self._constrained:
            self._constrained.extend(extensions, self._beams.totals, answer, sentences, query.count)
        scores = self._advance(extensions, answer)
        self._history.append(self._sentences, extensions.tokens, extensions.origins, extensions.totals)
        self._history.keep_attention(self._sentences, found.attention, rows.counts)
        counts = self._live().sum(axis=1)
        counts[self._loops.rows(self._steps + 1, self._sentences, counts)] = 0
        if self._cancelled:
            counts[np.isin(self._sentences, list(self._cancelled))] = 0
        if self._recorder:
            self._recorder.append(self._steps, sentences, extensions, scores, counts)
        done = [] if counts.all() else self._leave(np.flatnonzero(counts == 0))
        self._state = found.state
        self._go_on(next_rows(rows, extensions.tokens, extensions.origins, counts))
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
        row, beams, last = self.active.index(sentence), self._beams, self._steps - 1
        if last < 0:
            return []
        pointers = [
            BackPointer(sentence, last, slot, False, 0.0, 0.0) for slot in range(int(self._rows.counts[row]))
        ]
        if beams.finished.scores[row, 0] > -np.inf:
            step, slot = int(beams.finished.steps[row, 0]), int(beams.finished.slots[row, 0])
            pointers.append(BackPointer(sentence, step, slot, True, 0.0, 0.0))
        return self._history.common(pointers)

    def hypotheses(self, sentences: Sequence[int]) -> list[list[Hypothesis]]:
        """The n best hypotheses of each of these sentences, which are done."""
        groups = [self._results[sentence] for sentence in sentences]
        found = iter(self._history.hypotheses([one for group in groups for one in group]))
        return [[next(found) for _ in group] for group in groups]

    def tree(self, sentence: int) -> SearchTree:
        """The beam of a sentence, which is done and whose trace is kept."""
        assert self._recorder is not None
        return self._recorder.tree(sentence, self._results[sentence])

    def _advance(self, extensions: Extensions, answer: Answer) -> Doubles:
        """Replace the beams by all hypotheses of `extensions`; returns the scores of those that end."""
        beams, step, received, behind = self._beams, self._steps, None, None
        if beams.received is not None:
            index = np.arange(len(beams.received))[:, None]
            received = self._received(beams.received, answer)
            behind, received = received[index, extensions.parents], received[index, extensions.origins]
        scores = self._ranking.scores(extensions.ended, step, behind, self._sentences)
        finished, ended = beams.finished, extensions.ended
        if self._distinct:
            finished, kept = self._distinct.drop(finished, scores, extensions.parents, step, self.active)
            finished = finished.with_more(
                np.where(kept > -np.inf, ended, kept), kept, step, extensions.parents
            )
        else:
            finished = finished.with_more(ended, scores, step, extensions.parents)
        count = beams.ended + (ended > -np.inf).sum(axis=1)
        self._beams = Beams(extensions.tokens, extensions.totals, beams.limits, finished, count, received)
        return scores

    def _received(self, before: Doubles, answer: Answer) -> Doubles:
        """The attention that the source has received after this step, [b, K, S]."""
        assert answer.attention is not None
        received = before.copy()
        received[np.arange(self._rows.width) < self._rows.counts[:, None]] += answer.attention
        return received

    def _live(self) -> Booleans:
        """[b, K]: the hypotheses to go on with; always the first ones of a sentence."""
        beams, config, length = self._beams, self._config, self._steps + 1
        going, longest = (beams.limits > length)[:, None], beams.limits
        if config.beam_size == 1:
            return (beams.totals > -np.inf) & going
        if config.lookahead is not None:
            longest = np.minimum(longest, length + config.lookahead)
        # The bound and the scores are both divided by entries of `norms`, so rounding keeps their order. No
        # coverage penalty is above 0.
        bound = beams.totals / self._ranking.norms[longest - 1][:, None]
        going &= (beams.ended < self._patience[self._sentences] * config.beam_size)[:, None]
        if self._constrained:
            least = beams.finished.totals[:, -1:] - self._margins[self._sentences][:, None]
            going = going & (beams.totals > least)
        live: Booleans = (bound > beams.finished.scores[:, -1:]) & going
        return live

    def _go_on(self, rows: Rows) -> None:
        """Go on with these rows."""
        self._rows, self._steps = rows, self._steps + 1
        if rows.going is not None:
            self._sentences = self._sentences[rows.going]
            self._beams = self._beams.select(rows.going)
        if rows.slots is not None:
            self._beams = self._beams.without(np.arange(rows.width) >= rows.counts[:, None])

    def _leave(self, rows: Integers) -> list[int]:
        """Keep the results of the sentences in these rows, which are done: the n best of each, the finished
        ones, then, if there are fewer than n, the best live ones.

        Raises:
            NmtError: if a sentence without constraint has neither.
        """
        beams, sentences, step = self._beams.select(rows), self._sentences[rows], self._steps
        scores = self._ranking.scores(beams.totals, step, beams.received, sentences)
        done: list[int] = sentences.tolist()
        for row, sentence in enumerate(done):
            group = [*beams.finished.pointers(row, sentence), *_truncated(beams, scores, row, sentence, step)]
            if sentence in self._cancelled:
                group = []
            elif not group and sentence not in self._options.constraints:
                raise dead_end_error()
            if self._distinct:
                group = self._distinct.first_of_each(group)
            self._results[sentence] = group[: self._options.nbest]
        return done


def _array(tokens: set[int]) -> Integers:
    return np.array(sorted(tokens), np.int64)


def _truncated(beams: Beams, scores: Doubles, row: int, sentence: int, step: int) -> list[BackPointer]:
    """The live hypotheses of a sentence, best first."""
    columns = zip(beams.totals[row].tolist(), scores[row].tolist(), strict=True)
    found = [
        BackPointer(sentence, step, slot, False, total, score)
        for slot, (total, score) in enumerate(columns)
        if total > -np.inf
    ]
    return sorted(found, key=lambda one: -one.score)
