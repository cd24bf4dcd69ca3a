"""Beam state and its update, one step at a time: arrays only, no model.

Shapes: b active sentences, K slots per sentence (the beam size), n best requested, C candidates per slot, S
source length. A total of minus infinity marks an empty slot.
"""

from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from nmt.decoding.arrays import gather
from nmt.decoding.hypothesis import BackPointer, Doubles
from nmt.decoding.interface import Booleans, Integers


class Extensions(NamedTuple):
    """The best extensions of each sentence, best first; every field is [b, K].

    Attributes:
        totals: log-probabilities of those without EOS.
        tokens: the last token of each of these.
        origins: the slot of each one's parent.
        ended: log-probabilities of those with EOS that are among the K best of all.
        parents: the slot of each one's parent.
    """

    totals: Doubles
    tokens: Integers
    origins: Integers
    ended: Doubles
    parents: Integers

    def select(self, index: Integers | Booleans) -> "Extensions":
        """Select sentences."""
        return Extensions(
            self.totals[index],
            self.tokens[index],
            self.origins[index],
            self.ended[index],
            self.parents[index],
        )

    def concatenate(self, more: "Extensions") -> "Extensions":
        """These sentences, then others."""
        return Extensions(
            np.concatenate((self.totals, more.totals)),
            np.concatenate((self.tokens, more.tokens)),
            np.concatenate((self.origins, more.origins)),
            np.concatenate((self.ended, more.ended)),
            np.concatenate((self.parents, more.parents)),
        )


@dataclass(frozen=True)
class Finished:
    """The n best finished hypotheses of each sentence, best first; every field is [b, n]."""

    totals: Doubles
    scores: Doubles
    steps: Integers
    """The step at which EOS was generated."""
    slots: Integers
    """The slot of the hypothesis that EOS ended."""

    def select(self, index: Integers) -> "Finished":
        """Select sentences by index."""
        return Finished(self.totals[index], self.scores[index], self.steps[index], self.slots[index])

    def pointers(self, row: int, sentence: int) -> list[BackPointer]:
        """The hypotheses in a row, those of a sentence with this number."""
        columns = (column[row].tolist() for column in (self.totals, self.scores, self.steps, self.slots))
        return [
            BackPointer(sentence, step, slot, True, total, score)
            for total, score, step, slot in zip(*columns, strict=True)
            if total > -np.inf
        ]

    def with_more(self, totals: Doubles, scores: Doubles, step: int, slots: Integers) -> "Finished":
        """The n best of these and of candidates [b, K] that end at `step`; ties go to the earlier one."""
        if not (totals > -np.inf).any():
            return self
        n = self.scores.shape[1]
        scores = np.concatenate((self.scores, scores), axis=1)
        order = np.argsort(-scores, axis=1, kind="stable")[:, :n]
        return Finished(
            gather(np.concatenate((self.totals, totals), axis=1), order),
            gather(scores, order),
            gather(np.concatenate((self.steps, np.full_like(slots, step)), axis=1), order),
            gather(np.concatenate((self.slots, slots), axis=1), order),
        )


@dataclass(frozen=True)
class Beams:
    """The active sentences."""

    tokens: Integers
    """[b, K], the last tokens."""
    totals: Doubles
    """[b, K], log-probabilities of the live hypotheses, best first."""
    limits: Integers
    """[b], maximum lengths."""
    finished: Finished
    ended: Integers
    """[b], the number of hypotheses that have ended, also those that are not among the n best."""
    received: Doubles | None = None
    """[b, K, S], attention that the source has received; None if it does not count."""

    @staticmethod
    def start(limits: Integers, bos: int, K: int, n: int) -> "Beams":
        """Initial beams: one live hypothesis per sentence, BOS."""
        b = len(limits)
        totals = np.full((b, K), -np.inf)
        totals[:, 0] = 0.0
        nothing, nowhere = np.full((b, n), -np.inf), np.zeros((b, n), np.int64)
        finished = Finished(nothing, nothing, nowhere, nowhere)
        return Beams(np.full((b, K), bos), totals, limits, finished, np.zeros(b, np.int64))

    def select(self, index: Integers) -> "Beams":
        """Select sentences by index."""
        return Beams(
            self.tokens[index],
            self.totals[index],
            self.limits[index],
            self.finished.select(index),
            self.ended[index],
            None if self.received is None else self.received[index],
        )

    def without(self, slots: Booleans) -> "Beams":
        """Empty these slots, [b, K]."""
        if not slots.any():
            return self
        return replace(self, totals=np.where(slots, -np.inf, self.totals))

    def truncated(self, scores: Doubles, row: int, sentence: int, step: int) -> list[BackPointer]:
        """The live hypotheses of a sentence as if the search ended here, best first.

        Args:
            scores: of all hypotheses, [b, K].
            row: of the sentence.
            sentence: its number.
            step: the last one.
        """
        columns = zip(self.totals[row].tolist(), scores[row].tolist(), strict=True)
        found = [
            BackPointer(sentence, step, slot, False, total, score)
            for slot, (total, score) in enumerate(columns)
            if total > -np.inf
        ]
        return sorted(found, key=lambda one: -one.score)

    def extensions(self, values: Doubles, tokens: Integers, eos: int) -> Extensions:
        """Extend every live hypothesis by its candidates.

        Args:
            values: log-probabilities of the best next tokens of each slot, [b, K, C], best first.
            tokens: [b, K, C].
            eos: the token that ends a sentence.
        """
        b, K, C = values.shape
        totals = (self.totals[:, :, None] + values).reshape(b, K * C)
        # At most K candidates end with EOS, one per hypothesis, so among the top 2K at least K do not. In a
        # greedy search there is one candidate. Ties go by the parent's rank, then by the token.
        tokens, origins = tokens.reshape(b, K * C), np.zeros((b, 1), np.int64)
        if K * C > 1:
            order = np.argsort(-totals, axis=1, kind="stable")[:, : 2 * K if K > 1 else 1]
            totals, tokens, origins = gather(totals, order), gather(tokens, order), order // C
        ends = tokens == eos
        if not ends.any():
            nothing = np.full((b, K), -np.inf), np.zeros((b, K), np.int64)
            return Extensions(totals[:, :K], tokens[:, :K], origins[:, :K], *nothing)
        ended = np.where(ends, totals, -np.inf)[:, :K]
        lives_on = np.argsort(ends, axis=1, kind="stable")[:, :K]
        return Extensions(
            gather(np.where(ends, -np.inf, totals), lives_on),
            gather(tokens, lives_on),
            gather(origins, lives_on),
            ended,
            origins[:, :K],
        )
