"""A fake model in NumPy for tests of search options: tables of log-probabilities and of attention; and all
sequences with their scores.
"""

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from nmt.config.decoding import DecodingConfig
from nmt.decoding.arrays import ArrayAttention, ArrayStep
from nmt.decoding.hypothesis import Hypothesis
from nmt.decoding.interface import Rows, SearchOptions
from nmt.decoding.search import Search, beam_search
from nmt.decoding.sources import Sources, Special

PAD, BOS, EOS = 0, 1, 2
SPECIAL = Special(BOS, EOS, (PAD,))
SOURCE = 4  # source tokens, EOS included


class TableState(NamedTuple):
    position: int
    before: np.ndarray  # [P], the token before the next input token
    sentences: np.ndarray  # [b]


@dataclass
class ArrayTable:
    """Log-probabilities [sentence, position, token before, token, next token], and attention of two heads
    [sentence, position, token before, token, head, source].
    """

    table: np.ndarray
    attention: np.ndarray
    heads = 2

    @staticmethod
    def random(seed: int, sentences: int = 1, longest: int = 4, vocabulary: int = 6) -> "ArrayTable":
        generator = np.random.default_rng(seed)
        logits = 1.5 * generator.standard_normal((sentences, longest, *[vocabulary] * 3))
        table = logits - np.log(np.exp(logits).sum(axis=-1, keepdims=True))
        weights = generator.exponential(size=(sentences, longest, vocabulary, vocabulary, 2, SOURCE))
        weights /= weights.sum(axis=-1, keepdims=True)
        return ArrayTable(table.astype(np.float32), weights.astype(np.float32))

    def encode(self, source: np.ndarray, mask: np.ndarray) -> TableState:
        return TableState(0, np.zeros(len(source), np.int64), source[:, 0])

    def step(self, state: TableState, rows: Rows) -> ArrayStep[TableState]:
        sentences = state.sentences if rows.going is None else state.sentences[rows.going]
        where = sentences[rows.sentences], state.position, state.before[rows.parents], rows.tokens
        after = TableState(state.position + 1, rows.tokens, sentences)
        return ArrayStep(self.table[where], after, ArrayAttention(self.attention[where]))

    def score(self, *arguments):
        raise NotImplementedError

    def prepared(self, lengths: Sequence[int], sentences: Sequence[int] | None = None) -> Sources:
        chosen = np.array(range(len(lengths)) if sentences is None else sentences, np.int64)
        tokens = np.repeat(chosen[:, None], SOURCE, axis=1)
        return Sources(tokens, np.ones_like(tokens, dtype=np.bool_), np.array(lengths, np.int64))

    def start(self, lengths, config: DecodingConfig, options=None, sentences=None) -> Search[TableState]:
        return Search(self, self.prepared(lengths, sentences), config, SPECIAL, options or SearchOptions())

    def search(self, lengths, config: DecodingConfig, options=None, sentences=None) -> list[list[Hypothesis]]:
        prepared = self.prepared(lengths, sentences)
        return beam_search(self, prepared, config, SPECIAL, options or SearchOptions())


class Scored(NamedTuple):
    tokens: list[int]
    finished: bool
    score: float
    log_probabilities: list[float]


def every_sequence(
    model: ArrayTable,
    longest: int,
    config: DecodingConfig,
    possible: Callable[[list[int]], bool] = lambda targets: True,
) -> list[Scored]:
    """All sequences of the first sentence: the finished ones by score, then the unfinished ones.

    Args:
        model, longest, config: as for a search.
        possible: of tokens, EOS included: whether they are allowed.
    """
    table, attention = model.table[0].tolist(), model.attention[0]
    found = []
    for length in range(longest + 1):
        for tokens in itertools.product(range(3, model.table.shape[-1]), repeat=length):
            finished = length < longest
            targets = [*tokens, EOS] if finished else [*tokens]
            if (finished and length < config.min_length) or not possible(targets):
                continue
            history = [0, BOS, *targets]
            values = [table[i][history[i]][history[i + 1]][target] for i, target in enumerate(targets)]
            read = [attention[i, history[i], history[i + 1]].mean(axis=0) for i in range(len(targets))]
            T = len(targets)
            norm = (5 + T) / 6 if config.normalisation == "wu" else T
            covered = [min(sum(float(row[j]) for row in read), 1.0) for j in range(SOURCE - 1)]
            penalty = config.coverage_penalty * sum(math.log(one) for one in covered)
            score = sum(values) / norm**config.length_penalty + penalty
            found.append(Scored([*tokens], finished, score, values))
    return sorted(found, key=lambda one: (not one.finished, -one.score))
