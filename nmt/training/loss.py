"""Losses as sums with token counts, so that batches of any size add up to the mean over the corpus.

Shapes: N real target tokens, V vocabulary.
"""

from typing import NamedTuple

from torch import Tensor


class LossSum(NamedTuple):
    """Sums over real target tokens, in nats.

    Attributes:
        smoothed: label-smoothed cross-entropy, the training objective.
        nll: negative log-likelihood; exp(nll / tokens) is the perplexity.
        tokens: number of tokens.
    """

    smoothed: Tensor
    nll: Tensor
    tokens: int


def token_loss(logits: Tensor, targets: Tensor, smoothing: float) -> LossSum:
    """Cross-entropy with label smoothing (Szegedy et al. 2016, §7).

    (1 − ε) · (−log p(y)) + ε · mean_v (−log p(v)), summed over the tokens.

    Args:
        logits: [N, V].
        targets: the reference tokens, [N].
        smoothing: ε.
    """
    log_probabilities = logits.float().log_softmax(dim=-1)
    nll = -log_probabilities.gather(1, targets.unsqueeze(1)).sum()
    smoothed = nll
    if smoothing:
        uniform = -log_probabilities.sum() / logits.shape[1]
        smoothed = (1 - smoothing) * nll + smoothing * uniform
    return LossSum(smoothed, nll.detach(), targets.shape[0])


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
