"""Losses as sums over tokens, so that batches of any size add up to the mean over the corpus.

Shapes: N real target tokens, V vocabulary.
"""

from typing import NamedTuple

from torch import Tensor

from nmt.data.tokenizer import EOS, PAD


class LossSum(NamedTuple):
    """Sums over real target tokens, in nats.

    Attributes:
        smoothed: label-smoothed cross-entropy, the training objective.
        nll: negative log-likelihood; exp(nll / tokens) is the perplexity.
    """

    smoothed: Tensor
    nll: Tensor


def token_loss(logits: Tensor, targets: Tensor, smoothing: float) -> LossSum:
    """Cross-entropy with label smoothing (Szegedy et al. 2016, §7), summed over the tokens.

    H(q, p) = −Σ_v q(v) log p(v) with q(v) = (1 − ε) δ(v, y) + ε u(v). The prior u is uniform over the tokens
    that can be generated: 1 / (V − 3), and 0 for PAD, UNK and BOS, which the search forbids.

    Args:
        logits: [N, V].
        targets: the reference tokens y, [N]; a PAD counts for nothing, so that batches can be padded to a
            common number of target tokens.
        smoothing: ε.
    """
    V = logits.shape[1]
    log_probabilities = logits.float().log_softmax(dim=-1)
    real = targets != PAD
    chosen = log_probabilities.gather(1, targets.unsqueeze(1)).squeeze(1)
    nll = -(chosen * real).sum()
    if not smoothing:
        return LossSum(nll, nll.detach())
    possible = log_probabilities[:, EOS:].sum(dim=1)  # PAD, UNK, BOS come before EOS
    uniform = -(possible * real).sum() / (V - EOS)
    return LossSum((1 - smoothing) * nll + smoothing * uniform, nll.detach())


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
