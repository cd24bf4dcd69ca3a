"""Matrices of any real numbers side by side, as colours: queries, keys, scores, position embeddings."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import CenteredNorm, Normalize
from matplotlib.figure import Figure
from numpy.typing import NDArray

from nmt.visualisation.fonts import drawable, families_for
from nmt.visualisation.heatmap import COLOURS, labels

_DPI = 160
_INK, _SOFT_INK = "#1c2733", "#5b6875"
_NUMBERED = 60  # cells show their numbers up to this many
_CELL = 0.38  # inches, of these
_HEIGHT, _ASPECT = 2.6, (0.3, 2.0)  # of larger ones in inches, and how wide they are for their height


class Matrix(NamedTuple):
    """One panel.

    Attributes:
        values: [rows, columns]; not empty.
        title: above it.
        across, down: what columns and rows are.
        columns, rows: the name of each; empty: their numbers, from 0.
    """

    values: NDArray[np.floating[Any]]
    title: str = ""
    across: str = ""
    down: str = ""
    columns: Sequence[str] = ()
    rows: Sequence[str] = ()


def draw_matrices(panels: Sequence[Matrix]) -> Figure:
    """Draw matrices in one row, each with colours of its own: from white to blue if no number is negative,
    else from brown over white at 0 to green. Small ones show their numbers, others a scale.
    """
    assert panels
    sizes = [_size(np.shape(panel.values)) for panel in panels]
    widths, height = [width for width, _ in sizes], max(height for _, height in sizes)
    size = (sum(widths) + 0.75 * len(panels), height + 0.8)
    figure = Figure(figsize=size, dpi=_DPI, layout="constrained")
    row = figure.subplots(1, len(panels), width_ratios=widths, squeeze=False)[0]
    for axes, panel in zip(row, panels, strict=True):
        _draw(figure, axes, panel)
    return figure


def _size(shape: tuple[int, ...]) -> tuple[float, float]:
    """Width and height of a panel in inches."""
    rows, columns = shape
    if rows * columns <= _NUMBERED:
        return max(_CELL * columns, 0.8), max(_CELL * rows, 0.8)
    return _HEIGHT * min(max(columns / rows, _ASPECT[0]), _ASPECT[1]), _HEIGHT


def _draw(figure: Figure, axes: Axes, panel: Matrix) -> None:
    values = np.asarray(panel.values)
    signed = bool((values < 0).any())
    norm = CenteredNorm() if signed else Normalize(0, max(float(values.max()), 1e-12))
    image = axes.imshow(values, cmap="BrBG" if signed else COLOURS, norm=norm, aspect="auto")
    axes.tick_params(length=0, labelsize=8, labelcolor=_INK)
    axes.spines[:].set_visible(False)
    families = families_for([panel.title, panel.across, panel.down])
    style: dict[str, Any] = {"family": families, "color": _INK, "parse_math": False}
    axes.set_title(drawable(panel.title, families), fontsize=11, loc="left", **style)
    axes.set_xlabel(drawable(panel.across, families), fontsize=9, **style)
    axes.set_ylabel(drawable(panel.down, families), fontsize=9, **style)
    if values.size <= _NUMBERED:
        _write_numbers(axes, values)
    else:
        colour_bar = figure.colorbar(image, ax=axes, fraction=0.06, pad=0.03)
        colour_bar.outline.set_visible(False)
        colour_bar.ax.tick_params(length=0, labelsize=8, labelcolor=_SOFT_INK)
    _write_names(axes, panel)


def _write_names(axes: Axes, panel: Matrix) -> None:
    """Replace the numbers of columns and rows by their names, where there are any."""
    slanted: dict[str, Any] = {"rotation": 45, "ha": "right", "va": "center", "rotation_mode": "anchor"}
    for axis, names, style in ((axes.xaxis, panel.columns, slanted), (axes.yaxis, panel.rows, {})):
        if names:
            families = families_for(names)
            axis.set_ticks(
                range(len(names)), labels(names, families), family=families, parse_math=False, **style
            )


def _number(value: float) -> str:
    """One decimal; without the sign of a negative number that rounds to zero."""
    return f"{round(value, 1) + 0.0:.1f}"


def _write_numbers(axes: Axes, values: NDArray[np.floating[Any]]) -> None:
    axes.set_xticks(range(values.shape[1]))
    axes.set_yticks(range(values.shape[0]))
    largest = max(float(np.abs(values).max()), 1e-12)
    for (row, column), value in np.ndenumerate(values):
        colour = "white" if abs(value) > 0.7 * largest else _INK
        axes.text(column, row, _number(float(value)), ha="center", va="center", fontsize=8, color=colour)
