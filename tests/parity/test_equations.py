"""The decoders against the papers' equations, sentence by sentence and step by step.

Only the decoders' weights are used here, none of their methods. If they store a matrix for a concatenation
in two parts, the parts are concatenated again, so that the equations are as printed.
"""

import math

import pytest
import torch
from tiny import SOURCES, TARGETS, random, tiny_config, tiny_model
from torch import Tensor, nn
from torch.nn import functional as F

from nmt.data.batches import collate
from nmt.model.attention.layer import Attention
from nmt.model.cells import RecurrentStack
from nmt.model.decoders.bahdanau import BahdanauDecoder
from nmt.model.decoders.luong import LuongDecoder
from nmt.model.decoders.vector import VectorDecoder
from nmt.model.encoders.encoded import Encoded
from nmt.model.positions import TargetPositions
from nmt.model.translation import TranslationModel

Recurrent = BahdanauDecoder | LuongDecoder | VectorDecoder
Layers = list[tuple[Tensor, ...]]  # (h,) or (h, c) of each layer, of one sentence
Steps = tuple[list[Tensor], list[Tensor]]  # features [F] and weights [K, S] of each step
LUONG = "decoder.style=luong attention.score=general "
RESET_BEFORE = "encoder.cell=gru_reset_before decoder.cell=gru_reset_before "
CONFIGS = [
    "",
    "attention.score=dot",
    "attention.heads=3",
    "attention.coverage=true",
    "attention.coverage=true attention.heads=2 attention.score=dot decoder.cell=lstm",
    "decoder.layers=2",
    "decoder.cell=lstm decoder.layers=2 encoder.cell=lstm",
    "decoder.tie_embeddings=true encoder.size=8 decoder.size=10",
    "decoder.tie_embeddings=true decoder.embedding=5",
    "decoder.lexical=true attention.heads=3",
    LUONG,
    LUONG + "decoder.lexical=true decoder.tie_embeddings=true",
    LUONG + "decoder.input_feeding=false",
    LUONG + "attention.score=additive decoder.layers=2",
    LUONG + "attention.heads=2 decoder.cell=lstm encoder.size=8",
    LUONG + "attention.heads=2 decoder.cell=lstm decoder.layers=2 decoder.input_feeding=false",
    LUONG + "attention.coverage=true",
    LUONG + "attention.coverage=true attention.heads=2 decoder.input_feeding=false",
    "decoder.readout_state=previous",
    "decoder.readout_state=previous decoder.layers=2 bridge=backward attention.coverage=true",
    LUONG + "decoder.bias=false",
    LUONG + "decoder.bias=false decoder.tie_embeddings=true decoder.lexical=true",
    LUONG + "decoder.tie_embeddings=false decoder.lexical=true decoder.tie_lexical=true",
    "decoder.lexical=true decoder.tie_lexical=true encoder.embedding=6",
    "decoder.style=vector",
    "decoder.style=vector decoder.cell=lstm decoder.layers=2 encoder.size=8",
]


def build(overrides: str) -> TranslationModel:
    return tiny_model(23, 23, tiny_config(overrides), double=True)


@pytest.fixture(params=CONFIGS)
def model(request: pytest.FixtureRequest) -> TranslationModel:
    return build(request.param)


# ---------------------------------------------------------------- the cells


def gru(W: Tensor, b: Tensor, U: Tensor, b_hidden: Tensor, x: Tensor, state: tuple[Tensor]) -> tuple[Tensor]:
    """Cho et al. 2014 with the reset gate applied as in PyTorch; the rows are reset, update, new."""
    (h,) = state
    r, z, n = (slice(k * len(h), (k + 1) * len(h)) for k in range(3))
    reset = torch.sigmoid(W[r] @ x + b[r] + U[r] @ h + b_hidden[r])
    update = torch.sigmoid(W[z] @ x + b[z] + U[z] @ h + b_hidden[z])
    new = torch.tanh(W[n] @ x + b[n] + reset * (U[n] @ h + b_hidden[n]))
    return ((1 - update) * new + update * h,)


def lstm(
    W: Tensor, b: Tensor, U: Tensor, b_hidden: Tensor, x: Tensor, state: tuple[Tensor, Tensor]
) -> tuple[Tensor, Tensor]:
    """Hochreiter and Schmidhuber 1997, with the forget gate; the rows are input, forget, new, output."""
    h, c = state
    rows = [slice(k * len(h), (k + 1) * len(h)) for k in range(4)]
    i, f, g, o = (W[k] @ x + b[k] + U[k] @ h + b_hidden[k] for k in rows)
    c = torch.sigmoid(f) * c + torch.sigmoid(i) * torch.tanh(g)
    return torch.sigmoid(o) * torch.tanh(c), c


def recur(stack: RecurrentStack, extra: Tensor | None, x: Tensor, layers: Layers) -> Layers:
    """One step of stacked layers; `extra` is the part of the lowest input matrix stored elsewhere."""
    cell = lstm if isinstance(stack.rnn, nn.LSTM) else gru
    weights = dict(stack.rnn.named_parameters())
    states: Layers = []
    for k, state in enumerate(layers):
        W = weights[f"weight_ih_l{k}"]
        W = W if k or extra is None else torch.cat((W, extra), dim=1)
        rest = (weights[f"{name}_l{k}"] for name in ("bias_ih", "weight_hh", "bias_hh"))
        states.append(cell(W, *rest, x, state))
        x = states[-1][0]
    return states


# ---------------------------------------------------------------- attention


def attend(attention: Attention, s: Tensor, states: Tensor, covered: Tensor) -> tuple[Tensor, Tensor]:
    """Context [M] and weights [K, S] of one query over the states [S, M] of one sentence.

    A head scores with its slice of the query and the keys, plus w times the coverage, and averages its
    slice of W^V h.
    """
    K, weights = len(covered), dict(attention.named_parameters())
    values = states @ weights["value.weight"].T if K > 1 else states
    contexts, rows = [], []
    for k in range(K):
        scores = []
        for j, h in enumerate(states):
            key = weights["score.key.weight"] @ h if "score.key.weight" in weights else h
            key = key.chunk(K)[k]
            if "score.key.weight" in weights and "score.energy" not in weights:
                key = key / math.sqrt(len(key))  # general stores √D W
            if "coverage" in weights:
                key = key + covered[k, j] * weights["coverage"][k, 0]
            if "score.energy" in weights:
                query = (weights["score.query.weight"] @ s).chunk(K)[k]
                scores.append(weights["score.energy"][k] @ torch.tanh(query + key))
            else:
                scores.append(s.chunk(K)[k] @ key)
        exponentials = torch.stack(scores).exp()
        rows.append(exponentials / exponentials.sum())
        slices = (alpha * value.chunk(K)[k] for alpha, value in zip(rows[-1], values, strict=True))
        contexts.append(torch.stack(list(slices)).sum(dim=0))
    return torch.cat(contexts), torch.stack(rows)


# ---------------------------------------------------------------- the decoders


def maxout(decoder: BahdanauDecoder | VectorDecoder, s: Tensor, y: Tensor, context: Tensor) -> Tensor:
    """t̃ = U s + V y + C c; the maximum of each pair of units."""
    U, V, C = decoder.readout.linear.weight.split((len(s), len(y), len(context)), dim=1)
    t = U @ s + V @ y + C @ context + decoder.readout.linear.bias
    return torch.stack([max(t[2 * j], t[2 * j + 1]) for j in range(len(t) // 2)])


def bahdanau(decoder: BahdanauDecoder, embedded: Tensor, layers: Layers, source: Encoded) -> Steps:
    """c_t from s_{t−1}; s_t = GRU([E y_{t−1} ; c_t]); maxout of U s_t (or s_{t−1}) + V E y_{t−1} + C c_t."""
    features, rows = [], []
    covered = source.states.new_zeros(decoder.attention.heads, len(source.states))
    for y in embedded:
        context, alphas = attend(decoder.attention, layers[-1][0], source.states, covered)
        covered = covered + alphas
        before = layers
        layers = recur(decoder.recurrence, decoder.value.weight, torch.cat((y, context)), layers)
        read = before if decoder.readout_previous else layers
        features.append(maxout(decoder, read[-1][0], y, context))
        rows.append(alphas)
    return features, rows


def luong(decoder: LuongDecoder, embedded: Tensor, layers: Layers, source: Encoded) -> Steps:
    """h_t = GRU([E y_{t−1} ; h̃_{t−1}]); c_t from h_t; h̃_t = tanh(W_c [c_t ; h_t])."""
    combine = torch.cat((decoder.value.weight, decoder.combine.weight), dim=1)  # W_c
    features, rows = [], []
    previous = torch.zeros_like(layers[-1][0])
    covered = source.states.new_zeros(decoder.attention.heads, len(source.states))
    for y in embedded:
        if decoder.feed is None:
            layers = recur(decoder.recurrence, None, y, layers)
        else:
            layers = recur(decoder.recurrence, decoder.feed.weight, torch.cat((y, previous)), layers)
        context, alphas = attend(decoder.attention, layers[-1][0], source.states, covered)
        covered = covered + alphas
        bias = 0 if decoder.combine.bias is None else decoder.combine.bias
        previous = torch.tanh(combine @ torch.cat((context, layers[-1][0])) + bias)
        features.append(previous)
        rows.append(alphas)
    return features, rows


def vector(decoder: VectorDecoder, embedded: Tensor, layers: Layers, source: Encoded) -> Steps:
    """s_t = GRU([E y_{t−1} ; c]); maxout of U s_t + V E y_{t−1} + C c, with c the encoder's last state."""
    features, rows = [], []
    for y in embedded:
        layers = recur(decoder.recurrence, None, torch.cat((y, source.last)), layers)
        features.append(maxout(decoder, layers[-1][0], y, source.last))
        rows.append(source.states.new_empty(0, len(source.states)))
    return features, rows


def lexical(model: TranslationModel, row: Tensor, source: Tensor) -> Tensor:
    """V g with g = tanh(W f + b) + f and f = tanh(Σ_j α_j E x_j) (Nguyen and Chiang 2018, §4); tied, V is the
    output projection.
    """
    W, b = model.lexical.hidden.weight, model.lexical.hidden.bias
    total = torch.zeros_like(b)
    for j, token in enumerate(source):
        total = total + sum(head[j] for head in row) / len(row) * model.source.table.weight[token]
    f = torch.tanh(total)
    g = torch.tanh(W @ f + b) + f
    if model.lexical.output is not None:
        return model.lexical.output.weight @ g
    projection = model.target.table if model.tied is not None else model.vocabulary
    resized = g if len(g) == projection.weight.shape[1] else model.lexical.resize.weight @ g
    return projection.weight @ resized


EQUATIONS = {BahdanauDecoder: bahdanau, LuongDecoder: luong, VectorDecoder: vector}


def test_decoder_is_the_papers_equations(model):
    batch, decoder = collate(SOURCES, TARGETS), model.decoder
    M, rnn = model.encoder.rnn.hidden_size * 2, decoder.recurrence.rnn
    states, last = random(*batch.source.shape, M, seed=7), random(3, M, seed=8)
    parts = 2 if isinstance(rnn, nn.LSTM) else 1
    layers = [
        tuple(random(3, 12, seed=10 * k + p)[:, : rnn.hidden_size] for p in range(parts))
        for k in range(rnn.num_layers)
    ]
    embedded = model.target.table.weight[batch.previous]
    encoded = Encoded(states, batch.source_mask, last)
    first = decoder.init_state(encoded)._replace(layers=tuple(layers))
    features, weights = decoder(embedded, TargetPositions.of(batch.target_mask), first, encoded)
    expected = []
    for b, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        S, T = len(source) + 1, len(target) + 1
        alone = Encoded(states[b, :S], batch.source_mask[b, :S], last[b])
        start = [tuple(part[b] for part in layer) for layer in layers]
        found, rows = EQUATIONS[type(decoder)](decoder, embedded[b, :T], start, alone)
        expected += found
        torch.testing.assert_close(weights[b, :, :T, :S], torch.stack(rows, dim=1), atol=1e-9, rtol=0)
    torch.testing.assert_close(features, torch.stack(expected), atol=1e-9, rtol=0)


def test_logits_are_the_vocabularys_projection(model):
    """Encoder, bridge, equations and output projection together give the model's output."""
    batch, decoder = collate(SOURCES[:1], TARGETS[:1]), model.decoder
    logits, _ = model(batch.source, batch.source_mask, batch.previous, batch.target_mask)
    encoded = model.encoder(model.source.table.weight[batch.source], batch.source_mask)
    layers = [(layer[0],) for layer in decoder.bridge(encoded)]
    if isinstance(decoder.recurrence.rnn, nn.LSTM):
        layers = [(h, torch.zeros_like(h)) for (h,) in layers]
    embedded = model.target.table.weight[batch.previous[0]]
    alone = Encoded(encoded.states[0], encoded.mask[0], encoded.last[0])
    features, rows = EQUATIONS[type(decoder)](decoder, embedded, layers, alone)
    if model.tied is None:
        expected = torch.stack(features) @ model.vocabulary.weight.T
        expected = expected if model.vocabulary.bias is None else expected + model.vocabulary.bias
    else:
        resized = [model.tied.resize.weight @ x if len(x) != embedded.shape[1] else x for x in features]
        expected = torch.stack([model.target.table.weight @ x for x in resized])
        expected = expected if model.tied.bias is None else expected + model.tied.bias
    if model.lexical is not None:
        expected = expected + torch.stack([lexical(model, row, batch.source[0]) for row in rows])
    torch.testing.assert_close(logits, expected, atol=1e-9, rtol=0)


# ---------------------------------------------------------------- gradients

OTHER = [
    *(
        f"attention.score={score} bridge=mean"
        for score in ("concat", "scaled_dot", "cosine", "gaussian", "location")
    ),
    "decoder.style=luong attention.scope=local_m attention.window=1",
    "attention.scope=local_p attention.window=2 bridge=attention_pooling",
    "encoder.type=convolutional encoder.layers=2 encoder.positions=3 bridge=luong_pooling",
    "encoder.type=self_attention encoder.layers=2 decoder.style=vector",
    "decoder.style=transformer decoder.layers=3 decoder.tie_embeddings=true",
    RESET_BEFORE + "decoder.readout_state=previous bridge=backward",
    RESET_BEFORE + "encoder.layers=2 decoder.layers=2 bridge=copy",
    "encoder.cell=lstm decoder.cell=lstm bridge=copy encoder.bidirectional=false encoder.reverse=true "
    "decoder.style=luong decoder.bias=false attention.score=dot",
]


def loss(model: TranslationModel) -> Tensor:
    batch = collate(SOURCES, TARGETS)
    logits, _ = model(batch.source, batch.source_mask, batch.previous, batch.target_mask)
    return F.cross_entropy(logits, batch.target[batch.target_mask], reduction="sum")


@pytest.mark.parametrize("overrides", CONFIGS + OTHER)
def test_gradient_of_the_loss_is_its_finite_difference(overrides):
    """Of every parameter, along a random direction."""
    model, step = build(overrides), 1e-5
    loss(model).backward()
    for seed, (name, parameter) in enumerate(model.named_parameters()):
        direction = random(*parameter.shape, seed=seed)
        found = (parameter.grad * direction).sum().item()
        if not name.endswith("key.bias"):  # adds a constant to all scores of a query
            assert parameter.grad.abs().max() > 1e-9, f"{name} takes no part in the loss"
        sides = []
        for shift in (step, -2 * step):
            parameter.data += shift * direction
            with torch.no_grad():
                sides.append(loss(model).item())
        parameter.data += step * direction
        assert found == pytest.approx((sides[0] - sides[1]) / (2 * step), rel=1e-6, abs=1e-7), name
