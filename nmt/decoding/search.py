"""Batched beam search over any model with a `step` method (see `nmt.decoding.interface`).

The score is log-probability / length**length_penalty, with EOS counted: the simple length normalisation
that Wu et al. (2016, §7) start from. At each step all live hypotheses are extended by all tokens. Of
these candidates, those that end with EOS and are among the best K by log-probability are finished; the
best K without EOS stay live.

The search of a sentence stops as soon as its result can no longer change. Log-probabilities only fall and
lengths only grow up to the maximum, so no extension of a live hypothesis scores above its
log-probability / max_length**length_penalty. A live hypothesis whose bound is no better than the n-th best
finished score is given up: neither it nor anything that takes its place in the beam can be among the n best.
When none is live the sentence is removed from the batch. If a sentence reaches its maximum length with fewer
than n finished hypotheses, its best live ones are appended after the finished ones, regardless of score, so
that a larger n never changes the first results.

This bound is loose: the maximum length is several times that of the source, and most steps only confirm a
result found long before. With a lookahead of L, the length in the bound is at most L tokens more than now: a
hypothesis is given up if L certain tokens would not make it win. A result can then differ from that of the
exact search only if the better translation is longer by more than L tokens. (Stopping at the current length,
L = 0, is a common heuristic; it changes many results.)

With beam size 1 this is greedy search, whatever the penalty: the first EOS ends it. Ties are broken by the
parent's rank, then by the lower token index, and between finished hypotheses by the earlier one.

Shapes: B sentences, b of them active, K hypotheses per sentence (the beam size), n best requested,
N = b·K rows, V vocabulary, S source length.
"""

import math
from collections.abc import Collection, Sequence

import torch
from torch import Tensor

from nmt.decoding.beam import Beams, SearchOptions
from nmt.decoding.candidates import allowed, best, first_best
from nmt.decoding.greedy import greedy
from nmt.decoding.hypothesis import BackPointer, History, Hypothesis, banned_tokens, dead_end_error, nan_error
from nmt.model.inference.step_model import StepModel
from nmt.decoding.live import Rows
from nmt.errors import ConfigError
from nmt.model.decoders.decoder import MemoryT, StateT
from nmt.model.inference.layout import Layout


def beam_search(
    model: StepModel[StateT, MemoryT],
    state: StateT,
    memory: MemoryT,
    *,
    beam_size: int,
    max_lengths: Tensor,
    length_penalty: float,
    bos: int,
    eos: int,
    nbest: int = 1,
    forbidden: Sequence[int] = (),
    attention: Collection[int] = (),
    lookahead: int | None = None,
) -> list[list[Hypothesis]]:
    """Beam search: the `nbest` best hypotheses found for each sentence.

    Args:
        model: the model that predicts the next token.
        state, memory: the decoder's initial state and the encoded sentences, B rows each.
        beam_size: K.
        max_lengths: int64 [B] on the model's device, at least 1: maximum number of tokens, EOS included.
        length_penalty: exponent of the length; 0 ranks by log-probability, higher favours longer hypotheses.
        bos, eos: the tokens every sentence starts with (never part of a hypothesis) and ends with.
        nbest: n, at most `beam_size`.
        forbidden: other tokens that must not be generated, such as PAD.
        attention: the sentences, counted from 0, whose hypotheses get their attention.
        lookahead: give up a hypothesis whose score could not become one of the n best within this many more
            tokens, were they certain; None: only if it could not at any length.

    Returns:
        For each sentence 1 to n hypotheses, best first; fewer than n only if no more have a probability
        above zero.

    Raises:
        ConfigError: if `beam_size`, `length_penalty` or `nbest` is out of range.
        NmtError: if the model returns NaN, or probability zero for every allowed token.
    """
    _check(beam_size, length_penalty, nbest)
    if beam_size == 1:
        only = greedy(
            model, state, memory, max_lengths=max_lengths, bos=bos, eos=eos, forbidden=forbidden,
            attention=attention,
        )  # fmt: skip
        return [[one.normalised(length_penalty)] for one in only]
    history = History(beam_size, attention)
    with torch.inference_mode():
        banned = banned_tokens(bos, eos, forbidden, max_lengths.device)
        options = _options(max_lengths, beam_size, nbest, length_penalty, eos, banned, lookahead)
        found = _run(model, state, memory, Beams.start(max_lengths, bos, options), options, history)
    hypotheses = iter(history.hypotheses([pointer for pointers in found for pointer in pointers]))
    return [[next(hypotheses) for _ in pointers] for pointers in found]


def _check(beam_size: int, length_penalty: float, nbest: int) -> None:
    if beam_size < 1:
        raise ConfigError(f"beam_size={beam_size}: must be at least 1")
    if not 1 <= nbest <= beam_size:
        raise ConfigError(f"nbest={nbest}: must be between 1 and the beam size ({beam_size})")
    if not 0 <= length_penalty < math.inf:
        raise ConfigError(f"length_penalty={length_penalty:g}: must be at least 0 and finite")


def _options(
    max_lengths: Tensor,
    beam_size: int,
    nbest: int,
    penalty: float,
    eos: int,
    banned: Tensor,
    lookahead: int | None,
) -> SearchOptions:
    longest = int(max_lengths.max()) if len(max_lengths) else 0
    norms = torch.arange(1, longest + 1, dtype=torch.float64) ** penalty
    return SearchOptions(beam_size, nbest, eos, banned, norms.float().to(max_lengths.device), lookahead)


def _run(
    model: StepModel[StateT, MemoryT],
    state: StateT,
    memory: MemoryT,
    beams: Beams,
    options: SearchOptions,
    history: History,
) -> list[list[BackPointer]]:
    """Decode until every sentence is done; sentences that are done are removed from the batch. Every step is
    added to `history`; the result is the best hypotheses of each sentence.

    One host synchronisation per step: which hypotheses are live, and whether there is NaN or a tie.
    """
    sentences = list(range(len(beams.limits)))
    back_pointers: list[list[BackPointer]] = [[] for _ in sentences]
    if not sentences:
        return back_pointers
    rows = Rows.start(state, memory, len(sentences), options.beam_size, beams.limits.device)
    step = 0
    while sentences:
        tokens = rows.layout.unpad(beams.tokens)
        predicted, state, attention = model.step(tokens, rows.state, rows.memory)
        beams, origins, live = _advance(beams, predicted, rows.layout, step, options)
        history.append(sentences, beams.tokens, origins, attention, rows.counts)
        going = [row for row, count in enumerate(live) if count]
        if len(going) < len(sentences):
            over = [row for row, count in enumerate(live) if not count]
            leaving = beams.select(torch.tensor(over, device=origins.device))
            for group in _back_pointers([sentences[row] for row in over], leaving, step, options):
                back_pointers[group[0].sentence] = group
        if going:
            rows = rows.follow(state, origins, going, [live[row] for row in going])
        if len(going) < len(sentences):
            sentences = [sentences[row] for row in going]
            beams = beams.select(torch.tensor(going, dtype=torch.int64, device=origins.device))
        step += 1
    return back_pointers


def _advance(
    beams: Beams, predicted: Tensor, layout: Layout, step: int, options: SearchOptions
) -> tuple[Beams, Tensor, list[int]]:
    """One step of the beams, from log-probabilities [N, V].

    Returns:
        the new beams; int64 [b, K], the slot of each new hypothesis's parent; and the number of live
        hypotheses of each sentence, 0 if it is done.

    Raises:
        NmtError: if a log-probability is NaN.
    """
    scores = allowed(predicted, options.banned)
    # One more than K, as one may be EOS.
    count = min(options.beam_size + 1, predicted.shape[1])
    candidates, flags = best(scores, count)
    while True:
        advanced, origins = beams.advance(candidates.padded(layout), step, options)
        live = options.live(advanced, step)
        invalid, tied, *counts = torch.cat((flags, live.sum(dim=1))).tolist()
        if invalid:
            raise nan_error()
        if not tied:
            going = live | (live.sum(dim=1, keepdim=True) == 0)  # a done sentence keeps its hypotheses
            return advanced.without(~going), origins, counts
        candidates, flags = first_best(scores, count), torch.zeros_like(flags)


def _back_pointers(
    sentences: list[int], beams: Beams, step: int, options: SearchOptions
) -> list[list[BackPointer]]:
    """The n best of each sentence: the finished ones, then, if there are fewer than n, the best live ones.

    Raises:
        NmtError: if a sentence has neither.
    """
    finished = beams.finished
    columns = (finished.steps, finished.slots, finished.totals, finished.scores)
    ended = [column.tolist() for column in columns]
    live = [column.tolist() for column in (beams.totals, beams.totals / options.norms[step])]
    groups = []
    for row, sentence in enumerate(sentences):
        group = [
            BackPointer(sentence, at, slot, True, total, score)
            for at, slot, total, score in zip(*(column[row] for column in ended), strict=True)
        ]
        group += [
            BackPointer(sentence, step, slot, False, total, score)
            for slot, (total, score) in enumerate(zip(*(column[row] for column in live), strict=True))
        ]
        group = [back_pointer for back_pointer in group if back_pointer.log_probability > -math.inf][
            : options.nbest
        ]
        if not group:
            raise dead_end_error()
        groups.append(group)
    return groups
