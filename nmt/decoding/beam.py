"""Beam state and its update, one step at a time: tensors only, no model.

Shapes: b active sentences, K hypotheses per sentence (the beam size), n best requested, V vocabulary.
A total of minus infinity marks an empty slot.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.decoding.hypothesis import nan_error


@dataclass(frozen=True)
class SearchOptions:
    """Constants of a search."""

    beam_size: int
    nbest: int
    eos: int
    banned: Tensor
    """int64: tokens that are never candidates."""
    norms: Tensor
    """float32 [longest]: (i + 1)**length_penalty at index i."""

    def done(self, beams: "Beams", step: int) -> Tensor:
        """Bool [b]: whether no later step can change the n best hypotheses of the sentence."""
        # The bound and the scores are both divided by entries of `norms`, so rounding keeps their order.
        bound = beams.totals[:, 0] / self.norms[beams.limits - 1]
        return (bound <= beams.finished.scores[:, -1]) | (beams.limits <= step + 1)


@dataclass(frozen=True)
class Finished:
    """The n best finished hypotheses of each sentence, best first; every field is [b, n]."""

    totals: Tensor
    scores: Tensor
    steps: Tensor
    """The step at which EOS was generated."""
    slots: Tensor
    """The slot of the hypothesis that EOS ended."""

    def select(self, index: Tensor) -> "Finished":
        """Select sentences by index."""
        return Finished(self.totals[index], self.scores[index], self.steps[index], self.slots[index])

    def with_more(self, totals: Tensor, norm: Tensor, step: int, slots: Tensor) -> "Finished":
        """The n best of these and of candidates [b, K] that end at `step`; ties go to the earlier one."""
        scores = torch.cat((self.scores, totals / norm), dim=1)
        scores, order = scores.sort(dim=1, descending=True, stable=True)
        n = self.scores.shape[1]
        order = order[:, :n]
        return Finished(
            torch.cat((self.totals, totals), dim=1).gather(1, order),
            scores[:, :n],
            torch.cat((self.steps, torch.full_like(slots, step)), dim=1).gather(1, order),
            torch.cat((self.slots, slots), dim=1).gather(1, order),
        )


@dataclass(frozen=True)
class Beams:
    """The active sentences."""

    tokens: Tensor
    """int64 [b, K], the last tokens."""
    totals: Tensor
    """float32 [b, K], log-probabilities of the live hypotheses, best first."""
    limits: Tensor
    """int64 [b], maximum lengths."""
    finished: Finished

    @staticmethod
    def start(max_lengths: Tensor, bos: int, options: SearchOptions) -> "Beams":
        """Initial beams: one live hypothesis per sentence, BOS."""
        b = len(max_lengths)
        device = max_lengths.device
        totals = torch.full((b, options.beam_size), -math.inf, device=device)
        totals[:, 0] = 0.0
        nothing = torch.full((b, options.nbest), -math.inf, device=device)
        nowhere = torch.zeros((b, options.nbest), dtype=torch.int64, device=device)
        return Beams(
            torch.full((b, options.beam_size), bos, dtype=torch.int64, device=device),
            totals,
            max_lengths,
            Finished(nothing, nothing, nowhere, nowhere),
        )

    def select(self, index: Tensor) -> "Beams":
        """Select sentences by index."""
        return Beams(self.tokens[index], self.totals[index], self.limits[index], self.finished.select(index))

    def advance(self, predicted: Tensor, step: int, options: SearchOptions) -> tuple["Beams", Tensor]:
        """Extend every live hypothesis by every token.

        Args:
            predicted: [b·K, V], log-probabilities of the next token.
            step: counted from 0.
            options: constants of this search.

        Returns:
            the new beams, and int64 [b, K]: the slot of each new hypothesis's parent (back-pointer).

        Raises:
            NmtError: if a log-probability is NaN.
        """
        b, K, V = len(self.totals), options.beam_size, predicted.shape[1]
        scores = self.totals.view(b * K, 1) + predicted  # [b·K, V]
        scores.index_fill_(1, options.banned, -math.inf)
        # At most K candidates end with EOS, one per hypothesis, so among the top 2K at least K do not.
        totals, candidates = best(scores.view(b, K * V), 2 * K)
        origins, tokens = candidates // V, candidates % V  # [b, 2K]
        ends = tokens == options.eos
        finished = self.finished.with_more(
            totals.masked_fill(~ends, -math.inf)[:, :K], options.norms[step], step, origins[:, :K]
        )
        lives_on = ends.long().sort(dim=1, stable=True).indices[:, :K]
        beams = Beams(tokens.gather(1, lives_on), totals.gather(1, lives_on), self.limits, finished)
        return beams, origins.gather(1, lives_on)


def best(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """Deterministic top-k: the `count` highest scores of each row, best first, and their indices; ties go
    to the lower index.

    `topk` alone does not specify which of several equal values it returns, and the choice depends on device
    and batch. So ties at the cut-off are resolved here.

    Args:
        scores: [R, C], C at least `count`.
        count: k.

    Returns:
        values and int64 indices, [R, count] each.

    Raises:
        NmtError: if a score is NaN.
    """
    values, indices = scores.topk(min(count + 1, scores.shape[1]), dim=1)
    last = values[:, count - 1 : count]
    ties = (last == values[:, count:]) & (last > -math.inf)  # empty if count is C
    invalid, tied = torch.stack((values[:, 0].isnan().any(), ties.any())).tolist()  # topk puts NaN first
    if invalid:
        raise nan_error()
    if tied:
        above, equal = scores > last, scores == last
        taken = above | (equal & (equal.cumsum(dim=1) <= count - above.sum(dim=1, keepdim=True)))
        indices = taken.nonzero()[:, 1].view(len(scores), count)
    indices = indices[:, :count].sort(dim=1).values
    values, order = scores.gather(1, indices).sort(dim=1, descending=True, stable=True)
    return values, indices.gather(1, order)
