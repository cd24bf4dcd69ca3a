"""Greedy search and sampling: one hypothesis per sentence.

Shapes: B sentences, b of them active, V vocabulary.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from nmt.decoding.hypothesis import (
    Ending,
    History,
    Hypothesis,
    MemoryT,
    StateT,
    Steppable,
    banned_tokens,
    no_number,
    no_token,
)
from nmt.errors import ConfigError

_COLDEST = 1e-6  # lower temperatures would be the same as greedy, and could overflow


def greedy(
    model: Steppable[StateT, MemoryT],
    state: StateT,
    memory: MemoryT,
    *,
    max_lengths: Tensor,
    bos: int,
    eos: int,
    forbidden: Sequence[int] = (),
) -> list[Hypothesis]:
    """Greedy search: the most probable token at each step, until EOS; ties go to the lower index.

    Args:
        model: the model that predicts the next token.
        state: the decoder's initial state, B rows.
        memory: the encoded sentences, B rows.
        max_lengths: int64 [B] on the model's device, at least 1: maximum number of tokens, EOS included.
        bos: the token every sentence starts with; never part of a hypothesis.
        eos: the token that ends a sentence.
        forbidden: other tokens that must not be generated, such as PAD.

    Returns:
        B hypotheses; the score of each is its log-probability.

    Raises:
        NmtError: if the model returns NaN, or probability zero for every allowed token.
    """
    return _walk(model, state, memory, _best_token, max_lengths, bos, eos, forbidden)


def sample(
    model: Steppable[StateT, MemoryT],
    state: StateT,
    memory: MemoryT,
    *,
    max_lengths: Tensor,
    bos: int,
    eos: int,
    forbidden: Sequence[int] = (),
    temperature: float = 1.0,
    generator: torch.Generator | None = None,
) -> list[Hypothesis]:
    """Ancestral sampling: draw each token from the model's distribution over the allowed tokens.

    Args:
        model, state, memory, max_lengths, bos, eos, forbidden: as for `greedy`.
        temperature: divides the log-probabilities before sampling; approaches greedy search towards 0.
        generator: random generator on the model's device; None: torch's global one.

    Returns:
        B hypotheses; log-probabilities and scores are those of the model, at temperature 1 and without
        renormalising over the allowed tokens.

    Raises:
        ConfigError: if the temperature is below 1e-6 or not finite.
        NmtError: as for `greedy`.
    """
    if not _COLDEST <= temperature < math.inf:
        raise ConfigError(
            f"temperature={temperature:g}: must be at least {_COLDEST:g} and finite; for the most probable "
            "tokens, use greedy search"
        )

    def pick(log_probabilities: Tensor) -> Tensor:
        # Gumbel-max trick: argmax(log p + g) is distributed as p. It needs no host synchronisation
        # and no input check; NaN wins the argmax and is detected afterwards.
        noise = torch.empty_like(log_probabilities).exponential_(generator=generator)
        noise = noise.clamp_(min=torch.finfo(noise.dtype).tiny).log_()
        return (log_probabilities / temperature - noise).argmax(dim=1)

    return _walk(model, state, memory, pick, max_lengths, bos, eos, forbidden)


def _best_token(log_probabilities: Tensor) -> Tensor:
    return log_probabilities.argmax(dim=1)


def _walk(
    model: Steppable[StateT, MemoryT],
    state: StateT,
    memory: MemoryT,
    pick: Callable[[Tensor], Tensor],
    max_lengths: Tensor,
    bos: int,
    eos: int,
    forbidden: Sequence[int],
) -> list[Hypothesis]:
    """Extend one hypothesis per sentence by `pick` (log-probabilities [b, V] → tokens [b]) until all are
    finished.

    Finished sentences are removed from the batch. One host synchronisation per step (two if a sentence
    finishes).
    """
    device = max_lengths.device
    history = History(1)
    endings: dict[int, Ending] = {}
    with torch.inference_mode():
        banned = banned_tokens(bos, eos, forbidden, device)
        sentences = list(range(len(max_lengths)))
        limits, totals = max_lengths, torch.zeros(len(sentences), device=device)
        tokens = torch.full_like(max_lengths, bos)
        step = 0
        while sentences:
            predicted, state, attention = model.step(tokens, state, memory)
            predicted = predicted.float().index_fill(1, banned, -math.inf)  # [b, V]
            tokens = pick(predicted)
            totals = totals + predicted.gather(1, tokens[:, None]).squeeze(1)
            history.append(sentences, tokens[:, None], torch.zeros_like(tokens)[:, None], attention)
            ended = tokens == eos
            done = ended | (limits <= step + 1)
            valid, stopped, finished = torch.stack((totals.isfinite(), done, ended)).tolist()
            if not all(valid):
                raise no_number() if totals.isnan().any() else no_token()
            if any(stopped):
                for place, total in enumerate(totals.tolist()):
                    if stopped[place]:
                        sentence = sentences[place]
                        endings[sentence] = Ending(sentence, step, 0, finished[place], total, total)
                going = [place for place, stop in enumerate(stopped) if not stop]
                sentences = [sentences[place] for place in going]
                stay = torch.tensor(going, dtype=torch.int64, device=device)
                tokens, totals, limits = tokens[stay], totals[stay], limits[stay]
                if sentences:
                    state, memory = state.select(stay), memory.select(stay)
            step += 1
    return history.hypotheses([endings[sentence] for sentence in range(len(max_lengths))])
