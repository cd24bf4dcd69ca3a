"""Beam state and its update, one step at a time: tensors only, no model.

Shapes: b active sentences, K hypotheses per sentence (the beam size), n best requested, V vocabulary.
A total of minus infinity marks an empty slot.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from nmt.decoding.candidates import Candidates


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
    lookahead: int | None
    """A hypothesis is given up if its score could not become one of the n best within this many more tokens,
    were they certain; None: at all."""

    def live(self, beams: "Beams", step: int) -> Tensor:
        """Bool [b, K]: the hypotheses to go on with; always the first ones of a sentence."""
        longest = beams.limits
        if self.lookahead is not None:
            longest = longest.clamp(max=step + 1 + self.lookahead)
        # The bound and the scores are both divided by entries of `norms`, so rounding keeps their order.
        bound = beams.totals / self.norms[longest - 1].unsqueeze(1)
        return (bound > beams.finished.scores[:, -1:]) & (beams.limits > step + 1).unsqueeze(1)


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

    def without(self, slots: Tensor) -> "Beams":
        """Empty these slots, bool [b, K]."""
        return replace(self, totals=self.totals.masked_fill(slots, -math.inf))

    def advance(self, found: "Candidates", step: int, options: SearchOptions) -> tuple["Beams", Tensor]:
        """Extend every live hypothesis by its candidates.

        Args:
            found: the best next tokens of each slot, [b, K, C].
            step: counted from 0.
            options: constants of this search.

        Returns:
            the new beams, and int64 [b, K]: the slot of each new hypothesis's parent (back-pointer).
        """
        K, C = options.beam_size, found.tokens.shape[2]
        totals = (self.totals.unsqueeze(2) + found.values).flatten(1)  # [b, K·C]
        # The order of the candidates is that of ties: by the parent's rank, then by the token.
        totals, candidates = totals.sort(dim=1, descending=True, stable=True)
        # At most K candidates end with EOS, one per hypothesis, so among the top 2K at least K do not.
        totals, candidates = totals[:, : 2 * K], candidates[:, : 2 * K]
        origins, tokens = candidates // C, found.tokens.flatten(1).gather(1, candidates)
        ends = tokens == options.eos
        finished = self.finished.with_more(
            totals.masked_fill(~ends, -math.inf)[:, :K], options.norms[step], step, origins[:, :K]
        )
        lives_on = ends.long().sort(dim=1, stable=True).indices[:, :K]
        beams = Beams(tokens.gather(1, lives_on), totals.gather(1, lives_on), self.limits, finished)
        return beams, origins.gather(1, lives_on)
