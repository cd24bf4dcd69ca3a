"""Choosing among candidates: translations of a sentence by one system, or by several.

A reverse model, from the target language to the source language, makes the score of a system's candidates
that of a noisy channel (Yee, Dauphin and Auli 2019; Ng et al. 2019):

    score(y) = log p(y | x) / |y| + λ log p(x | y) / |x|

where the first term is the score of the search, which may have other normalisation; |x| and |y| count
end-of-sentence.

Consensus of M systems, each with a list of candidates (minimum Bayes-risk system combination:
González-Rubio, Juan and Casacuberta 2011):

    score(y) = Σᵣ w(r) chrF2(y, r),     w(r) ∝ p(x | r)^λ 1/M Σₘ pₘ(r | x),     Σᵣ w(r) = 1

where pₘ is normalised over the list of system m. Without a reverse model, λ = 0.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from nmt.config.decoding import DecodingConfig
from nmt.decoding.result import Translation
from nmt.decoding.translator import Translator

TOGETHER = 1024
"""Sentences whose candidates are in memory at the same time, at most."""


class Pool(NamedTuple):
    """What was found for a sentence.

    Attributes:
        source: the sentence.
        lists: by each system, best first; a list may be empty.
        sampled: whether they are samples, which have equal weights.
        reverse_weight: λ.
    """

    source: str
    lists: Sequence[Sequence[Translation]]
    sampled: bool = False
    reverse_weight: float = 0.0


@dataclass(frozen=True)
class Reranker:
    """Ranks candidates.

    Attributes:
        consensus: whether by how much they are like all others, or by the scores of the search.
        reverse: translates into the source language; None: it does not count.
    """

    consensus: bool
    reverse: Translator | None = None

    def rank(self, pools: Sequence[Pool]) -> list[list[Translation]]:
        """The candidates of each sentence by their new score, best first; of equal ones, the earlier first.
        A consensus has none twice. Each has the number of its system.

        Args:
            pools: of each sentence.
        """
        candidates = [_numbered(pool) for pool in pools]
        if self.reverse is None:
            back = [[(0.0, 1)] * len(own) for own in candidates]
        else:
            pairs = [
                (one.text, pool.source) for pool, own in zip(pools, candidates, strict=True) for one in own
            ]
            scores = reverse_scores(self.reverse, pairs)
            back = [
                [scores[one.text, pool.source] for one in own]
                for pool, own in zip(pools, candidates, strict=True)
            ]
        rank = _by_utility if self.consensus else _by_score
        return [rank(*one) for one in zip(pools, candidates, back, strict=True)]


def reverse_scores(
    reverse: Translator, pairs: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], tuple[float, int]]:
    """log p(x | y) and |x| of each source x and translation y.

    Args:
        reverse: translates into the source language.
        pairs: translation and source of each.
    """
    distinct = list(dict.fromkeys(pairs))
    forced = reverse.align([text for text, _ in distinct], [source for _, source in distinct])
    return {
        pair: (one.log_probability, len(one.log_probabilities))
        for pair, one in zip(distinct, forced, strict=True)
    }


def for_candidates(config: DecodingConfig, first: DecodingConfig) -> DecodingConfig:
    """The settings with which a system finds its candidates.

    Args:
        config: its own.
        first: those of the first system: they say how many candidates, and whether they are samples, for all.
    """
    return replace(
        config,
        method="sample" if first.method == "sample" else "beam",
        beam_size=max(config.beam_size, first.candidates),
        candidates=first.candidates,
    )


def combined_heads(heads: Sequence[int]) -> int:
    """The number of attention heads of candidates.

    Args:
        heads: of each system; 0: it has no attention.
    """
    return heads[0] if len(heads) == 1 else min(1, *heads)


def _numbered(pool: Pool) -> list[Translation]:
    """All candidates. Of several systems, which may have different numbers of attention heads, attention is
    the mean over the heads.
    """
    several = len(pool.lists) > 1
    return [
        replace(_with_one_head(one) if several else one, system=number)
        for number, found in enumerate(pool.lists)
        for one in found
    ]


def _with_one_head(one: Translation) -> Translation:
    return replace(one, attention=one.mean_attention[None]) if one.has_attention else one


def _by_score(
    pool: Pool, candidates: Sequence[Translation], back: Sequence[tuple[float, int]]
) -> list[Translation]:
    """By the score of the search and the reverse model; truncated ones come last, as in the search."""
    terms = [pool.reverse_weight * total / length for total, length in back]
    scores = [one.score + term for one, term in zip(candidates, terms, strict=True)]
    order = sorted(range(len(scores)), key=lambda i: (not candidates[i].finished, -scores[i]))
    return [replace(candidates[i], score=scores[i]) for i in order]


def _by_utility(
    pool: Pool, candidates: Sequence[Translation], back: Sequence[tuple[float, int]]
) -> list[Translation]:
    """By expected chrF2."""
    from nmt.decoding.mbr import normalised_probabilities, rank_by_utility  # fastchrf, only needed here

    if not candidates:
        return []
    logs: list[float] = []
    for found in filter(None, pool.lists):
        own = np.array([0.0 if pool.sampled else one.log_probability for one in found])
        logs += (own - np.logaddexp.reduce(own)).tolist()
    logs = [log + pool.reverse_weight * total for log, (total, _) in zip(logs, back, strict=True)]
    texts = [one.text for one in candidates]
    return [
        replace(candidates[one.number], score=one.utility)
        for one in rank_by_utility(texts, texts, normalised_probabilities(logs))
    ]
