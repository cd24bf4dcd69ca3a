"""Kernel regression: fits and their attention maps, side by side."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nmt.visualisation.heatmap import COLOURS

_DPI = 160
_INK, _FAINT_INK = "#1c2733", "#9aa7b4"
_CURVE, _FIT, _DATA = "#009e73", "#0072b2", "#e69f00"  # Okabe and Ito


class Fit(NamedTuple):
    """A fit of a curve.

    Attributes:
        title: above it.
        values: the predictions at the Q queries, [Q].
        weights: how much each of the N data points contributes to each prediction, [Q, N].
    """

    title: str
    values: NDArray[np.floating[Any]]
    weights: NDArray[np.floating[Any]]


def draw_fits(
    data: NDArray[np.floating[Any]],
    queries: NDArray[np.floating[Any]],
    curve: NDArray[np.floating[Any]],
    fits: Sequence[Fit],
) -> Figure:
    """Draw fits above, and below each its weights, as a map with queries down and data points across, both
    from left to right or top to bottom in ascending order.

    Args:
        data: x and y of the data points, [N, 2]; x ascending.
        queries: where the curve is predicted, [Q]; ascending.
        curve: the true values there, [Q].
        fits: one column each.
    """
    figure = Figure(figsize=(3.1 * len(fits), 5.4), dpi=_DPI, layout="constrained")
    rows = figure.subplots(2, len(fits), squeeze=False, sharey="row")
    for column, fit in enumerate(fits):
        assert fit.weights.shape == (len(queries), len(data)), fit.weights.shape
        _draw_fit(rows[0, column], data, queries, curve, fit)
        image = rows[1, column].imshow(fit.weights, cmap=COLOURS, vmin=0, aspect="auto")
        rows[1, column].set_xlabel("data point", color=_INK)
        figure.colorbar(image, ax=rows[1, column], fraction=0.06, pad=0.03).outline.set_visible(False)
        for axes in rows[:, column]:
            axes.tick_params(labelsize=8, labelcolor=_INK, color=_FAINT_INK)
    rows[0, 0].set_ylabel("y", color=_INK)
    rows[1, 0].set_ylabel("query", color=_INK)
    handles, labels = rows[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3, frameon=False, labelcolor=_INK)
    return figure


def _draw_fit(
    axes: Axes,
    data: NDArray[np.floating[Any]],
    queries: NDArray[np.floating[Any]],
    curve: NDArray[np.floating[Any]],
    fit: Fit,
) -> None:
    axes.plot(*data.T, "o", color=_DATA, markersize=3.5, markeredgecolor="white", label="data", alpha=0.9)
    axes.plot(queries, curve, "--", color=_CURVE, linewidth=1.6, label="the curve")
    axes.plot(queries, fit.values, color=_FIT, linewidth=2, label="the fit")
    axes.spines[["top", "right"]].set_visible(False)
    axes.set_title(fit.title, fontsize=11, loc="left", color=_INK, parse_math=False)
    axes.set_xlabel("x", color=_INK)
