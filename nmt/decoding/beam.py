"""The beam's bookkeeping: tensors only, no model, one step at a time.

Shapes: b sentences still searched, K hypotheses a sentence (the beam), n best wanted, V vocabulary.
A total of minus infinity marks an empty place.
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from nmt.decoding.hypothesis import no_number


@dataclass(frozen=True)
class Rules:
    """What stays the same during a search."""

    beam_size: int
    nbest: int
    eos: int
    banned: Tensor
    """int64: tokens that are never candidates."""
    norms: Tensor
    """float32 [longest]: (i + 1)**length_penalty at i."""

    def done(self, beams: "Beams", step: int) -> Tensor:
        """Bool [b]: nothing that comes after `step` can change the n best of the sentence."""
        # Both this bound and the scores divide by entries of `norms`, so rounding keeps their order.
        bound = beams.totals[:, 0] / self.norms[beams.limits - 1]
        return (bound <= beams.finished.scores[:, -1]) | (beams.limits <= step + 1)


@dataclass(frozen=True)
class Finished:
    """The n best finished hypotheses of each sentence, best first; every field is [b, n]."""

    totals: Tensor
    scores: Tensor
    steps: Tensor
    """The step that gave EOS."""
    slots: Tensor
    """The slot that EOS followed."""

    def select(self, index: Tensor) -> "Finished":
        """The sentences that `index` names."""
        return Finished(self.totals[index], self.scores[index], self.steps[index], self.slots[index])

    def with_more(self, totals: Tensor, norm: Tensor, step: int, slots: Tensor) -> "Finished":
        """The n best of these and of candidates [b, K] that end at `step`; among equals the earlier."""
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
    """The sentences still searched."""

    tokens: Tensor
    """int64 [b, K], the last tokens."""
    totals: Tensor
    """float32 [b, K], log-probabilities of the live hypotheses, best first."""
    limits: Tensor
    """int64 [b], maximal lengths."""
    finished: Finished

    @staticmethod
    def start(max_lengths: Tensor, bos: int, rules: Rules) -> "Beams":
        """One live hypothesis a sentence, BOS."""
        b = len(max_lengths)
        device = max_lengths.device
        totals = torch.full((b, rules.beam_size), -math.inf, device=device)
        totals[:, 0] = 0.0
        nothing = torch.full((b, rules.nbest), -math.inf, device=device)
        nowhere = torch.zeros((b, rules.nbest), dtype=torch.int64, device=device)
        return Beams(
            torch.full((b, rules.beam_size), bos, dtype=torch.int64, device=device),
            totals,
            max_lengths,
            Finished(nothing, nothing, nowhere, nowhere),
        )

    def select(self, index: Tensor) -> "Beams":
        """The sentences that `index` names."""
        return Beams(self.tokens[index], self.totals[index], self.limits[index], self.finished.select(index))

    def advance(self, predicted: Tensor, step: int, rules: Rules) -> tuple["Beams", Tensor]:
        """Extend every live hypothesis by every token.

        Args:
            predicted: [b·K, V], log-probabilities of the next token.
            step: counted from 0.
            rules: of this search.

        Returns:
            the new beams, and int64 [b, K]: the slot that each of their hypotheses goes on from.

        Raises:
            NmtError: a log-probability is NaN.
        """
        b, K, V = len(self.totals), rules.beam_size, predicted.shape[1]
        scores = self.totals.view(b * K, 1) + predicted  # [b·K, V]
        scores.index_fill_(1, rules.banned, -math.inf)
        # At most K candidates end with EOS, one for each hypothesis: 2K hold K that do not.
        totals, candidates = best(scores.view(b, K * V), 2 * K)
        origins, tokens = candidates // V, candidates % V  # [b, 2K]
        ends = tokens == rules.eos
        finished = self.finished.with_more(
            totals.masked_fill(~ends, -math.inf)[:, :K], rules.norms[step], step, origins[:, :K]
        )
        lives_on = ends.long().sort(dim=1, stable=True).indices[:, :K]
        beams = Beams(tokens.gather(1, lives_on), totals.gather(1, lives_on), self.limits, finished)
        return beams, origins.gather(1, lives_on)


def best(scores: Tensor, count: int) -> tuple[Tensor, Tensor]:
    """The `count` highest of each row, best first, and where they stand; among equals the first.

    `topk` alone leaves open which of several equals it takes, and takes others on other devices and
    for other batches. So ties that the last place cuts through are settled here.

    Args:
        scores: [R, C], C at least `count`.
        count: how many.

    Returns:
        values and int64 places, [R, count] each.

    Raises:
        NmtError: a score is NaN.
    """
    values, places = scores.topk(min(count + 1, scores.shape[1]), dim=1)
    last = values[:, count - 1 : count]
    cut = (last == values[:, count:]) & (last > -math.inf)  # empty if all are taken
    invalid, tied = torch.stack((values[:, 0].isnan().any(), cut.any())).tolist()  # topk puts NaN first
    if invalid:
        raise no_number()
    if tied:
        above, equal = scores > last, scores == last
        taken = above | (equal & (equal.cumsum(dim=1) <= count - above.sum(dim=1, keepdim=True)))
        places = taken.nonzero()[:, 1].view(len(scores), count)
    places = places[:, :count].sort(dim=1).values
    values, order = scores.gather(1, places).sort(dim=1, descending=True, stable=True)
    return values, places.gather(1, order)
