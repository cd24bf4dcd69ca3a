"""Floating-point operations of the matrix products of an update, and the rate of matrix products."""

import time
import warnings
from collections.abc import Callable, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from nmt.config.settings import Config
from nmt.data.batches import Batch, MicroBatches, collate
from timing.clock import wait
from timing.workload import VOCABULARY, Updates

LENGTHS = ((2, 2), (2, 5), (5, 2), (4, 4), (6, 3), (3, 6), (7, 7))  # source and target tokens
EXACT = 1e-9  # relative error of the fit
CPU_SIZES, GPU_SIZES, SMALL_SIZES = (512, 1024, 2048), (2048, 4096, 8192), (128, 256)


def counted(work: Callable[[], object]) -> int:
    """The floating-point operations of the matrix products and convolutions of `work` on the CPU, a
    multiplication and an addition counted as two. Attention and recurrent layers are counted as the matrix
    products that they consist of.
    """
    counter = FlopCounterMode(display=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # torch's about TF32, when its own flags are set
        with torch.backends.mkldnn.flags(enabled=False), sdpa_kernel(SDPBackend.MATH), counter:
            work()
    return int(counter.get_total_flops())


def update_flops(config: Config, vocabulary: int = VOCABULARY) -> Callable[[Batch], float] | None:
    """A function that gives the operations of an update for the real tokens of a batch; forward and backward.

    A pair of S source and T target tokens (end-of-sentence included) needs
    f(S, T) = a + b S + c T + d S T + e S² + g T² operations: a recurrent layer or a projection is linear in
    the length, attention in the product of two lengths. The coefficients are fitted to updates with a single
    pair, thus without padding. The operations of a batch are the sum of f over its pairs.

    Returns:
        the function; None if the operations of the model are not such a polynomial.
    """
    update = Updates(config, torch.device("cpu"), vocabulary)
    found = [counted(lambda pair=pair: update(pair)) for pair in map(_pair, LENGTHS)]  # type: ignore[misc]
    terms = _terms(*np.array(LENGTHS, np.float64).T)
    coefficients, *_ = np.linalg.lstsq(terms, np.array(found, np.float64), rcond=None)
    if not np.allclose(terms @ coefficients, found, rtol=EXACT, atol=0):
        return None

    def flops(batch: Batch) -> float:
        sources, targets = (mask.sum(dim=1).numpy() for mask in (batch.source_mask, batch.target_mask))
        return float((_terms(sources.astype(float), targets.astype(float)) @ coefficients).sum())

    return flops


def _terms(S: NDArray[np.float64], T: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.stack([np.ones_like(S), S, T, S * T, S * S, T * T], axis=1)


def _pair(lengths: tuple[int, int]) -> MicroBatches:
    source, target = lengths
    batch = collate([list(range(4, 3 + source))], [list(range(4, 3 + target))])
    return MicroBatches([batch], batch.tokens)


class MatrixRate:
    """The best rate of products of two square matrices so far, in operations per second.

    Args:
        device: where to multiply.
        dtype: of the matrices.
        sizes: numbers of rows.
    """

    def __init__(self, device: torch.device, dtype: torch.dtype, sizes: Sequence[int]) -> None:
        self.best = 0.0
        self._device = device
        self._matrices = [torch.randn(size, size, device=device).to(dtype) for size in sizes]

    def measure(self) -> None:
        """Multiply each pair once."""
        for matrix in self._matrices:
            wait(self._device)
            started = time.perf_counter()
            matrix @ matrix
            wait(self._device)
            rate = 2 * len(matrix) ** 3 / (time.perf_counter() - started)
            self.best = max(self.best, rate)


def matrix_sizes(device: torch.device, small: bool) -> tuple[int, ...]:
    """The sizes for `MatrixRate`."""
    if small:
        return SMALL_SIZES
    return GPU_SIZES if device.type == "cuda" else CPU_SIZES
