"""Teacher forcing and step-by-step decoding compute the same."""

import dataclasses

import pytest
import torch
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from tiny import SOURCES, TARGETS, TINY, tiny_config, tiny_model
from torch import Tensor

from nmt.config import schema
from nmt.config.model import AttentionConfig, DecoderConfig, EncoderConfig, ModelConfig
from nmt.config.settings import Config
from nmt.config.validation import check
from nmt.data.batches import Batch, collate
from nmt.errors import ConfigError
from nmt.model.translation import TranslationModel

VOCABULARY = 23
PARALLEL = "decoder.style=luong decoder.input_feeding=false"
RESET_BEFORE = "encoder.cell=gru_reset_before decoder.cell=gru_reset_before"
ATTENTIVE = ["decoder.style=bahdanau", "decoder.style=luong", PARALLEL]
RECURRENT = [*ATTENTIVE, "decoder.style=vector"]
ALL = [*RECURRENT, "decoder.style=transformer"]


def _each(bases: list[str], *changes: str) -> list[str]:
    return [f"{base} {change}".strip() for base in bases for change in changes]


CONFIGS = [
    *ALL,
    *_each(
        [ATTENTIVE[0], PARALLEL],
        *(f"attention.score={score}" for score in ("dot", "general", "concat", "scaled_dot")),
        *(f"attention.score={score}" for score in ("cosine", "gaussian", "location")),
    ),
    *_each(
        ATTENTIVE,
        "attention.scope=local_m attention.window=1",
        "attention.scope=local_p attention.window=1",
        "attention.scope=hard",
        "attention.heads=2 attention.score=general attention.scope=local_p attention.window=2",
        "attention.heads=3",
        "attention.heads=2 attention.score=location decoder.layers=2",
        "attention.coverage=true attention.score=dot",
        "attention.coverage=true attention.heads=3 attention.scope=local_m decoder.cell=lstm",
    ),
    *_each(RECURRENT, "decoder.cell=lstm", "decoder.layers=2", "decoder.cell=lstm decoder.layers=2"),
    *_each(
        ALL,
        "encoder.type=convolutional encoder.layers=2 encoder.positions=3",
        "encoder.type=self_attention encoder.layers=2 encoder.positions=3",
        "encoder.cell=lstm encoder.layers=2 encoder.bidirectional=false",
        "decoder.tie_embeddings=true",
        "decoder.tie_embeddings=true decoder.readout=12 decoder.embedding=12",
    ),
    *_each([*ATTENTIVE, "decoder.style=transformer decoder.layers=3"], "decoder.lexical=true"),
    *_each(["decoder.style=bahdanau", "decoder.style=luong decoder.cell=lstm"], "bridge=attention_pooling"),
    *_each([PARALLEL, "decoder.style=vector"], "bridge=luong_pooling"),
    *_each(ALL[:2], "bridge=mean decoder.layers=2"),
    *_each(
        ["decoder.readout_state=previous", PARALLEL, "decoder.style=vector"],
        f"{RESET_BEFORE} bridge=backward",
        f"{RESET_BEFORE} bridge=copy encoder.layers=2 decoder.layers=2",
        "encoder.cell=lstm decoder.cell=lstm bridge=copy encoder.bidirectional=false encoder.reverse=true",
    ),
    *_each(
        ["decoder.style=luong decoder.bias=false"],
        "decoder.tie_embeddings=true",
        "encoder.cell=gru_reset_before encoder.layers=2 encoder.bidirectional=false encoder.reverse=true",
    ),
    *_each(ALL[-1:], "decoder.layers=2", "decoder.layers=3", "decoder.layers=3 encoder.size=10"),
]


def heads(config: ModelConfig) -> int:
    """Number of attention heads of a decoding step."""
    own = {"vector": 0, "transformer": config.decoder.heads}
    return own.get(config.decoder.style, config.attention.heads)


@pytest.fixture(scope="module", params=CONFIGS)
def config(request: pytest.FixtureRequest) -> ModelConfig:
    return tiny_config(request.param)


@pytest.fixture(scope="module")
def model(config: ModelConfig) -> TranslationModel:
    return tiny_model(VOCABULARY, VOCABULARY, config, seed=5, double=True)


def _forward(model: TranslationModel, batch: Batch) -> tuple[Tensor, Tensor]:
    return model(batch.source, batch.source_mask, batch.previous, batch.target_mask)


def _steps(model: TranslationModel, batch: Batch) -> tuple[Tensor, Tensor]:
    """Log-probabilities at the real tokens [N, V] and weights [B, K, T, S]."""
    state, memory = model.encode(batch.source, batch.source_mask)
    predicted, rows = [], []
    for tokens in batch.previous.unbind(dim=1):
        log_probabilities, state, row = model.step(tokens, state, memory)
        predicted.append(log_probabilities)
        rows.append(row)
    return torch.stack(predicted, dim=1)[batch.target_mask], torch.stack(rows, dim=2)


def check_two_drivers(model: TranslationModel, batch: Batch) -> None:
    logits, weights = _forward(model, batch)
    stepped, rows = _steps(model, batch)
    assert logits.shape == (batch.tokens, VOCABULARY)
    torch.testing.assert_close(logits.log_softmax(-1).float(), stepped, atol=1e-6, rtol=0)
    torch.testing.assert_close(weights, rows, atol=1e-12, rtol=0)


def check_padding(model: TranslationModel, sources: list[list[int]], targets: list[list[int]]) -> None:
    together, weights = _forward(model, collate(sources, targets))
    alone = [
        _forward(model, collate([source], [target])) for source, target in zip(sources, targets, strict=True)
    ]
    torch.testing.assert_close(together, torch.cat([logits for logits, _ in alone]), atol=1e-12, rtol=0)
    for k, (_, single) in enumerate(alone):
        T, S = single.shape[2:]
        torch.testing.assert_close(weights[k, :, :T, :S], single[0], atol=1e-12, rtol=0)
        assert (weights[k, ..., S:] == 0).all()


def check_distribution(weights: Tensor, heads: int, batch: Batch) -> None:
    (B, S), T = batch.source.shape, batch.previous.shape[1]
    assert weights.shape == (B, heads, T, S)
    assert (weights >= 0).all()
    padding = ~batch.source_mask[:, None, None, :].expand_as(weights)
    assert (weights[padding] == 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]), atol=1e-12, rtol=0)


def test_every_choice_is_among_the_configs():
    chosen: dict[str, set[str]] = {}
    for overrides in CONFIGS:
        for key, _, value in schema.settings(tiny_config(overrides)):
            chosen.setdefault(key, set()).add(value)
    for key, item, _ in schema.settings(TINY):
        if key != "initialisation" and item.metadata["choices"]:
            assert chosen[key] == set(item.metadata["choices"]), key


def test_forward_equals_steps(model):
    check_two_drivers(model, collate(SOURCES, TARGETS))


def test_padding_changes_nothing(model):
    check_padding(model, SOURCES, TARGETS)


def test_weights_are_a_distribution_over_real_tokens(config, model):
    batch = collate(SOURCES, TARGETS)
    check_distribution(_forward(model, batch)[1], heads(config), batch)


def test_no_state_stays_behind(model):
    first, other = collate(SOURCES, TARGETS), collate(TARGETS, SOURCES)
    before, _ = _forward(model, first)
    _forward(model, other)
    after, _ = _forward(model, first)
    assert torch.equal(before, after)


def test_selecting_rows_equals_computing_them_apart(model):
    """Rows selected between steps, one of them twice, continue as if each had been decoded alone."""
    batch, index = collate(SOURCES, TARGETS), torch.tensor([2, 0, 0])
    first, second = torch.tensor([4, 5, 6]), torch.tensor([7, 8, 9])
    state, memory = model.encode(batch.source, batch.source_mask)
    _, state, _ = model.step(first, state, memory)
    found = model.step(second, state.select(index), memory.select(index))
    state, memory = model.encode(batch.source[index], batch.source_mask[index])
    _, state, _ = model.step(first[index], state, memory)
    expected = model.step(second, state, memory)
    torch.testing.assert_close(found[0], expected[0], atol=1e-6, rtol=0)  # float32
    torch.testing.assert_close(found[1:], expected[1:], atol=1e-12, rtol=0)


def test_future_tokens_do_not_matter(model):
    batch = collate(SOURCES, [[4, 5, 6]] * 3)
    changed = dataclasses.replace(batch, previous=batch.previous.clone())
    changed.previous[:, 2:] = 20
    one, two = (_forward(model, given)[0].view(3, 4, -1) for given in (batch, changed))
    assert torch.equal(one[:, :2], two[:, :2])
    assert not torch.equal(one[:, 2], two[:, 2])


# ---------------------------------------------------------------- any combination


def choice(section: type, name: str) -> st.SearchStrategy[str]:
    (item,) = (item for item in dataclasses.fields(section) if item.name == name)
    return st.sampled_from(item.metadata["choices"])


size, small = st.sampled_from([6, 12, 12, 12, 5]), st.integers(1, 3)
encoders = st.builds(
    EncoderConfig,
    type=choice(EncoderConfig, "type"),
    reverse=st.booleans(),
    layers=small,
    size=size,
    embedding=size,
    cell=choice(EncoderConfig, "cell"),
    bidirectional=st.booleans(),
    kernel=st.sampled_from([1, 3, 5, 4]),
    positions=small,
    heads=small,
    feedforward=small,
)
attentions = st.builds(
    AttentionConfig,
    score=choice(AttentionConfig, "score"),
    scope=choice(AttentionConfig, "scope"),
    heads=small,
    coverage=st.booleans(),
    size=size,
    positions=st.integers(1, 9),
    window=small,
)
decoders = st.builds(
    DecoderConfig,
    style=choice(DecoderConfig, "style"),
    cell=choice(DecoderConfig, "cell"),
    layers=small,
    size=size,
    embedding=size,
    tie_embeddings=st.booleans(),
    lexical=st.booleans(),
    input_feeding=st.booleans(),
    readout=size,
    readout_state=choice(DecoderConfig, "readout_state"),
    bias=st.sampled_from([True, True, False]),
    heads=small,
    feedforward=small,
)


@st.composite
def models(draw: st.DrawFn) -> ModelConfig:
    """Mostly valid configurations; `check` must reject the others."""
    decoder = draw(decoders)
    usual = decoder.style in ("vector", "transformer")  # any other attention is rejected
    return ModelConfig(
        encoder=draw(encoders),
        attention=AttentionConfig() if usual else draw(attentions),
        decoder=decoder,
        bridge=draw(choice(ModelConfig, "bridge")),
        initial_range=0.6,
    )


tokens = st.integers(4, VOCABULARY - 1)
sources = st.lists(tokens, max_size=5, unique=True)  # no ties for hard attention
pairs = st.tuples(sources, st.lists(tokens, max_size=5))


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.filter_too_much])
@given(config=models(), corpus=st.lists(pairs, min_size=1, max_size=3), seed=small)
def test_what_is_not_refused_works(config, corpus, seed):
    try:
        check(Config(model=config))
    except ConfigError:
        assume(False)
    model = tiny_model(VOCABULARY, VOCABULARY, config, seed, double=True)
    sources, targets = (list(side) for side in zip(*corpus, strict=True))
    batch = collate(sources, targets)
    check_two_drivers(model, batch)
    check_distribution(_forward(model, batch)[1], heads(config), batch)
    check_padding(model, sources, targets)
