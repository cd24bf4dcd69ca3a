"""Beam search in batches, over any model that can take a step (see `nmt.decoding.hypothesis`).

The score is log-probability / length**length_penalty, EOS counted: the simple power of the length
that Wu et al. (2016, §7) start from before they refine it. At each step all live hypotheses are
extended by all tokens. Of these candidates, those that end with EOS and are among the best K by
log-probability are finished; the best K that do not end live on.

A sentence is done as soon as going on cannot change its result. Log-probabilities only fall and
lengths only grow up to the maximal one, so nothing that comes of a live hypothesis scores above its
log-probability / max_length**length_penalty. Once this bound of the best live hypothesis is no better
than the n-th best finished score, the sentence leaves the batch. A sentence that reaches its maximal
length with fewer than n finished hypotheses is given its best live ones too, after the finished ones
whatever their scores, so that asking for more hypotheses never changes the first.

A beam of one is greedy search, whatever the penalty: its first EOS ends it. Ties are broken by the
parent's rank, then by the lower token, and between finished hypotheses by who was first.

Shapes: B sentences, b of them still searched, K hypotheses a sentence (the beam), n best wanted,
N = b·K rows, V vocabulary, S source length.
"""

import dataclasses
import math
from collections.abc import Sequence

import torch
from torch import Tensor

from nmt.decoding.beam import Beams, Rules
from nmt.decoding.greedy import greedy
from nmt.decoding.hypothesis import (
    Ending,
    History,
    Hypothesis,
    MemoryT,
    StateT,
    Steppable,
    banned_tokens,
    no_token,
)
from nmt.errors import ConfigError


def search(
    model: Steppable[StateT, MemoryT],
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
) -> list[list[Hypothesis]]:
    """Find the `nbest` best hypotheses of each sentence that a beam of `beam_size` meets.

    Args:
        model: gives the next token's log-probabilities.
        state: the decoder's first state, B rows.
        memory: the encoded sentences, B rows.
        beam_size: K.
        max_lengths: int64 [B] on the model's device, at least 1: the most tokens, EOS counted.
        length_penalty: 0 for pure log-probability; greater favours longer hypotheses.
        bos: the token every sentence starts from; never part of a hypothesis.
        eos: the token that ends a sentence.
        nbest: n, at most `beam_size`.
        forbidden: more tokens that no hypothesis may contain, such as PAD.

    Returns:
        For each sentence 1 to n hypotheses, best first; fewer than n only if the model leaves no more.

    Raises:
        ConfigError: a beam, a penalty or a number of hypotheses that is impossible.
        NmtError: the model gives NaN, or no allowed token a probability above zero.
    """
    _check(beam_size, length_penalty, nbest)
    if beam_size == 1:
        found = greedy(model, state, memory, max_lengths=max_lengths, bos=bos, eos=eos, forbidden=forbidden)
        return [
            [dataclasses.replace(one, score=one.log_probability / len(one.attention) ** length_penalty)]
            for one in found
        ]
    with torch.inference_mode():
        banned = banned_tokens(bos, eos, forbidden, max_lengths.device)
        rules = _rules(max_lengths, beam_size, nbest, length_penalty, eos, banned)
        history, endings = _run(model, state, memory, Beams.start(max_lengths, bos, rules), rules)
    hypotheses = iter(history.hypotheses([ending for group in endings for ending in group]))
    return [[next(hypotheses) for _ in group] for group in endings]


def _check(beam_size: int, length_penalty: float, nbest: int) -> None:
    if beam_size < 1:
        raise ConfigError(f"beam_size={beam_size}: must be at least 1")
    if not 1 <= nbest <= beam_size:
        raise ConfigError(f"nbest={nbest}: must be from 1 to the beam size, which is {beam_size}")
    if not 0 <= length_penalty < math.inf:
        raise ConfigError(f"length_penalty={length_penalty:g}: must be at least 0")


def _rules(
    max_lengths: Tensor, beam_size: int, nbest: int, penalty: float, eos: int, banned: Tensor
) -> Rules:
    longest = int(max_lengths.max()) if len(max_lengths) else 0
    norms = torch.arange(1, longest + 1, dtype=torch.float64) ** penalty
    return Rules(beam_size, nbest, eos, banned, norms.float().to(max_lengths.device))


def _run(
    model: Steppable[StateT, MemoryT],
    state: StateT,
    memory: MemoryT,
    beams: Beams,
    rules: Rules,
) -> tuple[History, list[list[Ending]]]:
    """Step until every sentence is done; those that are leave the batch.

    Two host synchronisations a step: is anything NaN or tied (in `best`), and which sentences are done.
    """
    K, device = rules.beam_size, beams.limits.device
    slots = torch.arange(K, device=device)
    sentences = list(range(len(beams.limits)))
    history = History(K)
    endings: list[list[Ending]] = [[] for _ in sentences]
    rows = torch.zeros_like(beams.tokens) + torch.arange(len(sentences), device=device)[:, None]  # [b, K]
    if sentences:
        state, memory = state.select(rows.flatten()), memory.select(rows.flatten())
    step = 0
    while sentences:
        predicted, state, attention = model.step(beams.tokens.flatten(), state, memory)
        beams, origins = beams.advance(predicted, step, rules)
        history.append(sentences, beams.tokens, origins, attention)
        rows = torch.arange(len(sentences), device=device)[:, None] * K + origins
        done = rules.done(beams, step).tolist()
        if any(done):
            over = [place for place, is_done in enumerate(done) if is_done]
            leaving = beams.select(torch.tensor(over, device=device))
            for group in _endings([sentences[place] for place in over], leaving, step, rules):
                endings[group[0].sentence] = group
            going = [place for place, is_done in enumerate(done) if not is_done]
            stay = torch.tensor(going, dtype=torch.int64, device=device)
            sentences, beams, rows = [sentences[place] for place in going], beams.select(stay), rows[stay]
            if sentences:
                memory = memory.select((stay[:, None] * K + slots).flatten())
        if sentences:
            state = state.select(rows.flatten())
        step += 1
    return history, endings


def _endings(sentences: list[int], beams: Beams, step: int, rules: Rules) -> list[list[Ending]]:
    """The n best of each sentence: the finished ones, then, for want of those, the best live ones.

    Raises:
        NmtError: a sentence has neither.
    """
    finished = beams.finished
    columns = (finished.steps, finished.slots, finished.totals, finished.scores)
    ended = [column.tolist() for column in columns]
    live = [column.tolist() for column in (beams.totals, beams.totals / rules.norms[step])]
    groups = []
    for place, sentence in enumerate(sentences):
        group = [
            Ending(sentence, at, slot, True, total, score)
            for at, slot, total, score in zip(*(column[place] for column in ended), strict=True)
        ]
        group += [
            Ending(sentence, step, slot, False, total, score)
            for slot, (total, score) in enumerate(zip(*(column[place] for column in live), strict=True))
        ]
        group = [ending for ending in group if ending.log_probability > -math.inf][: rules.nbest]
        if not group:
            raise no_token()
        groups.append(group)
    return groups
