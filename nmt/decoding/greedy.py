"""Greedy search and sampling: one hypothesis per sentence.

Shapes: B sentences, b of them active, V vocabulary.
"""

import math
from collections.abc import Callable, Collection, Sequence

import numpy as np
import torch
from torch import Tensor

from nmt.decoding.hypothesis import BackPointer, History, Hypothesis, banned_tokens, dead_end_error, nan_error
from nmt.model.inference.step_model import StepModel
from nmt.errors import ConfigError
from nmt.model.decoders.decoder import MemoryT, StateT

_COLDEST = 1e-6  # lower temperatures would be the same as greedy, and could overflow
Select = Callable[[Tensor, Sequence[int]], Tensor]
"""Log-probabilities [b, V] and the active sentences → the next token of each, int64 [b]."""


def greedy(
    model: StepModel[StateT, MemoryT],
    state: StateT,
    memory: MemoryT,
    *,
    max_lengths: Tensor,
    bos: int,
    eos: int,
    forbidden: Sequence[int] = (),
    attention: Collection[int] = (),
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
        attention: the sentences, counted from 0, whose hypotheses get their attention.

    Returns:
        B hypotheses; the score of each is its log-probability.

    Raises:
        NmtError: if the model returns NaN, or probability zero for every allowed token.
    """
    history = History(1, attention)
    return _decode(model, state, memory, _best_token, max_lengths, bos, eos, forbidden, history)


def sample(
    model: StepModel[StateT, MemoryT],
    state: StateT,
    memory: MemoryT,
    *,
    max_lengths: Tensor,
    bos: int,
    eos: int,
    generators: Sequence[np.random.Generator],
    temperature: float = 1.0,
    forbidden: Sequence[int] = (),
    attention: Collection[int] = (),
) -> list[Hypothesis]:
    """Ancestral sampling: draw each token from the model's distribution over the allowed tokens.

    Args:
        model, state, memory, max_lengths, bos, eos, forbidden, attention: as for `greedy`.
        generators: a random generator for each sentence, so that a sample does not depend on the other
            sentences of the batch, nor on the device.
        temperature: divides the log-probabilities before sampling; approaches greedy search towards 0.

    Returns:
        B hypotheses; log-probabilities and scores are those of the model, at temperature 1 and without
        renormalising over the allowed tokens.

    Raises:
        ConfigError: if the temperature is below 1e-6 or not finite.
        NmtError: as for `greedy`.
    """
    check_temperature(temperature)
    tiny = np.finfo(np.float32).tiny

    def select(log_probabilities: Tensor, sentences: Sequence[int]) -> Tensor:
        # Gumbel-max trick: argmax(log p + g) is distributed as p, where −g is the logarithm of an
        # exponential variable. NaN wins the argmax and is detected afterwards.
        V = log_probabilities.shape[1]
        draws = [generators[sentence].standard_exponential(V, np.float32) for sentence in sentences]
        noise = torch.from_numpy(np.log(np.maximum(draws, tiny))).to(log_probabilities.device)
        return (log_probabilities / temperature - noise).argmax(dim=1)

    history = History(1, attention)
    return _decode(model, state, memory, select, max_lengths, bos, eos, forbidden, history)


def check_temperature(temperature: float) -> None:
    """Check a sampling temperature.

    Raises:
        ConfigError: if it is below 1e-6 or not finite.
    """
    if not _COLDEST <= temperature < math.inf:
        raise ConfigError(
            f"temperature={temperature:g}: must be at least {_COLDEST:g} and finite; for the most probable "
            "tokens, use greedy search"
        )


def _best_token(log_probabilities: Tensor, sentences: Sequence[int]) -> Tensor:
    return log_probabilities.argmax(dim=1)


def _decode(
    model: StepModel[StateT, MemoryT],
    state: StateT,
    memory: MemoryT,
    select: Select,
    max_lengths: Tensor,
    bos: int,
    eos: int,
    forbidden: Sequence[int],
    history: History,
) -> list[Hypothesis]:
    """Extend one hypothesis per sentence by `select` until all are finished.

    Finished sentences are removed from the batch. One host synchronisation per step (two if a sentence
    finishes).
    """
    device = max_lengths.device
    back_pointers: dict[int, BackPointer] = {}
    with torch.inference_mode():
        banned = banned_tokens(bos, eos, forbidden, device)
        sentences = list(range(len(max_lengths)))
        limits, totals = max_lengths, torch.zeros(len(sentences), device=device)
        tokens = torch.full_like(max_lengths, bos)
        step = 0
        while sentences:
            predicted, state, attention = model.step(tokens, state, memory)
            predicted = predicted.float().index_fill_(1, banned, -math.inf)  # [b, V]
            tokens = select(predicted, sentences)
            totals = totals + predicted.gather(1, tokens[:, None]).squeeze(1)
            history.append(
                sentences, tokens[:, None], torch.zeros_like(tokens)[:, None], attention, [1] * len(sentences)
            )
            ended = tokens == eos
            done = ended | (limits <= step + 1)
            valid, stopped, finished = torch.stack((totals.isfinite(), done, ended)).tolist()
            if not all(valid):
                raise nan_error() if totals.isnan().any() else dead_end_error()
            if any(stopped):
                for row, total in enumerate(totals.tolist()):
                    if stopped[row]:
                        sentence = sentences[row]
                        back_pointers[sentence] = BackPointer(sentence, step, 0, finished[row], total, total)
                going = [row for row, stop in enumerate(stopped) if not stop]
                sentences = [sentences[row] for row in going]
                stay = torch.tensor(going, dtype=torch.int64, device=device)
                tokens, totals, limits = tokens[stay], totals[stay], limits[stay]
                if sentences:
                    state, memory = state.select(stay), memory.select(stay)
            step += 1
    return history.hypotheses([back_pointers[sentence] for sentence in range(len(max_lengths))])
