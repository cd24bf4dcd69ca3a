"""One hypothesis a sentence, token by token: the best token (greedy) or a random one (sampling).

Shapes: B sentences, b of them still going, V vocabulary.
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

_COLDEST = 1e-6  # colder is greedy to the last digit, and log-probabilities over it would overflow at last


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
    """Take the best token at each step, until EOS; among equals the lowest.

    Args:
        model: gives the next token's log-probabilities.
        state: the decoder's first state, B rows.
        memory: the encoded sentences, B rows.
        max_lengths: int64 [B] on the model's device, at least 1: the most tokens, EOS counted.
        bos: the token every sentence starts from; never part of a hypothesis.
        eos: the token that ends a sentence.
        forbidden: more tokens that no hypothesis may contain, such as PAD.

    Returns:
        B hypotheses; their scores are their log-probabilities.

    Raises:
        NmtError: the model gives NaN, or no allowed token a probability above zero.
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
    """Draw each token from the model's distribution over the allowed ones (ancestral sampling).

    Args:
        model, state, memory, max_lengths, bos, eos, forbidden: as for `greedy`.
        temperature: log-probabilities are divided by it before drawing; towards 0 it becomes greedy.
        generator: the source of randomness, on the model's device; None: torch's own.

    Returns:
        B hypotheses; log-probabilities and scores are the model's own, at temperature 1 and before
        forbidden tokens were left out.

    Raises:
        ConfigError: the temperature is below 1e-6 or not finite.
        NmtError: as for `greedy`.
    """
    if not _COLDEST <= temperature < math.inf:
        raise ConfigError(
            f"temperature={temperature:g}: must be at least {_COLDEST:g}; for the best token, search instead"
        )

    def pick(log_probabilities: Tensor) -> Tensor:
        # The Gumbel-max trick: argmax(log p + g) is distributed as p. It needs no host
        # synchronisation and no check of its input; NaN wins the argmax and is found afterwards.
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
    """Extend one hypothesis a sentence by `pick` (log-probabilities [b, V] → tokens [b]) until all end.

    A sentence leaves the batch when it ends. One host synchronisation a step (two when one ends).
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
