"""Losses as sums with token counts, so that batches of any size add up to the mean over the corpus.

Shapes: N real target tokens, V vocabulary.
"""

from typing import NamedTuple

import torch
from torch import Tensor

from nmt.data.tokenizer import EOS


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
    """Cross-entropy with label smoothing (Szegedy et al. 2016, §7), summed over the tokens.

    H(q, p) = −Σ_v q(v) log p(v) with q(v) = (1 − ε) δ(v, y) + ε u(v). The prior u is uniform over the tokens
    that can be generated: 1 / (V − 3), and 0 for PAD, UNK and BOS, which the search forbids.

    Args:
        logits: [N, V].
        targets: the reference tokens y, [N].
        smoothing: ε.
    """
    N, V = logits.shape
    log_probabilities = logits.float().log_softmax(dim=-1)
    if not smoothing:
        nll = -log_probabilities.gather(1, targets.unsqueeze(1)).sum()
        return LossSum(nll, nll.detach(), N)
    forbidden = torch.arange(EOS, device=logits.device).expand(N, EOS)  # PAD, UNK, BOS come before EOS
    gathered = log_probabilities.gather(1, torch.cat([targets.unsqueeze(1), forbidden], dim=1))  # [N, 4]
    nll = -gathered[:, 0].sum()
    uniform = (gathered[:, 1:].sum() - log_probabilities.sum()) / (V - EOS)
    return LossSum((1 - smoothing) * nll + smoothing * uniform, nll.detach(), N)


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
