"""The decoders against the papers' equations, sentence by sentence, step by step, word by word.

Nothing of the decoders' own methods is used here, only their weights. Where they hold a matrix of a
concatenation in two parts, the parts are put together again, so that the equations stand as printed.
"""

import dataclasses

import pytest
import torch
from tiny import TINY, tiny_model, with_decoder
from torch import Tensor
from torch.nn import functional as F

from nmt.config import AttentionConfig, ModelConfig
from nmt.data.batches import collate
from nmt.model.decoder import BahdanauDecoder, LuongDecoder
from nmt.model.recurrent import GRUCell
from nmt.model.translation import TranslationModel

SOURCES = [[5, 6, 7, 8, 9], [10, 11], [12, 13, 14]]
TARGETS = [[4, 5], [6, 7, 8, 9, 10, 11], [12]]


def scored(config: ModelConfig, score: str) -> ModelConfig:
    return dataclasses.replace(config, attention=AttentionConfig(score=score, size=9))


LUONG = scored(with_decoder(TINY, style="luong"), "general")
CONFIGS = {
    "bahdanau": TINY,
    "bahdanau-dot": scored(TINY, "dot"),
    "bahdanau-two-layers": with_decoder(TINY, layers=2),
    "bahdanau-tied": with_decoder(TINY, tie_embeddings=True),
    "bahdanau-tied-same-size": with_decoder(TINY, tie_embeddings=True, embedding=5),
    "luong": LUONG,
    "luong-additive-two-layers": scored(with_decoder(LUONG, layers=2), "additive"),
    "luong-no-feeding": with_decoder(LUONG, input_feeding=False),
}


@pytest.fixture(params=CONFIGS)
def model(request: pytest.FixtureRequest) -> TranslationModel:
    return tiny_model(23, 23, CONFIGS[request.param], double=True)


def gru(W: Tensor, b: Tensor, U: Tensor, b_hidden: Tensor, x: Tensor, h: Tensor) -> Tensor:
    """Cho et al. 2014 with PyTorch's place of the reset gate; the rows are reset, update, new."""
    H = len(h)
    r, z, n = (slice(k * H, (k + 1) * H) for k in range(3))
    reset = torch.sigmoid(W[r] @ x + b[r] + U[r] @ h + b_hidden[r])
    update = torch.sigmoid(W[z] @ x + b[z] + U[z] @ h + b_hidden[z])
    new = torch.tanh(W[n] @ x + b[n] + reset * (U[n] @ h + b_hidden[n]))
    return (1 - update) * new + update * h


def recur(cells: list[GRUCell], extra: Tensor | None, x: Tensor, hidden: list[Tensor]) -> list[Tensor]:
    """One step of stacked layers; `extra` is the part of the lowest input matrix kept elsewhere."""
    states = []
    for k, cell in enumerate(cells):
        W = cell.input.weight if k or extra is None else torch.cat((cell.input.weight, extra), dim=1)
        x = gru(W, cell.input.bias, cell.hidden.weight, cell.hidden.bias, x, hidden[k])
        states.append(x)
    return states


def attend(decoder: BahdanauDecoder | LuongDecoder, s: Tensor, states: Tensor) -> tuple[Tensor, Tensor]:
    """Context and weights of one query over the states [S, M] of one sentence."""
    weights = decoder.attention.score.state_dict()
    scores = []
    for h in states:
        if "energy.weight" in weights:
            inner = torch.tanh(weights["query.weight"] @ s + weights["key.weight"] @ h)
            scores.append(weights["energy.weight"][0] @ inner)
        elif "key.weight" in weights:
            scores.append(s @ weights["key.weight"] @ h)
        else:
            scores.append(s @ h)
    exponentials = torch.stack(scores).exp()
    alphas = exponentials / exponentials.sum()
    context = torch.zeros_like(states[0])
    for alpha, h in zip(alphas, states, strict=True):
        context = context + alpha * h
    return context, alphas


def bahdanau(
    decoder: BahdanauDecoder, embedded: Tensor, hidden: list[Tensor], states: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """c_t from s_{t−1}; s_t = GRU([E y_{t−1} ; c_t]); maxout of U s_t + V E y_{t−1} + C c_t."""
    cells = [decoder.recurrence.lowest, *decoder.recurrence.upper]
    features, rows = [], []
    for y in embedded:
        context, alphas = attend(decoder, hidden[-1], states)
        hidden = recur(cells, decoder.value.weight, torch.cat((y, context)), hidden)
        U, V, C = decoder.readout.weight.split((len(hidden[-1]), len(y), len(context)), dim=1)
        t = U @ hidden[-1] + V @ y + C @ context + decoder.readout.bias
        features.append(torch.stack([max(t[2 * j], t[2 * j + 1]) for j in range(len(t) // 2)]))
        rows.append(alphas)
    return features, rows


def luong(
    decoder: LuongDecoder, embedded: Tensor, hidden: list[Tensor], states: Tensor
) -> tuple[list[Tensor], list[Tensor]]:
    """h_t = GRU([E y_{t−1} ; h̃_{t−1}]); c_t from h_t; h̃_t = tanh(W_c [c_t ; h_t])."""
    cells = [decoder.recurrence.lowest, *decoder.recurrence.upper]
    combine = torch.cat((decoder.value.weight, decoder.combine.weight), dim=1)  # W_c
    features, rows = [], []
    previous = torch.zeros_like(hidden[-1])
    for y in embedded:
        if decoder.feed is None:
            hidden = recur(cells, None, y, hidden)
        else:
            hidden = recur(cells, decoder.feed.weight, torch.cat((y, previous)), hidden)
        context, alphas = attend(decoder, hidden[-1], states)
        previous = torch.tanh(combine @ torch.cat((context, hidden[-1])) + decoder.combine.bias)
        features.append(previous)
        rows.append(alphas)
    return features, rows


def test_decoder_is_the_papers_equations(model):
    batch, decoder = collate(SOURCES, TARGETS), model.decoder
    generator = torch.Generator().manual_seed(7)
    states = torch.randn(*batch.source.shape, 12, dtype=torch.float64, generator=generator)
    layers = 1 + len(decoder.recurrence.upper)
    first = tuple(torch.randn(3, 12, dtype=torch.float64, generator=generator) for _ in range(layers))
    embedded = model.embedding(batch.previous)
    memory = decoder.prepare(states, batch.source_mask)
    features, weights = decoder(embedded, batch.target_mask, decoder.init_state(first), memory)
    equations = bahdanau if isinstance(decoder, BahdanauDecoder) else luong
    expected = []
    for b, (source, target) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        S, T = len(source) + 1, len(target) + 1
        found, rows = equations(decoder, embedded[b, :T], [layer[b] for layer in first], states[b, :S])
        expected += found
        torch.testing.assert_close(weights[b, :T, :S], torch.stack(rows), atol=1e-9, rtol=0)
    torch.testing.assert_close(features, torch.stack(expected), atol=1e-9, rtol=0)


def test_logits_are_the_vocabularys_projection(model):
    """Encoder, bridge, equations and projection in one chain give what the model gives."""
    batch = collate(SOURCES[:1], TARGETS[:1])
    logits, _ = model(batch.source, batch.source_mask, batch.previous, batch.target_mask)
    encoded = model.encoder(batch.source, batch.source_mask)
    hidden = [layer[0] for layer in model.bridge(encoded)]
    equations = bahdanau if isinstance(model.decoder, BahdanauDecoder) else luong
    embedded = model.embedding.weight[batch.previous[0]]
    features, _ = equations(model.decoder, embedded, hidden, encoded.states[0])
    if model.tied is None:
        expected = torch.stack(features) @ model.vocabulary.weight.T + model.vocabulary.bias
    else:
        resized = [model.tied.resize.weight @ x if len(x) != embedded.shape[1] else x for x in features]
        expected = torch.stack([model.embedding.weight @ x + model.tied.bias for x in resized])
    torch.testing.assert_close(logits, expected, atol=1e-9, rtol=0)


def test_gradient_of_the_loss_is_its_finite_difference(model):
    """Two numbers of every parameter, the one with the steepest gradient among them."""
    batch = collate(SOURCES, TARGETS)

    def loss() -> Tensor:
        logits, _ = model(batch.source, batch.source_mask, batch.previous, batch.target_mask)
        return F.cross_entropy(logits, batch.target[batch.target_mask], reduction="sum")

    loss().backward()
    generator = torch.Generator().manual_seed(0)
    step = 1e-5
    for name, parameter in model.named_parameters():
        gradient, values = parameter.grad.flatten(), parameter.data.view(-1)
        assert gradient.abs().max() > 0, f"{name} takes no part in the loss"
        anywhere = int(torch.randint(len(values), (), generator=generator))
        for place in {int(gradient.abs().argmax()), anywhere}:
            kept, sides = values[place].item(), []
            for shift in (step, -step):
                values[place] = kept + shift
                with torch.no_grad():
                    sides.append(loss().item())
            values[place] = kept
            difference = (sides[0] - sides[1]) / (2 * step)
            found = gradient[place].item()
            assert found == pytest.approx(difference, rel=1e-6, abs=1e-7), f"{name}[{place}]"
