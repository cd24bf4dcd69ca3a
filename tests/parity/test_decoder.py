"""Teacher forcing and step-by-step decoding are two drivers of one computation."""

import dataclasses

import pytest
import torch
from torch import Tensor

from nmt.config import AttentionConfig, DecoderConfig, EncoderConfig, ModelConfig
from nmt.data.batches import Batch, collate
from nmt.model.initialise import build_model
from nmt.model.translation import TranslationModel

SMALL = ModelConfig(
    encoder=EncoderConfig(size=12, embedding=7),
    attention=AttentionConfig(size=9),
    decoder=DecoderConfig(size=12, embedding=6, readout=5),
    initial_range=0.6,
)
VOCABULARY = 23


def _decoder(**changes: object) -> ModelConfig:
    return dataclasses.replace(SMALL, decoder=dataclasses.replace(SMALL.decoder, **changes))


CONFIGS = {
    "bahdanau": SMALL,
    "bahdanau-general": dataclasses.replace(SMALL, attention=AttentionConfig(score="general")),
    "bahdanau-untied": _decoder(tie_embeddings=False),
    "bahdanau-two-layers": _decoder(layers=2),
    "luong": _decoder(style="luong"),
    "luong-no-feeding": _decoder(style="luong", input_feeding=False),
    "luong-dot": dataclasses.replace(_decoder(style="luong"), attention=AttentionConfig(score="dot")),
    "luong-two-layers-mean": dataclasses.replace(_decoder(style="luong", layers=2), bridge="mean"),
    "one-direction": dataclasses.replace(
        SMALL, encoder=EncoderConfig(size=12, embedding=7, bidirectional=False, layers=2)
    ),
}


@pytest.fixture(params=CONFIGS)
def model(request: pytest.FixtureRequest) -> TranslationModel:
    torch.manual_seed(5)
    return build_model(CONFIGS[request.param], VOCABULARY, VOCABULARY, padding=0).double().eval()


SOURCES = [[5, 6, 7, 8, 9], [10, 11], [12, 13, 14]]
TARGETS = [[4, 5], [6, 7, 8, 9, 10, 11], [12]]


def _forward(model: TranslationModel, batch: Batch) -> tuple[Tensor, Tensor]:
    return model(batch.source, batch.source_mask, batch.previous, batch.target_mask)


def test_forward_equals_steps(model: TranslationModel) -> None:
    batch = collate(SOURCES, TARGETS)
    logits, weights = _forward(model, batch)
    state, memory = model.encode(batch.source, batch.source_mask)
    stepped, rows = [], []
    for t in range(batch.previous.shape[1]):
        log_probabilities, state, row = model.step(batch.previous[:, t], state, memory)
        stepped.append(log_probabilities)
        rows.append(row)
    expected = torch.stack(stepped, dim=1)[batch.target_mask]
    torch.testing.assert_close(logits.log_softmax(-1).float(), expected.float(), atol=1e-6, rtol=0)
    torch.testing.assert_close(weights, torch.stack(rows, dim=1), atol=1e-12, rtol=0)


def test_padding_changes_nothing(model: TranslationModel) -> None:
    together, weights = _forward(model, collate(SOURCES, TARGETS))
    alone = [
        _forward(model, collate([source], [target])) for source, target in zip(SOURCES, TARGETS, strict=True)
    ]
    torch.testing.assert_close(together, torch.cat([logits for logits, _ in alone]), atol=1e-12, rtol=0)
    for k, (_, single) in enumerate(alone):
        T, S = single.shape[1:]
        torch.testing.assert_close(weights[k, :T, :S], single[0], atol=1e-12, rtol=0)
        assert (weights[k, :, S:] == 0).all()


def test_weights_are_a_distribution(model: TranslationModel) -> None:
    batch = collate(SOURCES, TARGETS)
    _, weights = _forward(model, batch)
    assert (weights >= 0).all()
    torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]), atol=1e-12, rtol=0)


def test_no_state_stays_behind(model: TranslationModel) -> None:
    first, other = collate(SOURCES, TARGETS), collate(TARGETS, SOURCES)
    before, _ = _forward(model, first)
    _forward(model, other)
    after, _ = _forward(model, first)
    assert torch.equal(before, after)


def test_selecting_rows_equals_computing_them_apart(model: TranslationModel) -> None:
    """Rows chosen in mid-course, one of them twice, go on as if each had been searched by itself."""
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


def test_future_tokens_do_not_matter(model: TranslationModel) -> None:
    batch = collate(SOURCES, [[4, 5, 6]] * 3)
    changed = dataclasses.replace(batch, previous=batch.previous.clone())
    changed.previous[:, 2:] = 20
    one, _ = _forward(model, batch)
    two, _ = _forward(model, changed)
    per_token = one.view(3, 4, -1), two.view(3, 4, -1)
    assert torch.equal(per_token[0][:, :2], per_token[1][:, :2])
    assert not torch.equal(per_token[0][:, 2], per_token[1][:, 2])
