"""Scheduled sampling: at its two extremes, teacher forcing and feeding back predictions, and in between."""

import pytest
import torch
from tiny import SOURCES, TARGETS, tiny_config, tiny_model
from torch import Tensor

from nmt.data.batches import Batch, collate
from nmt.model.positions import TargetPositions
from nmt.model.translation import TranslationModel

CONFIGS = [
    "",
    "decoder.cell=lstm attention.coverage=true attention.heads=3",
    "decoder.style=luong attention.scope=local_m attention.window=1",
    "decoder.style=luong decoder.input_feeding=false decoder.layers=2",
    "decoder.style=vector decoder.tie_embeddings=true",
    "decoder.style=transformer decoder.layers=3 decoder.lexical=true",
]
VOCABULARY = 23


@pytest.fixture(params=CONFIGS)
def model(request: pytest.FixtureRequest) -> TranslationModel:
    return tiny_model(VOCABULARY, VOCABULARY, tiny_config(request.param), double=True)


def sampled(model: TranslationModel, batch: Batch, ratio: float) -> tuple[Tensor, Tensor, Tensor]:
    """Logits, weights, and the tokens that were fed, [B, T]."""
    fed: list[Tensor] = []
    hook = model.target.register_forward_pre_hook(lambda _, inputs: fed.append(inputs[0]))
    state, source = model.encode(batch.source, batch.source_mask)
    positions = TargetPositions.of(batch.target_mask)
    logits, weights = model.scheduled_sampling(state, source, batch.previous, positions, ratio)
    hook.remove()
    return logits, weights, torch.stack(fed, dim=1)


def forward(model: TranslationModel, batch: Batch, previous: Tensor) -> tuple[Tensor, Tensor]:
    return model(batch.source, batch.source_mask, previous, batch.target_mask)


def close(found: tuple[Tensor, ...], expected: tuple[Tensor, ...]) -> None:
    torch.testing.assert_close(found, expected, atol=1e-12, rtol=0)


def test_ratio_one_is_teacher_forcing(model):
    batch = collate(SOURCES, TARGETS)
    *found, fed = sampled(model, batch, ratio=1.0)
    assert torch.equal(fed, batch.previous)
    close(tuple(found), forward(model, batch, batch.previous))


def test_ratio_zero_is_the_model_alone(model):
    """Every input but the first is the most probable token of the previous step, fed back by hand."""
    batch = collate(SOURCES, TARGETS)
    state, memory = model.encode(batch.source, batch.source_mask)
    tokens, fed, predicted, rows = batch.previous[:, 0], [], [], []
    for _ in range(batch.previous.shape[1]):
        fed.append(tokens)
        log_probabilities, state, weights = model.step(tokens, state, memory)
        tokens = log_probabilities.argmax(dim=-1)
        predicted.append(log_probabilities)
        rows.append(weights)
    logits, weights, found = sampled(model, batch, ratio=0.0)
    assert torch.equal(found, torch.stack(fed, dim=1))
    expected = torch.stack(predicted, dim=1)[batch.target_mask]
    torch.testing.assert_close(logits.log_softmax(dim=-1).float(), expected, atol=1e-6, rtol=0)
    close((weights,), (torch.stack(rows, dim=2),))


def test_in_between_each_token_is_one_of_the_two(model):
    """Teacher forcing with the tokens that were fed gives the same logits, which predict the tokens fed."""
    torch.manual_seed(2)
    batch = collate(SOURCES * 4, [[4, 5, 6, 7, 8, 9]] * 12)
    logits, weights, fed = sampled(model, batch, ratio=0.5)
    close((logits, weights), forward(model, batch, fed))
    believed = fed[:, 1:] == batch.previous[:, 1:]
    own = logits.view(*fed.shape, -1).argmax(dim=-1)[:, :-1]
    assert torch.equal(fed[:, 0], batch.previous[:, 0])
    assert (believed | (fed[:, 1:] == own)).all()
    assert believed.any()
    assert not believed.all()


@pytest.mark.parametrize("ratio", [0.1, 0.5, 0.8])
def test_the_ratio_holds_at_every_step_and_in_every_row(ratio):
    """Measured with a model whose most probable token is always a wrong one."""
    model = tiny_model(VOCABULARY, VOCABULARY, tiny_config("encoder.size=2 decoder.size=2"))
    with torch.no_grad():
        model.vocabulary.bias[22] = 100.0
    torch.manual_seed(4)
    batch = collate([[5, 6]] * 400, [[4] * 40] * 400)
    *_, fed = sampled(model, batch, ratio)
    wrong = (fed[:, 1:] == 22).double()
    assert torch.equal(wrong == 0, fed[:, 1:] == 4)
    assert 1 - wrong.mean().item() == pytest.approx(ratio, abs=0.012)  # 16,000 draws: three deviations
    variance = ratio * (1 - ratio)  # of independent draws: not one draw per step or per row
    assert wrong.mean(dim=0).var().item() == pytest.approx(variance / 400, rel=0.6)
    assert wrong.mean(dim=1).var().item() == pytest.approx(variance / 40, rel=0.25)


def test_no_gradient_passes_through_the_choice():
    """With the choices fixed, the gradients are those of teacher forcing with the tokens that were fed."""
    model, batch = tiny_model(VOCABULARY, VOCABULARY, double=True), collate(SOURCES, TARGETS)
    gradients = []
    torch.manual_seed(1)
    logits, _, fed = sampled(model, batch, ratio=0.5)
    assert not torch.equal(fed, batch.previous)
    for found in (logits, forward(model, batch, fed)[0]):
        model.zero_grad()
        found.log_softmax(dim=-1)[:, 4].sum().backward()
        gradients.append(tuple(parameter.grad.clone() for parameter in model.parameters()))
    torch.testing.assert_close(gradients[0], gradients[1], atol=1e-9, rtol=0)


def test_the_seed_decides():
    model, batch = tiny_model(VOCABULARY, VOCABULARY), collate(SOURCES * 5, TARGETS * 5)
    fed = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        fed.append(sampled(model, batch, ratio=0.5)[2])
    assert torch.equal(fed[0], fed[1])
    assert not torch.equal(fed[0], fed[2])
