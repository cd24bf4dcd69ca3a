"""Projection and loss in one, against the loss of all logits."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from nmt.data.tokenizer import PAD
from nmt.model.logits import Logits
from nmt.training import chunked_loss as module
from nmt.training.chunked_loss import chunked_loss
from nmt.training.loss import token_loss


def draw(N: int, V: int, parts: int, bias: bool, seed: int, dtype: torch.dtype = torch.float32) -> Logits:
    """Random features and weights, with gradients."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=dtype).requires_grad_()

    sizes = [3 + k for k in range(parts)]
    features, weights = (tuple(normal(rows, size) for size in sizes) for rows in (N, V))
    return Logits(features, weights, normal(V) if bias else None)


def leaves(logits: Logits) -> list[torch.Tensor]:
    return [*logits.features, *logits.weights, *([] if logits.bias is None else [logits.bias])]


@settings(max_examples=60, deadline=None)
@given(
    N=st.integers(1, 12),
    V=st.integers(4, 11),
    parts=st.integers(1, 2),
    bias=st.booleans(),
    smoothing=st.sampled_from([0.0, 0.1, 0.5]),
    chunk=st.integers(1, 13),
    seed=st.integers(0, 10**6),
)
def test_value_and_gradients_are_those_of_all_logits_at_once(N, V, parts, bias, smoothing, chunk, seed):
    logits = draw(N, V, parts, bias, seed)
    targets = torch.randint(0, V, (N,), generator=torch.Generator().manual_seed(seed))  # PAD among them
    expected = token_loss(logits.dense(), targets, smoothing)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "_LEAST_TOKENS", chunk)
        patch.setattr(module, "_CPU_LOGITS", 1)
        found = chunked_loss(logits, targets, smoothing)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-5)
    assert not found.nll.requires_grad
    one, other = (torch.autograd.grad(0.3 * loss.smoothed, leaves(logits)) for loss in (found, expected))
    torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_gradients_are_finite_differences(smoothing, monkeypatch):
    monkeypatch.setattr(module, "_LEAST_TOKENS", 2)
    monkeypatch.setattr(module, "_CPU_LOGITS", 1)
    logits, targets = draw(5, 6, 2, True, 1, torch.float64), torch.tensor([3, 4, PAD, 5, 3])

    def loss() -> torch.Tensor:
        return chunked_loss(logits, targets, smoothing).smoothed

    found, step = torch.autograd.grad(loss(), leaves(logits)), 1e-6
    for part, gradient in zip(leaves(logits), found, strict=True):
        for index in range(part.numel()):
            sides = []
            for shift in (step, -2 * step):
                part.data.view(-1)[index] += shift
                sides.append(loss().item())
            part.data.view(-1)[index] += step
            slope = (sides[0] - sides[1]) / (2 * step)
            assert gradient.view(-1)[index].item() == pytest.approx(slope, rel=1e-6, abs=1e-8)


def test_logits_of_all_tokens_are_never_in_memory():
    """The largest tensor that is made is a chunk."""
    from torch.utils._python_dispatch import TorchDispatchMode

    largest = 0

    class Largest(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            nonlocal largest
            result = func(*args, **(kwargs or {}))
            if isinstance(result, torch.Tensor):
                largest = max(largest, result.numel())
            return result

    logits, targets = draw(2000, 9000, 2, True, 1), torch.full((2000,), 5)
    with Largest():
        loss = chunked_loss(logits, targets, 0.1).smoothed
        torch.autograd.grad(loss, leaves(logits))
    assert 256 * 9000 <= largest < 2000 * 9000 / 4


def test_under_autocast_to_bfloat16_it_stays_near_float32():
    logits, targets = draw(8, 9, 2, True, 1), torch.randint(3, 9, (8,))
    exact = chunked_loss(logits, targets, 0.1).smoothed
    with torch.autocast("cpu", torch.bfloat16):
        found = chunked_loss(logits, targets, 0.1).smoothed
    assert found.dtype == torch.float32
    assert 0 < (found - exact).abs().item() < 0.02 * exact.item()
    one, other = (torch.autograd.grad(loss, leaves(logits)) for loss in (found, exact))
    for part, precise in zip(one, other, strict=True):
        assert part.dtype == torch.float32
        assert (part - precise).abs().max() < 0.05 * precise.abs().max()
