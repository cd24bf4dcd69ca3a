"""Which target tokens of a padded batch are real."""

from torch import Tensor

TargetPositions = Tensor | tuple[Tensor, Tensor]
"""A mask, True at real target tokens, [B, T]; or the row and the step of each, in row-major order, [N] each.

As an index both select the same. With a mask on a GPU, the host waits until the GPU has counted its tokens.
"""
