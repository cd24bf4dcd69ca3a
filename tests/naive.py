"""Attention in plain Python, one number at a time: what the tensors of `nmt.model` must agree with.

Written from the papers' equations. Vectors are lists; there are no batches, no padding, and one query
at a time.
"""

import math
from typing import Any, NamedTuple

import torch
from hypothesis import strategies as st
from torch import Tensor, nn

from nmt.config.model import AttentionConfig
from nmt.model.attention.layer import Attention, Keys, average

SCORES = ("additive", "concat", "dot", "general", "scaled_dot", "cosine", "gaussian", "location")
SCOPES = ("global", "local_m", "local_p", "hard")
Vector = list[float]


def times(matrix: list[Vector], vector: Vector) -> Vector:
    return [dot(row, vector) for row in matrix]


def dot(one: Vector, other: Vector) -> float:
    return sum(x * y for x, y in zip(one, other, strict=True))


def plus(one: Vector, other: Vector) -> Vector:
    return [x + y for x, y in zip(one, other, strict=True)]


def length(vector: Vector) -> float:
    return math.sqrt(dot(vector, vector))


def softmax(scores: Vector) -> Vector:
    exponentials = [math.exp(score - max(scores)) for score in scores]
    return [value / sum(exponentials) for value in exponentials]


class NaiveAttention:
    """The same parameters as `attention`, and the equations over them."""

    def __init__(self, attention: Attention, config: AttentionConfig) -> None:
        self.config, self.heads = config, config.heads
        self.parameters: dict[str, Any] = {
            name: value.tolist() for name, value in attention.state_dict().items()
        }

    def slice(self, vector: Vector, k: int) -> Vector:
        """What head k sees of a vector."""
        size = len(vector) // self.heads
        return vector[k * size : (k + 1) * size]

    # ---- scores: query s, state h at position j, head k; `covered` is what coverage adds to the key

    def score(self, k: int, s: Vector, h: Vector, j: int, received: float = 0.0) -> float:
        if self.config.score == "location":
            scores = self.slice(times(self.parameters["score.position.weight"], s), k)
            return scores[j] if j < len(scores) else -math.inf
        if self.config.score in ("additive", "concat"):
            before = self.slice(self._hidden(s, h), k)
            hidden = [math.tanh(x) for x in self._cover(before, k, received)]
            return dot(self.parameters["score.energy"][k], hidden)
        query, key = self.slice(self._query(s), k), self._cover(self.slice(self._key(h), k), k, received)
        if self.config.score == "scaled_dot":
            return dot(query, key) / math.sqrt(len(key))
        if self.config.score == "cosine":
            strength = math.exp(self.parameters["score.log_strength"][k][0][0])
            return strength * dot(query, key) / (length(query) * length(key))
        if self.config.score == "gaussian":
            width = math.exp(self.parameters["score.log_width"][k][0][0])
            return -sum((x - y) ** 2 for x, y in zip(query, key, strict=True)) / (2 * width**2)
        assert self.config.score in ("dot", "general")
        return dot(query, key)

    def _hidden(self, s: Vector, h: Vector) -> Vector:
        if self.config.score == "concat":
            return times(self.parameters["score.both.weight"], s + h)
        query, key = self.parameters["score.query.weight"], self.parameters["score.key.weight"]
        return plus(times(query, s), times(key, h))

    def _query(self, s: Vector) -> Vector:
        return times(self.parameters["score.query.weight"], s) if self.config.score == "scaled_dot" else s

    def _key(self, h: Vector) -> Vector:
        if self.config.score == "dot":
            return h
        key = times(self.parameters["score.key.weight"], h)
        root = math.sqrt(len(key) / self.config.heads)  # general keeps √D W
        return [x / root for x in key] if self.config.score == "general" else key

    def _cover(self, key: Vector, k: int, received: float) -> Vector:
        if not self.config.coverage:
            return key
        return [x + received * w for x, w in zip(key, self.parameters["coverage"][k][0], strict=True)]

    # ---- scopes: the weights of one head over the real positions

    def weights(self, scores: Vector, s: Vector, step: int) -> Vector:
        if self.config.scope == "global":
            return softmax(scores)
        if self.config.scope == "hard":
            return [float(j == scores.index(max(scores))) for j in range(len(scores))]
        last = sum(score > -math.inf for score in scores) - 1
        centre = float(min(step, last)) if self.config.scope == "local_m" else last * self._predicted(s)
        D = self.config.window
        window = [j for j in range(last + 1) if abs(j - centre) <= D]
        weights = [0.0] * len(scores)
        for j, weight in zip(window, softmax([scores[j] for j in window]), strict=True):
            kernel = math.exp(-((j - centre) ** 2) / (2 * (D / 2) ** 2))
            weights[j] = weight if self.config.scope == "local_m" else weight * kernel
        return [weight / sum(weights) for weight in weights]

    def _predicted(self, s: Vector) -> float:
        """Where in the sentence local-p looks, from 0 to 1; W and v are kept as √Q W and √Q v."""
        root = math.sqrt(len(s))
        hidden = [math.tanh(x / root) for x in times(self.parameters["scope.hidden.weight"], s)]
        return 1 / (1 + math.exp(-dot(self.parameters["scope.centre.weight"][0], hidden) / root))

    # ---- all of it

    def attend(self, s: Vector, states: list[Vector], step: int, covered: list[Vector]) -> list[Vector]:
        """The weights of one query in every head; `covered` is what each head gave each position before."""
        found = []
        for k in range(self.heads):
            scores = [self.score(k, s, h, j, covered[k][j]) for j, h in enumerate(states)]
            found.append(self.weights(scores, s, step))
        return found

    def context(self, weights: list[Vector], states: list[Vector]) -> Vector:
        """The average of the states; with several heads each averages its slice of the values."""
        values = [times(self.parameters["value.weight"], h) for h in states] if self.heads > 1 else states
        context: Vector = []
        for k in range(self.heads):
            slices = [self.slice(value, k) for value in values]
            context += [dot(weights[k], list(units)) for units in zip(*slices, strict=True)]
        return context


# ---------------------------------------------------------------- cases


def random(*shape: int, seed: int) -> Tensor:
    return torch.randn(*shape, dtype=torch.float64, generator=torch.Generator().manual_seed(seed))


def padded_mask(lengths: list[int], padding: int = 0) -> Tensor:
    """[B, S]; `padding` positions more than the longest sentence needs."""
    return torch.arange(max(lengths) + padding) < torch.tensor(lengths).unsqueeze(1)


def make(config: AttentionConfig, query_size: int, state_size: int, seed: int = 0) -> Attention:
    """An attention with every parameter from uniform(-1, 1)."""
    torch.manual_seed(seed)
    attention = Attention(query_size, state_size, config).double()
    for parameter in attention.parameters():
        nn.init.uniform_(parameter, -1, 1)
    return attention


def attend(attention: Attention, query: Tensor, keys: Keys, first: int = 0) -> tuple[Tensor, Tensor]:
    """Contexts [B, T, M] and weights [B, K, T, S], as the decoders compute them at their first step."""
    weights = attention.weights(query, keys, first, attention.no_coverage(keys))
    return average(weights, keys.states), weights


class Shape(NamedTuple):
    """The sizes of a random case; units are those of one head."""

    lengths: list[int]
    T: int
    first: int
    query_units: int
    state_units: int
    hidden_units: int
    window: int
    positions: int
    seed: int


shapes = st.builds(
    Shape,
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    T=st.integers(1, 3),
    first=st.integers(0, 7),
    query_units=st.integers(1, 3),
    state_units=st.integers(1, 3),
    hidden_units=st.integers(1, 3),
    window=st.integers(1, 2),
    positions=st.integers(1, 7),
    seed=st.integers(0, 10**6),
)


class Case(NamedTuple):
    """An attention with what to attend with and to: [B, T, Q], [B, S, M], [B, S]."""

    config: AttentionConfig
    attention: Attention
    query: Tensor
    states: Tensor
    mask: Tensor

    def padded(self, padding: int) -> "Case":
        """The same sentences with `padding` more positions, where nonsense stands."""
        nonsense = torch.full((len(self.mask), padding, self.states.shape[2]), 50.0, dtype=torch.float64)
        empty = self.mask.new_zeros((len(self.mask), padding))
        return self._replace(
            states=torch.cat((self.states, nonsense), 1), mask=torch.cat((self.mask, empty), 1)
        )


def case(score: str, scope: str, heads: int, shape: Shape, coverage: bool = False) -> Case:
    """The random case of a shape. Sizes that heads need not divide are not multiples of them."""
    sliced = score not in ("additive", "concat", "location")
    least = 2 if score == "cosine" else 1  # keys on one line all tie
    query_size = max(shape.query_units, least) * (heads if sliced else 1)
    state_size = query_size if score == "dot" else max(shape.state_units, least) * heads
    config = AttentionConfig(
        score=score,
        scope=scope,
        heads=heads,
        coverage=coverage,
        size=shape.hidden_units * heads,
        positions=shape.positions,
        window=shape.window,
    )
    mask = padded_mask(shape.lengths)
    return Case(
        config,
        make(config, query_size, state_size, shape.seed),
        random(len(mask), shape.T, query_size, seed=shape.seed),
        random(*mask.shape, state_size, seed=shape.seed + 1),
        mask,
    )
