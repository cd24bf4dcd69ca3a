"""Batched beam search over any model with the interface of `nmt.decoding.interface`.

The score is log-probability / norm(length), with EOS counted, plus a coverage penalty: see
`nmt.decoding.ranking`. At each step all live hypotheses are extended by all tokens. Of these candidates, those
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
is also done when p·K of its hypotheses have ended.

With beam size 1 this is greedy search, whatever the score: the first EOS ends it. Ties are broken by the
parent's rank, then by the lower token index, and between finished hypotheses by the earlier one.

Shapes: B sentences, b of them active, K slots per sentence (the beam size), n best requested, N rows (live
hypotheses), S source length.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, Generic, NamedTuple

import numpy as np

from nmt.config.decoding import DecodingConfig
from nmt.decoding.beam import Beams, Extensions, gather
from nmt.decoding.hypothesis import BackPointer, Doubles, History, Hypothesis, dead_end_error
from nmt.decoding.interface import (
    Answer,
    Booleans,
    Integers,
    Query,
    SearchModel,
    SearchOptions,
    StateT,
    Step,
)
from nmt.decoding.live import first_rows, next_rows, padded
from nmt.decoding.ranking import check_search, coverage_scores, length_norms


class Special(NamedTuple):
    """Special tokens.

    Attributes:
        bos: every sentence starts with it; never part of a hypothesis.
        eos: ends a sentence.
        forbidden: other tokens that must not be generated, such as padding.
    """

    bos: int
    eos: int
    forbidden: Sequence[int] = ()


class Sources(NamedTuple):
    """Sentences to translate.

    Attributes:
        tokens: [B, S]; each sentence ends with end-of-sentence.
        mask: [B, S].
        limits: [B], maximum lengths of the translations in tokens, EOS included; at least 1.
    """

    tokens: Integers
    mask: Booleans
    limits: Integers


Choose = Callable[[Step[Any], Query, Integers], Answer]
"""Chooses the candidates of a step, from its predictions, a query, and the sentence of each row [N]."""


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
    """A beam search in progress; `beam_search` says what the arguments are.

    Sentences that are done are removed from the batch.
    """

    def __init__(
        self,
        model: SearchModel[StateT],
        sources: Sources,
        config: DecodingConfig,
        special: Special,
        options: SearchOptions,
        choose: Choose | None = None,
    ) -> None:
        check_search(config, options.nbest, model.heads)
        self._model, self._config, self._special, self._options = model, config, special, options
        self._choose = choose or _best
        B, K = len(sources.limits), config.beam_size
        self._norms = length_norms(int(sources.limits.max()) if B else 0, config)
        self._sentences = np.arange(B)
        self._beams = Beams.start(sources.limits, special.bos, K, options.nbest)
        self._history = History(B, options.attention)
        self._results: dict[int, list[BackPointer]] = {}
        self._rows, self._steps = first_rows(B, special.bos, K), 0
        if B:
            self._state = model.encode(sources.tokens, sources.mask)
        if config.coverage_penalty:
            self._beams = replace(self._beams, received=np.zeros((B, K, sources.mask.shape[1])))
            pieces = np.arange(sources.mask.shape[1]) < sources.mask.sum(axis=1)[:, None] - 1  # without EOS
            self._pieces: Booleans = pieces

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
        rows, sentences = self._rows, self._sentences
        found = self._model.step(self._state, rows)
        answer = self._choose(found, self._query(), sentences[rows.sentences])
        extensions = self._beams.extensions(*padded(answer, rows), self._special.eos)
        self._beams = self._advance(extensions, answer)
        self._history.append(sentences, extensions.tokens, extensions.origins, extensions.totals)
        self._history.keep_attention(sentences, found.attention, rows.counts)
        counts = self._live().sum(axis=1)
        done = self._leave(np.flatnonzero(counts == 0))
        self._state = found.state
        self._rows = next_rows(rows, extensions.tokens, extensions.origins, counts)
        if self._rows.going is not None:
            self._sentences = sentences[self._rows.going]
            self._beams = self._beams.select(self._rows.going)
        self._beams = self._beams.without(np.arange(rows.width) >= self._rows.counts[:, None])
        self._steps += 1
        return done

    def hypotheses(self, sentences: Sequence[int]) -> list[list[Hypothesis]]:
        """The n best hypotheses of each of these sentences, which are done."""
        groups = [self._results[sentence] for sentence in sentences]
        found = iter(self._history.hypotheses([one for group in groups for one in group]))
        return [[next(found) for _ in group] for group in groups]

    def _query(self) -> Query:
        """What is asked of the predictions of this step."""
        special, config = self._special, self._config
        banned = {*special.forbidden} | ({special.bos} - {special.eos})
        if self._steps < config.min_length:
            banned.add(special.eos)
        # As many candidates per hypothesis as slots, and one, as one of them may be EOS.
        count = config.beam_size + 1 if config.beam_size > 1 else 1
        return Query(count, np.array(sorted(banned), np.int64), attention=config.coverage_penalty > 0)

    def _advance(self, extensions: Extensions, answer: Answer) -> Beams:
        """The beams after this step, with all hypotheses of `extensions`."""
        beams, norm = self._beams, self._norms[self._steps]
        scores, received = extensions.ended / norm, None
        if beams.received is not None:
            received = self._received(answer)
            scores += gather(self._coverage(received), extensions.parents)
            received = received[np.arange(len(received))[:, None], extensions.origins]
        finished = beams.finished.with_more(extensions.ended, scores, self._steps, extensions.parents)
        ended = beams.ended + (extensions.ended > -np.inf).sum(axis=1)
        return Beams(extensions.tokens, extensions.totals, beams.limits, finished, ended, received)

    def _received(self, answer: Answer) -> Doubles:
        """The attention that the source has received after this step, [b, K, S]."""
        assert self._beams.received is not None
        assert answer.attention is not None
        received = self._beams.received.copy()
        received[np.arange(self._rows.width) < self._rows.counts[:, None]] += answer.attention
        return received

    def _coverage(self, received: Doubles) -> Doubles:
        pieces = self._pieces[self._sentences][:, None]
        return coverage_scores(received, pieces, self._config.coverage_penalty)

    def _live(self) -> Booleans:
        """[b, K]: the hypotheses to go on with; always the first ones of a sentence."""
        beams, config, length = self._beams, self._config, self._steps + 1
        longest = beams.limits
        if config.lookahead is not None:
            longest = np.minimum(longest, length + config.lookahead)
        # The bound and the scores are both divided by entries of `norms`, so rounding keeps their order.
        bound = beams.totals / self._norms[longest - 1][:, None]
        going = beams.limits > length
        if config.patience is not None:
            going &= beams.ended < config.patience * config.beam_size
        live: Booleans = (bound > beams.finished.scores[:, -1:]) & going[:, None]
        return live

    def _leave(self, rows: Integers) -> list[int]:
        """Keep the results of the sentences in these rows, which are done.

        The n best of each: the finished ones, then, if there are fewer than n, the best live ones.

        Raises:
            NmtError: if a sentence has neither.
        """
        if not len(rows):
            return []
        beams, n = self._beams.select(rows), self._options.nbest
        finished, norm, step = beams.finished, self._norms[self._steps], self._steps
        scores = beams.totals / norm
        if beams.received is not None:
            pieces = self._pieces[self._sentences[rows]][:, None]
            scores += coverage_scores(beams.received, pieces, self._config.coverage_penalty)
        ended = [
            column.tolist() for column in (finished.steps, finished.slots, finished.totals, finished.scores)
        ]
        live = [column.tolist() for column in (beams.totals, scores)]
        done: list[int] = self._sentences[rows].tolist()
        for row, sentence in enumerate(done):
            group = [
                BackPointer(sentence, at, slot, True, total, score)
                for at, slot, total, score in zip(*(column[row] for column in ended), strict=True)
            ]
            truncated = [
                BackPointer(sentence, step, slot, False, total, score)
                for slot, (total, score) in enumerate(zip(*(column[row] for column in live), strict=True))
            ]
            group += sorted(truncated, key=lambda one: -one.score)
            group = [one for one in group if one.log_probability > -np.inf][:n]
            if not group:
                raise dead_end_error()
            self._results[sentence] = group
        return done


def _best(step: Step[Any], query: Query, sentences: Integers) -> Answer:
    """The most probable tokens."""
    return step.read(query)
