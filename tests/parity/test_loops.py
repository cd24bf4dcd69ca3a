"""The hand-written loops against PyTorch's GRU and the decoders' plain loops: values and gradients."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import random, tiny_config, tiny_model
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from nmt.config.model import AttentionConfig
from nmt.data.batches import Batch, collate
from nmt.model.attention.scores.dot import DotScore
from nmt.model.attention.scores.score import Score
from nmt.model.decoders.bahdanau import BahdanauDecoder
from nmt.model.decoders.luong import LuongDecoder
from nmt.model.loops import bahdanau_loop as bahdanau_module
from nmt.model.loops import luong_loop as luong_module
from nmt.model.loops.gru_sequence import gru_layers, gru_sequence
from nmt.model.loops.packed import PackedStates, TokenIndices, padded
from nmt.model.positions import TargetPositions
from nmt.model.translation import TranslationModel

VOCABULARY = 23
SCORES = ("additive", "concat", "dot", "general", "scaled_dot")
CONFIGS = [
    *(f"decoder.style=bahdanau attention.score={score}" for score in SCORES),
    *(f"decoder.style=luong attention.score={score}" for score in SCORES),
    "decoder.style=luong decoder.bias=false",
    "decoder.style=bahdanau decoder.lexical=true bridge=mean",
]
WITHOUT_LOOP = [
    "decoder.style=bahdanau decoder.readout_state=previous",
    "decoder.style=luong decoder.input_feeding=false",
    *(
        f"decoder.style={style} {change}"
        for style in ("bahdanau", "luong")
        for change in (
            "attention.heads=3",
            "attention.coverage=true",
            "attention.scope=local_p attention.window=1",
            "attention.scope=hard",
            "attention.score=gaussian",
            "decoder.cell=lstm",
            "decoder.layers=2",
        )
    ),
]
lengths_of = st.lists(st.integers(1, 5), min_size=1, max_size=4).map(lambda found: sorted(found)[::-1])


def active(lengths: list[int]) -> list[int]:
    """How many of these lengths reach each step."""
    return [sum(length > t for length in lengths) for t in range(lengths[0])]


def gradients(parameters: dict[str, Tensor], outputs: tuple[Tensor, ...], seed: int) -> dict[str, Tensor]:
    """Of a random linear function of the outputs."""
    total = sum((output * random(*output.shape, seed=seed + k)).sum() for k, output in enumerate(outputs))
    assert isinstance(total, Tensor)
    found = torch.autograd.grad(total, list(parameters.values()), allow_unused=True)
    return {name: one for name, one in zip(parameters, found, strict=True) if one is not None}


# ---------------------------------------------------------------- packed sequences


@given(lengths=lengths_of)
def test_indices_of_packed_tokens(lengths):
    tokens = [(t, row) for t, n in enumerate(active(lengths)) for row in range(n)]
    indices = TokenIndices.of(active(lengths))
    assert [tokens[k] for k in indices.last] == [(length - 1, row) for row, length in enumerate(lengths)]
    assert [tokens[k] for k in indices.mirrored] == [(lengths[row] - 1 - t, row) for t, row in tokens]


@given(lengths=lengths_of)
def test_packed_states_before_a_step_are_those_after_the_step_before(lengths):
    start, counts = random(len(lengths), 2, seed=1), active(lengths)
    states = PackedStates(start, counts)
    expected, current = [], start
    for t, n in enumerate(counts):
        assert torch.equal(states.before[t], current[:n])
        expected.append(states.before[t].clone())
        current = states.before[t] + t + 1
        states.after[t].copy_(current)
    assert torch.equal(states.packed_before, torch.cat(expected))
    found = padded(states.packed, counts)
    for row, length in enumerate(lengths):
        assert torch.equal(found[row, :length], torch.stack([states.after[t][row] for t in range(length)]))
        assert (found[row, length:] == 0).all()


# ---------------------------------------------------------------- GRU


@settings(max_examples=25, deadline=None)
@given(lengths=lengths_of, layers=st.integers(1, 2), both=st.booleans(), start=st.booleans())
def test_gru_is_pytorchs(lengths, layers, both, start):
    counts = active(lengths)
    torch.manual_seed(len(counts))
    rnn = nn.GRU(3, 4, layers, bidirectional=both).double()
    inputs = random(sum(counts), 3, seed=1).requires_grad_()
    first = random(layers * (1 + both), len(lengths), 4, seed=2).requires_grad_() if start else None
    outputs, final = rnn(PackedSequence(inputs, torch.tensor(counts)), first)
    leaves = {"inputs": inputs, **dict(rnn.named_parameters())} | ({"start": first} if start else {})
    expected = gradients(leaves, (outputs.data, final), seed=3)
    found = gru_layers(rnn, inputs, counts, first)
    torch.testing.assert_close(found, (outputs.data, final), atol=1e-12, rtol=0)
    torch.testing.assert_close(gradients(leaves, found, seed=3), expected, atol=1e-11, rtol=0)


def test_gru_sequence_passes_gradcheck():
    counts, shapes = [2, 2, 1], ((2, 5, 9), (2, 2, 3), (2, 9, 3), (2, 9))
    inputs = [random(*shape, seed=k).requires_grad_() for k, shape in enumerate(shapes)]
    assert torch.autograd.gradcheck(lambda *parts: gru_sequence(*parts, counts), inputs)


# ---------------------------------------------------------------- decoders


@pytest.fixture
def plain(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Switches the hand-written loops of both decoders off."""

    def switch_off() -> None:
        for decoder in (BahdanauDecoder, LuongDecoder):
            monkeypatch.setattr(decoder, "_loop_weights", lambda _: None)

    return switch_off


def batch_of(lengths: list[int], sources: list[int], seed: int) -> Batch:
    """Random sentences."""
    generator = torch.Generator().manual_seed(seed)

    def sentence(length: int) -> list[int]:
        return torch.randint(4, VOCABULARY, (length,), generator=generator).tolist()

    return collate([sentence(length) for length in sources], [sentence(length) for length in lengths])


def run(model: TranslationModel, batch: Batch, packed: bool) -> tuple[Tensor, Tensor]:
    """Logits in the order of the batch's positions, and weights at real target tokens."""
    positions = TargetPositions(*batch.positions, batch.active if packed else None)
    logits, weights = model(batch.source, batch.source_mask, batch.previous, positions)
    return logits, positions.select(weights.transpose(1, 2))


@pytest.mark.parametrize("overrides", CONFIGS)
@settings(max_examples=8, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 5), min_size=1, max_size=4),
    data=st.data(),
    seed=st.integers(0, 99),
)
def test_a_loop_is_the_plain_loop(overrides, lengths, data, seed):
    sources = data.draw(st.lists(st.integers(1, 5), min_size=len(lengths), max_size=len(lengths)))
    ordered = data.draw(st.booleans())
    batch = batch_of(sorted(lengths)[::-1] if ordered else lengths, sources, seed)
    assert (batch.active is not None) == (lengths == sorted(lengths)[::-1] or ordered)
    model = tiny_model(VOCABULARY, VOCABULARY, tiny_config(overrides), seed=seed, double=True)
    parameters = dict(model.named_parameters())
    assert model.decoder._loop_weights() is not None
    found = run(model, batch, packed=True)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(type(model.decoder), "_loop_weights", lambda _: None)
        expected = run(model, batch, packed=False)
        exact = gradients(parameters, expected, seed=5)
    torch.testing.assert_close(found, expected, atol=1e-10, rtol=0)
    torch.testing.assert_close(gradients(parameters, found, seed=5), exact, atol=1e-9, rtol=1e-9)


@pytest.mark.parametrize("overrides", WITHOUT_LOOP)
def test_other_settings_use_the_plain_loop(overrides):
    assert tiny_model(VOCABULARY, VOCABULARY, tiny_config(overrides)).decoder._loop_weights() is None


@pytest.mark.parametrize("overrides", CONFIGS)
def test_a_loop_passes_gradcheck(overrides):
    """Every input and every weight of the loop, with dropout, against finite differences."""
    config = tiny_config(f"{overrides} encoder.size=4 decoder.size=4 attention.size=3")
    decoder = tiny_model(VOCABULARY, VOCABULARY, config, double=True).decoder
    weights = decoder._loop_weights()
    counts, S, size = [2, 2, 1], 3, 4
    keys = 3 if weights.energy is not None else size
    mask = torch.tensor([[1, 1, 1], [1, 1, 0]]).bool()
    shapes = ((5, 3 * size), (2, size), (2, S, keys), (2, S, size))
    inputs = [random(*shape, seed=k).requires_grad_() for k, shape in enumerate(shapes)]
    given_weights = [None if part is None else part.detach().requires_grad_() for part in weights]

    def call(*parts: Tensor) -> tuple[Tensor, ...]:
        rest = iter(parts[4:])
        own = [None if part is None else next(rest) for part in given_weights]
        if isinstance(decoder, BahdanauDecoder):
            return bahdanau_module.bahdanau_loop(
                *parts[:4], mask, bahdanau_module.BahdanauWeights(*own), counts
            )
        kept = (random(5, size, seed=9) > 0).double() * 2
        return luong_module.luong_loop(*parts[:4], mask, kept, luong_module.LuongWeights(*own), counts)

    assert torch.autograd.gradcheck(call, [*inputs, *(part for part in given_weights if part is not None)])


@pytest.mark.parametrize("style", ["bahdanau", "luong"])
def test_under_autocast_a_loop_stays_near_float32(style):
    model = tiny_model(VOCABULARY, VOCABULARY, tiny_config(f"decoder.style={style}"))
    batch = batch_of([4, 3], [3, 5], seed=1)
    exact = run(model, batch, packed=True)
    with torch.autocast("cpu", torch.bfloat16):
        found = run(model, batch, packed=True)
    for one, other in zip(found, exact, strict=True):
        difference = (one - other).abs().max()
        assert 0 < difference < 0.03 * other.abs().max()


@pytest.mark.parametrize("style", ["bahdanau", "luong"])
def test_a_long_source_keeps_weights_exact(style):
    """As in the plain loop, rows of weights beyond some hundred tokens are renormalised."""
    model = tiny_model(VOCABULARY, VOCABULARY, tiny_config(f"decoder.style={style}"))
    _, weights = run(model, batch_of([2], [3000], seed=1), packed=True)
    torch.testing.assert_close(weights.double().sum(dim=-1), torch.ones(3, 1).double(), atol=1e-6, rtol=0)


# ---------------------------------------------------------------- extensions


def test_a_score_with_a_forward_of_its_own_has_no_loop_form_of_another():
    class Doubled(DotScore):
        def forward(self, query: Tensor, keys: Tensor) -> Tensor:
            return 2 * super().forward(query, keys)

    config = AttentionConfig(score="dot")
    assert DotScore(4, 4, config).loop_form() is not None
    assert Doubled(4, 4, config).loop_form() is None
    assert Score(4, 4, config).loop_form() is None
