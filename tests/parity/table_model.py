"""Fake models for search tests: tables of log-probabilities.

Their attention weights encode the full history of a row, so that a misplaced state, memory row or attention
row is detected.
"""

import dataclasses
import itertools
from collections.abc import Collection
from dataclasses import dataclass, field

import numpy as np
import pytest
import torch
from torch import Tensor

from nmt.config.decoding import DecodingConfig, SamplingConfig
from nmt.decoding.constraint import Constraint
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.interface import SearchModel, SearchOptions
from nmt.decoding.sampling import Sampler
from nmt.decoding.search import beam_search
from nmt.decoding.sources import Sources, Special
from nmt.decoding.torch_model import TorchModel
from nmt.model.inference.layout import Layout
from nmt.model.inference.search_memory import SearchMemory

PAD, BOS, EOS = 0, 1, 2
SPECIAL = Special(BOS, EOS, (PAD,))
SETTINGS = [item.name for item in dataclasses.fields(DecodingConfig)]


@dataclass(frozen=True)
class State:
    sentence: Tensor
    before: Tensor  # the token before the next input token
    fingerprint: Tensor  # of all input tokens
    position: int = 0

    def select(self, index: Tensor) -> "State":
        return State(self.sentence[index], self.before[index], self.fingerprint[index], self.position)


@dataclass(frozen=True)
class Memory:
    sentence: Tensor

    def select(self, index: Tensor) -> "Memory":
        return Memory(self.sentence[index])


@dataclass
class TableModel:
    """Log-probabilities [sentence, position, token before, token, next token]."""

    table: Tensor
    rows: list[int] = field(default_factory=list)  # number of rows at each step

    def step(self, tokens: Tensor, state: State, memory: Memory) -> tuple[Tensor, State, Tensor]:
        assert torch.equal(state.sentence, memory.sentence), "state and memory are out of step"
        self.rows.append(len(tokens))
        fingerprint = (31 * state.fingerprint + tokens) % 65521
        where = torch.full_like(tokens, state.position)
        attention = torch.stack([fingerprint, where, tokens, state.sentence], dim=1).float().unsqueeze(1)
        predicted = self.table[memory.sentence, where, state.before, tokens]
        return predicted, State(state.sentence, tokens, fingerprint, state.position + 1), attention

    device, heads = torch.device("cpu"), 1

    def start(self, sentences: list[int] | None = None) -> tuple[State, Memory]:
        chosen = torch.tensor(range(len(self.table)) if sentences is None else sentences)
        zero = torch.zeros_like(chosen)
        return State(chosen, zero, zero), Memory(chosen)

    def encode(self, source: Tensor, mask: Tensor) -> tuple[State, Memory]:
        return self.start(source[:, 0].tolist())

    def search(self, lengths: list[int], sentences: list[int] | None = None, **options):
        return search(self, lengths, sentences, **options)

    def greedy(self, lengths: list[int], **options) -> list[Hypothesis]:
        return [one for (one,) in search(self, lengths, beam_size=1, length_penalty=0.0, **options)]

    def sample(
        self,
        lengths: list[int],
        sentences: list[int] | None = None,
        seed: int = 0,
        generators: list[np.random.Generator] | None = None,
        attention: Collection[int] | None = None,
        **sampling,
    ) -> list[Hypothesis]:
        generators = generators or [np.random.default_rng((seed, i)) for i in range(len(lengths))]
        draws = [[one] for one in generators]
        return [one for (one,) in self.draw(lengths, draws, sentences, attention, **sampling)]

    def draw(
        self,
        lengths: list[int],
        generators: list[list[np.random.Generator]],
        sentences: list[int] | None = None,
        attention: Collection[int] | None = None,
        constraints: dict[int, Constraint] | None = None,
        min_length: int = 0,
        **sampling,
    ) -> list[list[Hypothesis]]:
        wanted = frozenset(range(len(lengths)) if attention is None else attention)
        options = SearchOptions(attention=wanted, constraints=constraints or {})
        config = DecodingConfig(
            length_penalty=0.0, min_length=min_length, sampling=SamplingConfig(**sampling)
        )
        return draws(TorchModel(self), sources(lengths, sentences), config, options, generators)


def draws(
    model: SearchModel,
    given: Sources,
    config: DecodingConfig,
    options: SearchOptions,
    generators: list[list[np.random.Generator]],
) -> list[list[Hypothesis]]:
    """Samples of a model."""
    sampler = Sampler(model, given, config, SPECIAL, options, generators)
    ended = []
    while sampler.active:
        ended += sampler.step()
    assert sorted(ended) == list(range(len(given.limits)))
    return sampler.hypotheses(range(len(given.limits)))


def sources(lengths: list[int], sentences: list[int] | None = None) -> Sources:
    """The sentences of a table with these numbers, and the maximum lengths of their translations."""
    chosen = np.array(range(len(lengths)) if sentences is None else sentences, np.int64)
    tokens = np.stack((chosen, np.full_like(chosen, 7), np.full_like(chosen, 7), chosen), axis=1)
    return Sources(tokens, np.ones_like(tokens, dtype=np.bool_), np.array(lengths, np.int64))


def search(
    model, lengths: list[int], sentences: list[int] | None = None, special: Special = SPECIAL, **options
) -> list[list[Hypothesis]]:
    """Beam search of a model in PyTorch, with settings and search options by name."""
    options = {"beam_size": 3, "lookahead": None, "attention": range(len(lengths))} | options
    config = DecodingConfig(**{name: value for name, value in options.items() if name in SETTINGS})
    rest = {name: value for name, value in options.items() if name not in SETTINGS}
    rest["attention"] = frozenset(rest["attention"])
    return beam_search(TorchModel(model), sources(lengths, sentences), config, special, SearchOptions(**rest))


class SharedModel(TableModel):
    """The same with one row of memory per sentence, so that only live hypotheses have rows."""

    def step(self, tokens: Tensor, state: State, memory: SearchMemory) -> tuple[Tensor, State, Tensor]:
        rows = memory.source.select(memory.layout.sentence_of_rows(tokens.device))
        return super().step(tokens, state, rows)

    def start(self, sentences: list[int] | None = None) -> tuple[State, SearchMemory]:
        state, memory = super().start(sentences)
        return state, SearchMemory(memory, None, Layout(len(memory.sentence)))


def random_model(seed: int, sentences: int = 1, longest: int = 4, vocabulary: int = 6) -> TableModel:
    generator = torch.Generator().manual_seed(seed)
    logits = torch.randn(sentences, longest, *[vocabulary] * 3, generator=generator)
    return TableModel((1.5 * logits).log_softmax(dim=-1))


def tied_model(seed: int, longest: int, vocabulary: int = 5, sentences: int = 1) -> TableModel:
    """Few distinct values with exact sums: many ties."""
    generator = torch.Generator().manual_seed(seed)
    shape = (sentences, longest, *[vocabulary] * 3)
    return TableModel(-torch.randint(1, 9, shape, generator=generator) / 8)


def force_decode(model: TableModel, sentence: int, one: Hypothesis) -> tuple[float, np.ndarray]:
    """Log-probability and attention of a hypothesis, by feeding its tokens to the model."""
    state, memory = model.start([sentence])
    targets = one.tokens + [EOS] * one.finished
    total, rows = 0.0, []
    for read, written in zip([BOS, *targets], targets, strict=False):
        predicted, state, attention = model.step(torch.tensor([read]), state, memory)
        total += float(predicted[0, written])
        rows.append(attention)
    return total, torch.cat(rows).numpy()


def check_forced(model: TableModel, sentence: int, one: Hypothesis) -> None:
    total, attention = force_decode(model, sentence, one)
    assert one.log_probability == pytest.approx(total, abs=1e-5)
    assert sum(one.log_probabilities) == pytest.approx(total, abs=1e-5)
    assert len(one.log_probabilities) == len(one.tokens) + one.finished
    assert np.array_equal(one.attention, attention)
    assert one.attention.dtype == np.float32
    assert one.attention.base is None  # keeps no other memory alive
    assert not {PAD, BOS, EOS} & set(one.tokens)


def same(one: Hypothesis, other: Hypothesis) -> bool:
    exact = (one.tokens, one.finished) == (other.tokens, other.finished)
    near = (other.log_probability, other.score) == pytest.approx((one.log_probability, one.score))
    return exact and near and np.array_equal(one.attention, other.attention)


def enumerate_all(model: TableModel, longest: int, penalty: float) -> list[tuple[list[int], bool, float]]:
    """All sequences as (tokens, finished, score): the finished ones by score, then the unfinished."""
    table = model.table[0].tolist()
    words = range(3, model.table.shape[-1])
    found = []
    for length in range(longest + 1):
        for tokens in itertools.product(words, repeat=length):
            targets = [*tokens, EOS] if length < longest else [*tokens]
            history = [0, BOS, *targets]
            total = sum(table[i][history[i]][history[i + 1]][target] for i, target in enumerate(targets))
            found.append(([*tokens], length < longest, total / len(targets) ** penalty))
    return sorted(found, key=lambda item: (not item[1], -item[2]))


def scripted(longest: int, choices: dict[int, dict[int, float]], otherwise: float = -30.0) -> TableModel:
    """Log-probabilities that depend on the position only."""
    table = torch.full((1, longest, 5, 5, 5), otherwise)
    for position, values in choices.items():
        for token, value in values.items():
            table[..., position, :, :, token] = value
    return TableModel(table)
