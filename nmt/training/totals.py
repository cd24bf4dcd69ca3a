"""Sums over updates that stay on the device, so that the host does not wait for an update to finish."""

from typing import NamedTuple

import torch
from torch import Tensor


class Reading(NamedTuple):
    """Totals, as read by the host.

    Attributes:
        nll: negative log-likelihood since the last report, summed over tokens, in nats.
        tokens: real target tokens since then, without those of skipped updates.
        gradient_norm: of the latest update: the norm of the gradient of the loss per token, before clipping.
        skipped: updates skipped in all because of a non-finite loss or gradient.
        skipped_in_a_row: of these, the latest in a row.
        longest: the most in a row since the last report.
    """

    nll: float
    tokens: int
    gradient_norm: float
    skipped: int
    skipped_in_a_row: int
    longest: int


class UpdateTotals:
    """What the updates of this process add up to.

    Args:
        device: the device that computes the updates.
    """

    def __init__(self, device: torch.device) -> None:
        self._values = torch.zeros(6, device=device)
        self._nll, self._uncounted, self._norm, self._skipped, self._in_a_row, self._longest = (
            self._values.unbind()
        )
        self._tokens = 0

    def announce(self, tokens: int) -> None:
        """Count the real target tokens of the next update, on the host."""
        self._tokens += tokens

    def add(self, nll: Tensor, tokens: Tensor, norm: Tensor, found_inf: Tensor) -> None:
        """Add an update, on the device; all arguments are scalars there.

        Args:
            nll: its negative log-likelihood, in nats.
            tokens: its real target tokens, as a float; also given to `announce`.
            norm: its gradient norm.
            found_inf: 1 if it was skipped, else 0.
        """
        self._nll.add_(torch.where(found_inf > 0, torch.zeros_like(nll), nll))
        self._uncounted.addcmul_(tokens, found_inf)
        self._norm.copy_(norm)
        self._skipped.add_(found_inf)
        self._in_a_row.add_(1).mul_(found_inf)
        torch.maximum(self._longest, self._in_a_row, out=self._longest)

    def read(self) -> Reading:
        """The totals; waits for the device."""
        nll, uncounted, norm, skipped, in_a_row, longest = self._values.tolist()
        return Reading(nll, self._tokens - int(uncounted), norm, int(skipped), int(in_a_row), int(longest))

    def restart(self) -> None:
        """Start the next report: forget all but how many updates were skipped, and how many in a row."""
        self._nll.zero_()
        self._uncounted.zero_()
        self._longest.zero_()
        self._tokens = 0

    def restore(self, nll: float, tokens: int, skipped: int) -> None:
        """Continue from saved totals.

        Args:
            nll, tokens: since the last report.
            skipped: updates skipped in all.
        """
        self._nll.fill_(nll)
        self._skipped.fill_(skipped)
        self._tokens = tokens

    def restore_row(self, skipped_in_a_row: int) -> None:
        """Continue after this many skipped updates in a row."""
        self._in_a_row.fill_(skipped_in_a_row)
