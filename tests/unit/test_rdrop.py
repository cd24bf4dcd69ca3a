"""R-Drop: the doubled batch, the loss against its formula, and its gradient."""

import itertools
import math

import pytest
import torch
from every_model import MODELS, small_batch, small_model
from hypothesis import given, settings
from hypothesis import strategies as st
from replayer import Replayer
from tiny import SOURCES, TARGETS, micro_batches, tiny_model
from torch import Tensor

from nmt.config.training import TrainingConfig
from nmt.data.batches import collate
from nmt.data.padding import Shape, pad_batch
from nmt.data.tokenizer import EOS, PAD
from nmt.model.logits import Logits
from nmt.model.positions import TargetPositions
from nmt.model.translation import DropoutRates
from nmt.training import chunked_loss as module
from nmt.training.chunked_loss import chunked_loss
from nmt.training.graphs import UpdateGraphs
from nmt.training.loss import token_loss
from nmt.training.objective import Objective
from nmt.training.precision import choose_precision
from nmt.training.rdrop import doubled, rdrop_loss
from nmt.training.step import TrainStep

CPU = torch.device("cpu")
FP32 = choose_precision("fp32", CPU)


def formula(logits: Tensor, targets: Tensor, smoothing: float, alpha: float) -> Tensor:
    """½ (H(q, p) + H(q, r)) + α ½ (D(p‖r) + D(r‖p)), token by token and entry by entry."""
    V, total = logits.shape[1], 0.0 * logits.sum()
    for n, target in enumerate(targets.tolist()):
        if target == PAD:
            continue
        p, r = (logits[2 * n + k].exp() / logits[2 * n + k].exp().sum() for k in (0, 1))
        for v in range(V):
            q = (1 - smoothing) * (v == target) + smoothing / (V - EOS) * (v >= EOS)
            total = total - q * (p[v].log() + r[v].log()) / 2
            total = total + alpha / 2 * (p[v] * (p[v] / r[v]).log() + r[v] * (r[v] / p[v]).log())
    return total


def draw(N: int, V: int, parts: int, bias: bool, seed: int) -> tuple[Logits, list[Tensor], Tensor]:
    """Logits of two passes, their leaves, and the targets, some of them PAD."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    features, weights = (tuple(normal(rows, 3 + k) for k in range(parts)) for rows in (2 * N, V))
    offset = normal(V) if bias else None
    leaves = [*features, *weights, *([] if offset is None else [offset])]
    return Logits(features, weights, offset), leaves, torch.randint(0, V, (N,), generator=generator)


@settings(max_examples=40, deadline=None)
@given(
    N=st.integers(1, 7),
    V=st.integers(4, 9),
    parts=st.integers(1, 2),
    bias=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.1, 0.5]),
    alpha=st.sampled_from([0.01, 1.0, 5.0]),
    chunk=st.integers(1, 9),
    seed=st.integers(0, 10**6),
)
def test_the_chunked_loss_is_the_formula(N, V, parts, bias, smoothing, alpha, chunk, seed):
    logits, leaves, targets = draw(N, V, parts, bias, seed)
    expected = formula(logits.dense(), targets, smoothing, alpha)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_LEAST_TOKENS", chunk)
        patch.setattr(module, "_CPU_LOGITS", 1)
        found = chunked_loss(logits, targets, smoothing, alpha)
    torch.testing.assert_close(found.smoothed, expected, rtol=1e-9, atol=1e-9)
    assert not found.nll.requires_grad
    one, other = (torch.autograd.grad(0.3 * loss, leaves) for loss in (found.smoothed, expected))
    torch.testing.assert_close(one, other, rtol=1e-9, atol=1e-9)


def test_the_gradient_is_that_of_finite_differences(monkeypatch):
    monkeypatch.setattr(module, "_LEAST_TOKENS", 3)
    monkeypatch.setattr(module, "_CPU_LOGITS", 1)
    logits, leaves, targets = draw(5, 6, 2, True, seed=3)
    assert PAD in targets

    def loss() -> Tensor:
        return chunked_loss(logits, targets, 0.1, 2.5).smoothed

    for part, gradient in zip(leaves, torch.autograd.grad(loss(), leaves), strict=True):
        for index in range(part.numel()):
            sides = []
            for shift in (1e-6, -2e-6, 1e-6):
                part.data.view(-1)[index] += shift
                sides.append(loss().item())
            slope = (sides[0] - sides[1]) / 2e-6
            assert gradient.view(-1)[index].item() == pytest.approx(slope, rel=1e-6, abs=1e-7)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_all_logits_is_the_formula_too(smoothing):
    """In float32, as used under float16."""
    logits, leaves, targets = draw(6, 8, 1, True, seed=1)
    expected, found = (
        function(logits.dense(), targets, smoothing, 1.5) for function in (formula, rdrop_loss)
    )
    torch.testing.assert_close(found.smoothed.double(), expected, rtol=1e-5, atol=1e-5)
    one, other = (torch.autograd.grad(loss, leaves) for loss in (found.smoothed.double(), expected))
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    chunked = chunked_loss(logits, targets, smoothing, 1.5)
    assert chunked.nll.item() == pytest.approx(found.nll.item(), rel=1e-5)


def test_equal_predictions_have_the_usual_loss():
    logits, _, targets = draw(6, 8, 1, True, seed=1)
    same = Logits((logits.features[0][::2].repeat_interleave(2, dim=0),), logits.weights, logits.bias)
    once = Logits((logits.features[0][::2],), logits.weights, logits.bias)
    for found in (chunked_loss(same, targets, 0.1, 3.0), rdrop_loss(same.dense(), targets, 0.1, 3.0)):
        expected = token_loss(once.dense(), targets, 0.1)
        assert [one.item() for one in found] == pytest.approx([one.item() for one in expected], rel=1e-5)


def test_under_autocast_to_bfloat16_it_stays_near():
    logits, _, targets = draw(6, 8, 1, True, seed=1)
    parts = [tuple(part.detach().float() for part in parts) for parts in logits[:2]]
    with torch.autocast("cpu", torch.bfloat16):
        found = chunked_loss(Logits(*parts, None), targets, 0.1, 1.0).smoothed
    exact = chunked_loss(Logits(*parts, None), targets, 0.1, 1.0).smoothed
    assert 0 < (found - exact).abs().item() < 0.02 * exact.item()


def test_all_logits_are_never_in_memory(monkeypatch):
    sizes = []
    original = module._logits
    monkeypatch.setattr(
        module, "_logits", lambda features, *rest: sizes.append(len(features[0])) or original(features, *rest)
    )
    features, weights = torch.randn(4000, 3), torch.randn(9000, 3)
    chunked_loss(Logits((features,), (weights,), None), torch.full((2000,), 5), 0.1, 1.0)
    assert sum(sizes) == 4000
    assert max(sizes) == 256


# ---------------------------------------------------------------- the doubled batch


@pytest.mark.parametrize("rows_sorted", [True, False])
def test_each_token_stands_twice_in_succession(rows_sorted):
    order = [1, 0, 2] if rows_sorted else [0, 1, 2]
    batch = collate([SOURCES[k] for k in order], [TARGETS[k] for k in order], [[(0, 0)]] * 3)
    found = doubled(batch)
    assert (batch.active is not None) == rows_sorted
    expected = collate(
        [SOURCES[k] for k in order for _ in (0, 1)],
        [TARGETS[k] for k in order for _ in (0, 1)],
        [[(0, 0)]] * 6,
    )
    for one, other in zip(found.tensors(), expected.tensors(), strict=True):
        assert torch.equal(one, other)
    assert torch.equal(found.source_lengths, expected.source_lengths)
    assert (found.tokens, found.active) == (expected.tokens, expected.active)
    targets = TargetPositions(*batch.positions).select(batch.target)
    assert torch.equal(TargetPositions(*found.positions).select(found.target), targets.repeat_interleave(2))


@pytest.mark.parametrize("name", MODELS)
def test_without_dropout_it_is_the_usual_objective(name):
    """Of every model, with guided alignment where there is attention, padded or not."""
    model = small_model(name, double=True)
    batch = small_batch(links=model.heads > 0)
    wider = pad_batch(batch, Shape(6, 9, 9, 20))
    settings = {"guided_alignment": 0.5, "clip_norm": 0.0}
    sums, gradients = [], []
    for rdrop, one in itertools.product((0.0, 2.5), (batch, wider)):
        objective = Objective(model, TrainingConfig(rdrop=rdrop, **settings))
        found = objective(one, 1.0)
        model.zero_grad()
        found.objective.backward()
        sums.append([part.item() for part in found])
        gradients.append([p.grad.clone() for p in model.parameters() if p.grad is not None])
    for other, gradient in zip(sums[1:], gradients[1:], strict=True):
        assert other == pytest.approx(sums[0], rel=1e-6)
        torch.testing.assert_close(gradient, gradients[0], rtol=1e-5, atol=1e-7)


@pytest.mark.parametrize("alpha", [0.5, 5.0])
def test_with_dropout_it_is_two_passes(alpha):
    """The doubled batch's logits in the formula."""
    model = tiny_model(23, 23, double=True, dropout=DropoutRates(0.4, 0.3, 0.2)).train()
    batch = collate(SOURCES, TARGETS)
    torch.manual_seed(5)
    found = Objective(model, TrainingConfig(rdrop=alpha))(batch, 1.0)
    torch.manual_seed(5)
    twice = doubled(batch)
    logits, _ = model.teacher_forcing(
        twice.source,
        twice.source_mask,
        twice.previous,
        TargetPositions(*twice.positions, twice.active),
        twice.source_lengths,
    )
    dense = logits.dense()
    assert (dense[::2] - dense[1::2]).abs().max() > 0.1
    expected = formula(dense, TargetPositions(*batch.positions).select(batch.target), 0.1, alpha)
    assert found.objective.item() == pytest.approx(expected.item(), rel=1e-7)


# ---------------------------------------------------------------- training with it


def test_the_predictions_come_to_agree():
    """Among models that have learned the batch as well, those with R-Drop disagree less."""
    batch, disagreement, fit = collate(SOURCES, TARGETS), [], []
    targets = TargetPositions(*batch.positions).select(batch.target)
    for alpha in (0.0, 5.0):
        model = tiny_model(23, 23, dropout=DropoutRates(0.3, 0.2)).train()
        train_step = TrainStep(model, TrainingConfig(rdrop=alpha, label_smoothing=0.0), FP32)
        torch.manual_seed(1)
        for step in range(80):
            train_step.update(micro_batches(batch), 1e-2, step, 80)
        twice = doubled(batch)
        values = []
        for _ in range(20):
            dense, _ = model(
                twice.source, twice.source_mask, twice.previous, TargetPositions(*twice.positions)
            )
            usual = rdrop_loss(dense, targets, 0.0, 0.0).smoothed
            values.append([(rdrop_loss(dense, targets, 0.0, 1.0).smoothed - usual).item(), usual.item()])
        divergences, losses = zip(*values, strict=True)
        disagreement.append(sum(divergences))
        fit.append(sum(losses) / 20 / batch.tokens)
    assert disagreement[1] < 0.6 * disagreement[0]
    assert max(fit) < 0.8 * math.log(23)


@pytest.mark.parametrize("each", [1, 2])
def test_captured_updates_are_plain_ones(each):
    """Bit for bit, with dropout and accumulation: everything runs on the device."""
    found = []
    for limit in (0, 128):
        model = small_model("bahdanau", DropoutRates(0.3, 0.2, 0.1))
        train_step = TrainStep(model, TrainingConfig(rdrop=2.5, accumulate=each), FP32)
        recorder = Replayer()
        train_step.graphs = UpdateGraphs(recorder, CPU, list(model.parameters()), limit)
        torch.manual_seed(1)
        for step in range(6):
            batches = [small_batch(seed=each * step + k) for k in range(each)]
            train_step.update(micro_batches(*batches), 1e-3, step, 6)
        assert ("replay" in recorder.events) == bool(limit)
        found.append([one.detach().clone() for one in model.parameters()])
    torch.testing.assert_close(found[1], found[0], rtol=0, atol=0)


def test_several_batches_are_one_big_batch():
    """Each counts by its tokens, of which the second pass adds none."""
    gradients, totals = [], []
    for groups in ([[0, 1, 2]], [[0], [1, 2]]):
        model = tiny_model(23, 23).train()
        train_step = TrainStep(model, TrainingConfig(rdrop=1.0, clip_norm=0.0), FP32)
        batches = [collate([SOURCES[k] for k in one], [TARGETS[k] for k in one]) for one in groups]
        train_step.update(micro_batches(*batches), 1e-3, 0, 10)
        gradients.append([p.grad.clone() for p in model.parameters()])
        totals.append(train_step.totals.read())
    torch.testing.assert_close(gradients[1], gradients[0], rtol=0, atol=1e-6)
    assert totals[0].tokens == totals[1].tokens == 12
    assert totals[1].nll == pytest.approx(totals[0].nll, rel=1e-6)
