"""Projection and cross-entropy in one: the logits exist for a part of the tokens at a time.

The gradient of the logits is computed together with them, in place, so that all logits of a batch are never
in memory, nor are their log-probabilities.

Shapes: N real target tokens, n of them in a chunk, F feature size, V vocabulary, K tokens of a soft label.
"""

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from nmt.data.batches import SoftTargets
from nmt.data.tokenizer import EOS, PAD
from nmt.model.logits import Logits
from nmt.model.loops.products import cast_rows
from nmt.training.loss import LossSum, token_loss
from nmt.training.rdrop import PASSES, rdrop_loss, twice

_CPU_LOGITS, _GPU_LOGITS = 2**21, 2**27  # in a chunk: 8 MiB stay in the caches of a CPU, 512 MiB fit on a GPU
_LEAST_TOKENS = 256  # in a chunk: fewer make the products slow


def chunked_loss(
    logits: Logits,
    targets: Tensor,
    smoothing: float,
    rdrop: float = 0.0,
    soft: SoftTargets | None = None,
) -> LossSum:
    """`token_loss`, or `rdrop_loss` with α = `rdrop` above 0, with the same arguments and result; `smoothed`
    can be differentiated once.

    Under autocast to float16 it is that function itself, as the small gradients of the logits would
    underflow.
    """
    features = logits.features[0]
    device = features.device.type
    kind = torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else features.dtype
    if kind == torch.float16:
        if rdrop:
            return rdrop_loss(logits.dense(), targets, smoothing, rdrop, soft)
        return token_loss(logits.dense(), targets, smoothing, soft)
    if rdrop:
        targets, soft = twice(targets), soft and soft.each(twice)
    with torch.autocast(device, enabled=False):
        smoothed, nll = _ChunkedLoss.apply(  # type: ignore[no-untyped-call]
            kind, targets, smoothing, rdrop, soft, logits.bias, *logits.features, *logits.weights
        )
    return LossSum(smoothed, nll)


class _ChunkedLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        kind: torch.dtype,
        targets: Tensor,
        smoothing: float,
        rdrop: float,
        soft: SoftTargets | None,
        bias: Tensor | None,
        *parts: Tensor,
    ) -> tuple[Tensor, Tensor]:
        count = len(parts) // 2
        features = parts[:count]
        weights = [part.to(kind) for part in parts[count:]]
        V = len(weights[0])
        sums = weights[0].new_zeros(2, dtype=torch.promote_types(kind, torch.float32))
        of_features = [torch.empty_like(part) for part in features]
        of_weights = [torch.empty_like(part, dtype=sums.dtype) for part in weights]
        of_bias = None if bias is None else torch.zeros_like(bias)
        limit = _CPU_LOGITS if targets.device.type == "cpu" else _GPU_LOGITS
        size = max(limit // V, _LEAST_TOKENS)
        if rdrop:  # a chunk has both predictions of a token
            size += size % PASSES
        for start in range(0, len(targets), size):
            chunk = slice(start, start + size)
            inputs = [cast_rows(part[chunk], kind) for part in features]
            scores = _logits(inputs, weights, bias, sums.dtype)[: len(targets[chunk])]
            of_chunk = None if soft is None else SoftTargets(*(part[chunk] for part in soft))
            sums += _losses_and_gradient(scores, targets[chunk], smoothing, rdrop, of_chunk)
            if of_bias is not None:
                of_bias += scores.sum(dim=0)
            gradient = cast_rows(scores, kind)
            for k in range(count):
                _set_product(of_features[k][chunk], gradient, weights[k])
                if start:
                    _add_product(of_weights[k], gradient.t(), inputs[k])
                else:
                    _set_product(of_weights[k], gradient.t(), inputs[k])
        ctx.save_for_backward(of_bias, *of_features, *of_weights)
        nll = sums[1].clone()
        ctx.mark_non_differentiable(nll)
        return sums[0].clone(), nll

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, smoothed: Tensor, nll: Tensor) -> tuple[Tensor | None, ...]:
        gradients = (None if part is None else part.mul_(smoothed) for part in ctx.saved_tensors)
        return None, None, None, None, None, *gradients


def _logits(features: list[Tensor], weights: list[Tensor], bias: Tensor | None, dtype: torch.dtype) -> Tensor:
    """Σ_i W_i x_i + b of a chunk, [n, V]."""
    scores = torch.mm(features[0], weights[0].t()).to(dtype)
    for part, weight in zip(features[1:], weights[1:], strict=True):
        _add_product(scores, part, weight.t())
    return scores if bias is None else scores.add_(bias)


def _set_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total = left · right, without the last rows of the product if it has more."""
    if total.dtype == left.dtype:
        torch.mm(left, right, out=total)
    else:
        total.copy_(torch.mm(left, right)[: len(total)])


def _add_product(total: Tensor, left: Tensor, right: Tensor) -> None:
    """total += left · right."""
    if total.dtype == left.dtype:
        total.addmm_(left, right)
    else:
        total += torch.mm(left, right)


def _losses_and_gradient(
    scores: Tensor, targets: Tensor, smoothing: float, rdrop: float, soft: SoftTargets | None
) -> Tensor:
    """The smoothed loss and the negative log-likelihood, both summed over the tokens, [2]; see `token_loss`
    and `rdrop_loss`.

    Replaces the logits, `scores` [n, V], by the gradient of the smoothed loss: p(v) − q(v), with soft labels
    p(v) − (1 − w) q(v) − w s(v); with R-Drop half of it, plus α times the gradient of the divergence.
    """
    uniform = smoothing / (scores.shape[1] - EOS)  # q(v) of the tokens that can be generated, except y
    index = targets.unsqueeze(1)
    torch.log_softmax(scores, dim=1, out=scores)
    real = index != PAD
    hard = scores.new_ones(1, 1)  # the weight of q
    if soft is not None:
        soft = soft._replace(shares=soft.shares.to(scores.dtype))
        hard = 1 - soft.shares.sum(dim=1, keepdim=True)
    chosen = scores.gather(1, index) * real
    nll, smoothed = -chosen.sum(), -(1 - smoothing) * (chosen * hard).sum()
    if smoothing:
        smoothed = smoothed - uniform * (scores[:, EOS:].sum(dim=1, keepdim=True) * real * hard).sum()
    if soft is not None:
        smoothed = smoothed - (scores.gather(1, soft.ids) * soft.shares * real).sum()
    if rdrop:
        divergence = _divergence_and_gradient(scores, real, rdrop)
    else:
        scores.exp_()
    if smoothing:
        scores[:, EOS:] -= uniform * hard
    scores.scatter_add_(1, index, ((smoothing - 1) * hard).expand(index.shape))
    if soft is not None:
        scores.scatter_add_(1, soft.ids, -soft.shares)
    scores *= real
    if not rdrop:
        return torch.stack((smoothed, nll))
    scores /= PASSES
    return torch.stack((smoothed / PASSES + rdrop * divergence, nll / PASSES))


def _divergence_and_gradient(scores: Tensor, real: Tensor, rdrop: float) -> Tensor:
    """L_KL of `rdrop_loss`, summed over the tokens.

    Replaces the log-probabilities, `scores` [n, V], by p + 2α times the gradient of L_KL by the logits, which
    for those of p₁ is ½ (p₁ (log p₁ − log p₂ − D(p₁ ‖ p₂)) + p₁ − p₂), and for p₂ the same with the two
    exchanged.
    """
    p = scores.exp()
    pairs, of_pairs = (part.view(-1, PASSES, part.shape[1]) for part in (scores, p))
    torch.sub(pairs[:, 0], pairs[:, 1], out=pairs[:, 0])
    torch.neg(pairs[:, 0], out=pairs[:, 1])
    divergences = (p * scores).sum(dim=1, keepdim=True)  # D, [n, 1]
    scores.sub_(divergences).mul_(p)
    scores.mul_(rdrop).add_(p, alpha=1 + rdrop).view_as(pairs).sub_(of_pairs.flip(1), alpha=rdrop)
    total: Tensor = (divergences * real).sum() / PASSES
    return total
