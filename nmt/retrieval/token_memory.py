"""A memory of the training tokens: the distribution over the next token that those in similar contexts give.

The decoder's features of each training token are a key, and the token itself is its value. The next token in
a new context with features q has the distribution (Khandelwal et al. 2021, "Nearest neighbor machine
translation", eq. 2)

    p(y) ∝ Σᵢ wᵢ [vᵢ = y],    wᵢ = exp(−dᵢ²/T) · (1 − dᵢ²/d²ₖ₊₁),

over the k nearest keys, with distances dᵢ: kernel regression (Nadaraya 1964, Watson 1964), or attention with
a Gaussian kernel, over the training set. The second factor, which the paper does not have, lets the k-th
weight go to zero where the (k+1)-th key takes its place: an Epanechnikov kernel as wide as the neighbours
reach. So p is a continuous function of q, and rounding, which depends on the batch, hardly changes it.

Shapes: N queries, M training tokens, F feature size, D dimensions of a key, k neighbours, V vocabulary.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from nmt.config.decoding import RetrievalConfig
from nmt.retrieval.nearest import NearestKeys

_LEAST = 1e-3  # of the second factor, where all k + 1 keys are equally far


class Retrieved(NamedTuple):
    """The training tokens retrieved for each query.

    Attributes:
        indices: of the training tokens, int64 [N, k].
        tokens: int64 [N, k].
        weights: [N, k]; they sum to 1.
    """

    indices: Tensor
    tokens: Tensor
    weights: Tensor


class TokenMemory:
    """The training tokens by their keys. Several threads can use it at the same time.

    Args:
        mean: of the features, [F].
        components: maps the features less their mean to a key, [D, F].
        keys: [M, D].
        tokens: int64 [M].
    """

    def __init__(self, mean: Tensor, components: Tensor, keys: Tensor, tokens: Tensor) -> None:
        self._mean, self._components, self._tokens = mean, components, tokens
        self._keys = NearestKeys(keys)

    @property
    def feature_size(self) -> int:
        """F."""
        return len(self._mean)

    def retrieve(self, features: Tensor, config: RetrievalConfig) -> Retrieved:
        """The training tokens in the contexts most similar to those with features [N, F]."""
        queries = (features.float() - self._mean) @ self._components.t()
        distances, indices = self._keys.search(queries, config.k + 1)
        weights = kernel(distances, min(config.k, len(self._keys)), config.temperature)
        indices = indices[:, : weights.shape[1]]
        return Retrieved(indices, self._tokens[indices], weights)


def kernel(distances: Tensor, k: int, temperature: float) -> Tensor:
    """The weights of neighbours, which sum to 1.

    Args:
        distances: squared, ascending, [N, k + 1]; or [N, k], where there are no further keys.
        k: how many get a weight.
        temperature: T.

    Returns:
        [N, k]
    """
    nearest = distances[:, :k]
    weights = torch.exp((nearest[:, :1] - nearest) / temperature)
    if distances.shape[1] > k:
        reach = distances[:, k:].clamp(min=torch.finfo(distances.dtype).tiny)
        weights = weights * (1 - nearest / reach).clamp(min=_LEAST)
    return weights / weights.sum(dim=1, keepdim=True)


def interpolate(predicted: Tensor, retrieved: Retrieved, weight: float) -> Tensor:
    """log (λ p_retrieved(y) + (1 − λ) p_model(y)) (Khandelwal et al. 2021, eq. 3); none is above 0.

    Args:
        predicted: log p_model, [N, V].
        retrieved: training tokens of each row.
        weight: λ, above 0 and below 1.

    Returns:
        [N, V]
    """
    shares = torch.zeros_like(predicted).scatter_add_(1, retrieved.tokens, retrieved.weights)
    mixed = torch.logaddexp(predicted + math.log1p(-weight), shares.mul_(weight).log_())
    return mixed.clamp_(max=0.0)
