"""Attention heatmaps: how much each target token attends to each source token.

The source runs across the top, the target down the side; S and T are their numbers of tokens, which may
be words or pieces. Nothing here uses pyplot's global state, so threads can draw concurrently.
"""

import textwrap
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.text import Text
from numpy.typing import NDArray

from nmt.errors import ConfigError
from nmt.files import replacing
from nmt.visualisation.fonts import drawable, families_for

_DPI = 160
_CELL = 0.46  # inches, at most
_MIN_CELL = 0.15
_SIDE = 9.0  # inches; soft limit for the longer side of the matrix …
_MAX_SIDE = 24.0  # … and hard limit
_MARGIN = 0.16
_BAR_SPACE = 0.62  # inches right of the matrix
_BAR_HEIGHT = (1.1, 2.4)  # at least, at most
_LABEL_SIZE, _TITLE_SIZE = 11.5, 12.0  # points
_NUMBERED = 12  # cells show their numbers up to this many tokens per side
_LONGEST_LABEL = 40
_INK, _SOFT_INK, _FAINT_INK = "#1c2733", "#5b6875", "#9aa7b4"

# A single-hue colour map, evenly spaced in lightness: prints well, and zero looks blank.
COLOURS = LinearSegmentedColormap.from_list(
    "attention", ["#f4f7fb", "#cfdff0", "#a3c4e4", "#74a6d4", "#4886bf", "#2766a3", "#134681", "#08295a"]
)
_svg_lock = threading.Lock()


def _cell_size(tokens: int) -> float:
    """The side of a cell in inches: smaller for longer sentences, but readable as long as possible."""
    return min(max(min(_CELL, _SIDE / max(tokens, 1)), _MIN_CELL), _MAX_SIDE / max(tokens, 1))


def labels(tokens: Sequence[str], families: Sequence[str]) -> list[str]:
    """The tokens as `families` can draw them, shortened if they are very long."""
    texts = (drawable(token, families) for token in tokens)
    return [text if len(text) <= _LONGEST_LABEL else text[: _LONGEST_LABEL - 1] + "…" for text in texts]


def _number(weight: float) -> str:
    """Two decimals without the leading zero: .53; 1 when it rounds to it."""
    return "1" if weight >= 0.995 else f"{weight:.2f}".removeprefix("0")


def _write_numbers(axes: Axes, weights: NDArray[np.floating[Any]], size: float) -> None:
    for (row, column), weight in np.ndenumerate(weights):
        axes.text(
            column + 0.5,
            row + 0.5,
            _number(float(weight)),
            ha="center",
            va="center_baseline",
            fontsize=size,
            color="white" if weight > 0.57 else _INK if weight >= 0.05 else _FAINT_INK,
            parse_math=False,
        )


def _write_labels(
    axes: Axes, source: Sequence[str], target: Sequence[str], families: Sequence[str], size: float
) -> None:
    axes.tick_params(length=0, pad=4, top=False, labeltop=True, labelbottom=False, left=False)
    common: dict[str, Any] = {"fontsize": size, "family": families, "color": _INK, "parse_math": False}
    axes.set_xticks(
        np.arange(len(source)) + 0.5,
        source,
        rotation=45,
        ha="left",
        va="center",
        rotation_mode="anchor",
        **common,
    )
    axes.set_yticks(np.arange(len(target)) + 0.5, target, **common)


def _draw_matrix(axes: Axes, weights: NDArray[np.floating[Any]], cell: float) -> None:
    T, S = weights.shape
    axes.set(xlim=(0, max(S, 1)), ylim=(max(T, 1), 0))
    axes.pcolormesh(
        np.arange(S + 1),
        np.arange(T + 1),
        weights,
        cmap=COLOURS,
        vmin=0,
        vmax=1,
        edgecolors="white",
        linewidth=2.6 * cell,
    )
    for spine in axes.spines.values():
        spine.set_visible(False)


def _draw_bar(bar: Axes, families: Sequence[str]) -> None:
    scale = ScalarMappable(Normalize(0, 1), COLOURS)
    colour_bar = bar.figure.colorbar(scale, cax=bar, ticks=[0, 0.5, 1])
    colour_bar.outline.set_visible(False)
    style: dict[str, Any] = {"fontsize": 8, "family": families, "color": _SOFT_INK}
    bar.tick_params(length=0, pad=4)
    bar.set_yticks([0, 0.5, 1], ["0", ".5", "1"], **style)
    bar.set_ylabel("attention", labelpad=4, **style)


def _draw_title(figure: Figure, title: str, families: Sequence[str], width: float) -> tuple[float, float]:
    """Write the title at the top left, wrapped to `width` inches, and return its width and height."""
    per_line = max(int(width / (_TITLE_SIZE / 72 * 0.6)), 32)
    lines = textwrap.wrap(drawable(title, families), per_line)
    box = _write_title(figure, "\n".join(lines), families, 0, 1).get_window_extent()
    return box.width / _DPI, box.height / _DPI


def _write_title(figure: Figure, title: str, families: Sequence[str], x: float, y: float) -> Text:
    """Write text whose top left corner is at (x, y), from 0 to 1."""
    style: dict[str, Any] = {"fontsize": _TITLE_SIZE, "family": families, "color": _INK, "va": "top"}
    return figure.text(x, y, title, parse_math=False, **style)


def _arrange(figure: Figure, axes: Axes, bar: Axes, title: str, families: Sequence[str]) -> None:
    """Size the figure so that labels, bar and title fit around the matrix, which keeps its size."""
    width, height = figure.get_size_inches()
    box = axes.get_tightbbox()
    assert box is not None
    left, right = _MARGIN - box.x0 / _DPI, max(box.x1 / _DPI - width, _BAR_SPACE) + _MARGIN
    top, bottom = _MARGIN + box.y1 / _DPI - height, _MARGIN + max(_BAR_HEIGHT[0] - height, 0)
    if title:
        title_width, title_height = _draw_title(figure, title, families, left + width + right - 2 * _MARGIN)
        right = max(right, title_width + 2 * _MARGIN - left - width)
        top += title_height + _MARGIN
    size = np.array([left + width + right, bottom + height + top])
    figure.set_size_inches(*size)
    axes.set_position((left / size[0], bottom / size[1], width / size[0], height / size[1]))
    tall = min(max(height, _BAR_HEIGHT[0]), _BAR_HEIGHT[1])
    bar.set_position(
        (
            (left + width + 0.2) / size[0],
            (bottom + height - tall) / size[1],
            0.1 / size[0],
            tall / size[1],
        )
    )
    for text in figure.texts:
        text.set_position((_MARGIN / size[0], 1 - _MARGIN / size[1]))


def draw_heatmap(
    weights: NDArray[np.floating[Any]],
    source: Sequence[str],
    target: Sequence[str],
    *,
    title: str | None = None,
) -> Figure:
    """Draw attention as a heatmap, with numbers in the cells if it is small.

    Labels and title are drawn literally: nothing in them is markup. Fonts for their scripts are chosen
    by `nmt.visualisation.fonts`. Either side may be empty.

    Args:
        weights: [T, S], from 0 to 1.
        source: the S labels across the top.
        target: the T labels down the side.
        title: a line above it all.
    """
    assert weights.shape == (len(target), len(source)), (weights.shape, len(target), len(source))
    families = families_for([*source, *target, title or ""])
    cell = _cell_size(max(weights.shape))
    figure = Figure(figsize=(max(weights.shape[1], 1) * cell, max(weights.shape[0], 1) * cell), dpi=_DPI)
    FigureCanvasAgg(figure)
    figure.set_facecolor("white")
    axes, bar = figure.add_axes((0, 0, 1, 1)), figure.add_axes((0, 0, 1, 1))
    _paint(axes, weights, source, target, families)
    _draw_bar(bar, families[:1])
    _arrange(figure, axes, bar, title or "", families)
    return figure


def _paint(
    axes: Axes,
    weights: NDArray[np.floating[Any]],
    source: Sequence[str],
    target: Sequence[str],
    families: Sequence[str],
) -> None:
    cell = _cell_size(max(weights.shape))
    size = min(_LABEL_SIZE, 0.6 * 72 * cell)  # points
    _draw_matrix(axes, weights, cell)
    _write_labels(axes, labels(source, families), labels(target, families), families, size)
    if max(weights.shape) <= _NUMBERED:
        _write_numbers(axes, weights, 0.75 * size)


class Panel(NamedTuple):
    """One heatmap of a grid: weights [T, S], their labels, and a line above them."""

    weights: NDArray[np.floating[Any]]
    source: Sequence[str]
    target: Sequence[str]
    title: str = ""


def draw_grid(panels: Sequence[Panel], columns: int = 2) -> Figure:
    """Draw the heatmaps of several sentences as one grid, in rows of `columns`."""
    assert panels
    assert columns > 0
    alone = [draw_heatmap(*panel[:3], title=panel.title) for panel in panels]
    sizes = [figure.get_size_inches() for figure in alone]
    rows = [range(start, min(start + columns, len(panels))) for start in range(0, len(panels), columns)]
    heights = [max(sizes[i][1] for i in row) for row in rows]
    widths = [max(sizes[i][0] for i in range(column, len(panels), columns)) for column in range(len(rows[0]))]
    size = np.array([sum(widths), sum(heights)])
    figure = Figure(figsize=tuple(size), dpi=_DPI)
    FigureCanvasAgg(figure)
    figure.set_facecolor("white")
    families = families_for([text for panel in panels for text in (*panel.source, *panel.target)])
    for number, row in enumerate(rows):
        for column, i in enumerate(row):
            position, figure_size = alone[i].axes[0].get_position(), alone[i].get_size_inches()
            left = sum(widths[:column]) + position.x0 * figure_size[0]
            top = sum(heights[:number]) + (1 - position.y1) * figure_size[1]
            width, height = position.width * figure_size[0], position.height * figure_size[1]
            rectangle = (left / size[0], 1 - (top + height) / size[1], width / size[0], height / size[1])
            _paint(figure.add_axes(rectangle), *panels[i][:3], families)
            corner = sum(widths[:column]) + _MARGIN, size[1] - sum(heights[:number]) - _MARGIN
            for title in alone[i].texts:
                _write_title(figure, title.get_text(), families_for([panels[i].title]), *corner / size)
    return figure


def save_heatmap(
    path: Path,
    weights: NDArray[np.floating[Any]],
    source: Sequence[str],
    target: Sequence[str],
    *,
    title: str | None = None,
) -> None:
    """Draw a heatmap with `draw_heatmap` into a PNG or SVG file; raises as `save_picture`."""
    save_picture(path, lambda: draw_heatmap(weights, source, target, title=title))


def save_picture(path: Path, draw: Callable[[], Figure]) -> None:
    """Draw a figure and write it to a PNG or SVG file, byte-reproducibly.

    Raises:
        ConfigError: if the file extension is neither .png nor .svg; nothing is drawn then.
        OSError: if it cannot be written.
    """
    kind = path.suffix.lower()
    if kind not in (".png", ".svg"):
        raise ConfigError(f"{path}: a heatmap must be a .png or .svg file; change the file extension")
    figure = draw()
    with replacing(path, "wb") as file:
        if kind == ".png":
            figure.savefig(file, format="png", dpi=_DPI, metadata={"Software": None})
        else:
            with _svg_lock, matplotlib.rc_context({"svg.hashsalt": "attention", "svg.fonttype": "path"}):
                figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
