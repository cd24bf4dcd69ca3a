"""The loss against PyTorch's cross-entropy and against the formula in a plain loop."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from nmt.data.tokenizer import BOS, EOS, PAD, UNK
from nmt.training.loss import alignment_loss, token_loss

SPECIAL = (PAD, UNK, BOS)  # never generated
cases = given(
    N=st.integers(1, 7),
    V=st.integers(4, 11),
    smoothing=st.sampled_from([0.0, 0.1, 0.5, 0.9]),
    seed=st.integers(0, 10**6),
)


def draw(N, V, seed):
    generator = torch.Generator().manual_seed(seed)
    return 3 * torch.randn(N, V, generator=generator), torch.randint(PAD + 1, V, (N,), generator=generator)


@settings(max_examples=50, deadline=None)
@cases
def test_value_and_gradient_are_pytorchs_for_a_vocabulary_without_special_tokens(N, V, smoothing, seed):
    """Special tokens have no probability here, and are no targets."""
    logits, targets = draw(N, V, seed)
    logits[:, SPECIAL] = -40.0
    targets = targets.clamp(min=EOS)
    ours, theirs = (logits.clone().requires_grad_() for _ in range(2))
    loss = token_loss(ours, targets, smoothing)
    others = [token for token in range(V) if token not in SPECIAL]
    shifted = torch.tensor([others.index(target) for target in targets.tolist()])
    expected = F.cross_entropy(theirs[:, others], shifted, label_smoothing=smoothing, reduction="sum")
    torch.testing.assert_close(loss.smoothed, expected, rtol=1e-5, atol=1e-4)
    torch.testing.assert_close(loss.nll, F.cross_entropy(logits, targets, reduction="sum"))
    loss.smoothed.backward()
    expected.backward()
    torch.testing.assert_close(ours.grad, theirs.grad, rtol=1e-5, atol=1e-5)


@settings(max_examples=50, deadline=None)
@cases
def test_value_is_the_formula(N, V, smoothing, seed):
    logits, targets = draw(N, V, seed)
    smoothed = nll = 0.0
    for row, target in zip(logits.tolist(), targets.tolist(), strict=True):
        total = math.log(sum(math.exp(value) for value in row))
        nll += total - row[target]
        for token, value in enumerate(row):
            prior = 0 if token in SPECIAL else 1 / (V - 3)
            smoothed -= ((1 - smoothing) * (token == target) + smoothing * prior) * (value - total)
    loss = token_loss(logits, targets, smoothing)
    assert float(loss.smoothed) == pytest.approx(smoothed, rel=1e-5, abs=1e-5)
    assert float(loss.nll) == pytest.approx(nll, rel=1e-5, abs=1e-5)


def test_what_cannot_be_generated_is_only_made_less_likely():
    """The gradient of a logit is p − q: positive where q is 0."""
    logits = torch.zeros(1, 9, requires_grad=True)
    token_loss(logits, torch.tensor([5]), 0.3).smoothed.backward()
    wanted = torch.full((9,), 1 / 9)
    wanted[EOS:] -= 0.3 / 6
    wanted[5] -= 0.7
    torch.testing.assert_close(logits.grad[0], wanted)


def test_batches_add_up():
    logits, targets = draw(9, 5, seed=1)
    together = token_loss(logits, targets, 0.1)
    separate = [token_loss(logits[rows], targets[rows], 0.1) for rows in (slice(0, 2), slice(2, 9))]
    for sums in zip(together, *separate, strict=True):
        assert float(sums[0]) == pytest.approx(float(sums[1] + sums[2]))


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_padding_counts_for_nothing(smoothing):
    """Neither in the sums nor in the gradient, whatever its logits."""
    logits, targets = draw(6, 9, seed=2)
    found = []
    for rows in (slice(0, 4), slice(0, 6)):
        ours, chosen = logits[rows].clone().requires_grad_(), targets[rows].clone()
        chosen[4:] = PAD
        loss = token_loss(ours, chosen, smoothing)
        loss.smoothed.backward()
        assert not ours.grad[4:].any()
        found.append((*loss, ours.grad[:4]))
    torch.testing.assert_close(found[1], found[0])


def test_half_precision_logits_are_summed_in_float32():
    """In bfloat16 the sum would stall at about 512 · 1.39, where its spacing exceeds a term."""
    logits, targets = torch.zeros(10_000, 4, dtype=torch.bfloat16), torch.full((10_000,), EOS)
    loss = token_loss(logits, targets, 0.1)
    assert loss.nll.dtype == loss.smoothed.dtype == torch.float32
    assert float(loss.nll) == pytest.approx(10_000 * math.log(4), rel=1e-5)


def test_nll_keeps_no_graph():
    logits = torch.zeros(2, 3, requires_grad=True)
    loss = token_loss(logits, torch.tensor([1, 2]), 0.0)
    assert loss.smoothed.requires_grad
    assert not loss.nll.requires_grad


def test_smoothing_is_least_at_the_smoothed_distribution():
    """Not at probability 1, which is the purpose of label smoothing (Szegedy et al. 2016, §7)."""
    smoothing, target = 0.1, torch.tensor([EOS])
    wanted = torch.full((1, 7), smoothing / 4)
    wanted[0, SPECIAL] = 1e-9
    wanted[0, EOS] += 1 - smoothing
    least = float(token_loss(wanted.log(), target, smoothing).smoothed)
    for shift in (-0.1, 0.1, 5.0):
        moved = wanted.log()
        moved[0, EOS] += shift
        assert float(token_loss(moved, target, smoothing).smoothed) > least


# ---------------------------------------------------------------- guided alignment


def test_alignment_loss_is_the_formula():
    weights = torch.rand(2, 3, 4, 5, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    weights /= weights.sum(-1, keepdim=True)
    given = torch.zeros(2, 4, 5)
    given[0, 0, 1] = 1
    given[0, 2, 3:] = 0.5
    given[1, 3, 0] = 1
    expected = 0.0
    for b, t, j in given.nonzero().tolist():
        alpha = sum(float(weights[b, k, t, j]) for k in range(3)) / 3
        expected -= float(given[b, t, j]) * math.log(alpha)
    assert float(alignment_loss(weights, given)) == pytest.approx(expected, rel=1e-6)


def test_no_links_no_loss_and_no_attention_no_infinity():
    weights = torch.zeros(1, 1, 2, 2, requires_grad=True)
    assert float(alignment_loss(weights.detach(), torch.zeros(1, 2, 2))) == 0
    loss = alignment_loss(weights, torch.tensor([[[1.0, 0.0], [0.0, 0.0]]]))
    assert loss.isfinite()
    loss.backward()
    assert weights.grad.isfinite().all()
