"""Losses as sums over tokens, so that batches of any size add up to the mean over the corpus.

Shapes: N real target tokens, V vocabulary, K tokens of a soft label.
"""

from typing import NamedTuple

from torch import Tensor

from nmt.data.batches import SoftTargets
from nmt.data.tokenizer import EOS, PAD


class LossSum(NamedTuple):
    """Sums over real target tokens, in nats.

    Attributes:
        smoothed: cross-entropy with the smoothed and the soft labels, the training objective.
        nll: negative log-likelihood; exp(nll / tokens) is the perplexity.
    """

    smoothed: Tensor
    nll: Tensor


def token_loss(logits: Tensor, targets: Tensor, smoothing: float, soft: SoftTargets | None = None) -> LossSum:
    """Cross-entropy with label smoothing (Szegedy et al. 2016, §7), summed over the tokens.

    H(q, p) = −Σ_v q(v) log p(v) with q(v) = (1 − ε) δ(v, y) + ε u(v). The prior u is uniform over the tokens
    that can be generated: 1 / (V − 3), and 0 for PAD, UNK and BOS, which the search forbids.

    With soft labels, (1 − w) H(q, p) + w H(s, p): word-level knowledge distillation (Kim and Rush 2016,
    §3.1, L_WORD-KD, interpolated as in §2.2; Hinton, Vinyals and Dean 2015, §2). s(v) is the probability of v
    by the teachers, which is not smoothed.

    Args:
        logits: [N, V].
        targets: the reference tokens y, [N]; a PAD counts for nothing, so that batches can be padded to a
            common number of target tokens.
        smoothing: ε.
        soft: w · s, if any token has a soft label.
    """
    V = logits.shape[1]
    log_probabilities = logits.float().log_softmax(dim=-1)
    real = targets != PAD
    chosen = log_probabilities.gather(1, targets.unsqueeze(1)).squeeze(1)
    nll = -(chosen * real).sum()
    hard = real if soft is None else real * (1 - soft.shares.sum(dim=1))  # the weight of q
    smoothed = -(1 - smoothing) * (chosen * hard).sum()
    if smoothing:
        possible = log_probabilities[:, EOS:].sum(dim=1)  # PAD, UNK, BOS come before EOS
        smoothed = smoothed - smoothing * ((possible * hard).sum() / (V - EOS))
    if soft is not None:
        smoothed = smoothed - (log_probabilities.gather(1, soft.ids) * soft.shares * real.unsqueeze(1)).sum()
    return LossSum(smoothed, nll.detach())


def alignment_loss(weights: Tensor, alignment: Tensor) -> Tensor:
    """Guided alignment: cross-entropy between given alignments and attention (Chen et al. 2016, §3, eq. 4),
    summed over the tokens.

    −Σ_t Σ_j A_tj log α_tj, with α averaged over the heads. A token without a link contributes 0.

    Args:
        weights: α of each head, [B, K, T, S].
        alignment: A, [B, T, S], each row summing to 1 or 0.
    """
    average = weights.float().mean(dim=1).clamp(min=1e-8)  # log 0 has no finite gradient
    return -(alignment * average.log()).sum()
