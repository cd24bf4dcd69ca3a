"""Plots of several systems, one line per system: BLEU against source length, or any values."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from itertools import cycle
from pathlib import Path
from typing import Any

import matplotlib
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from nmt.files import replacing
from nmt.visualisation.fonts import drawable, families_for

_DPI = 160
FEWEST = 10  # sentences per point; BLEU on fewer is noise

# Okabe and Ito's colour-blind-safe palette without yellow, which is hard to see on white.
_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1c2733")
_MARKERS = "os^DvPX*"  # one more than colours, so that combinations repeat only after 56 lines
_INK, _SOFT_INK, _FAINT_INK = "#1c2733", "#5b6875", "#9aa7b4"


def draw_by_length(
    labels: Sequence[str], sentences: Sequence[int], lines: Mapping[str, Sequence[float]], title: str
) -> Figure:
    """Plot BLEU against source length, one line per system (Bahdanau et al. 2015, fig. 2).

    Ranges of fewer than `FEWEST` sentences show their count below the axis, but no points.

    Args:
        labels: the L ranges of lengths, in words.
        sentences: number of sentences in each range.
        lines: L scores of each system, by its name.
        title: may be empty.
    """
    figure = Figure(figsize=(7.4, 4.2), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    for (name, scores), colour, marker in zip(lines.items(), cycle(_COLOURS), cycle(_MARKERS), strict=False):
        enough = zip(scores, sentences, strict=True)
        values = [score if count >= FEWEST else math.nan for score, count in enough]
        style: dict[str, Any] = {
            "linewidth": 1.8,
            "markersize": 9 if marker == "*" else 7,
            "markeredgecolor": "white",
        }
        axes.plot(values, color=colour, marker=marker, label=name, clip_on=False, **style)
    _draw_axes(axes, labels, sentences)
    if lines:
        axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, labelcolor=_INK)
    if title:
        families = families_for([title])
        text = "\n".join(textwrap.wrap(drawable(title, families), 60))
        axes.set_title(text, family=families, loc="left", color=_INK, pad=12, parse_math=False)
    return figure


def draw_lines(
    positions: Sequence[float],
    lines: Mapping[str, Sequence[float]],
    *,
    across: str,
    up: str,
    logarithmic: bool = False,
) -> Figure:
    """Plot several lines over the same positions.

    Args:
        positions: the L positions of the points.
        lines: L values of each line, by its name.
        across, up: what the axes are.
        logarithmic: whether the horizontal axis is.
    """
    figure = Figure(figsize=(6.4, 3.2), dpi=_DPI, layout="constrained")
    axes = figure.add_subplot()
    for (name, values), colour, marker in zip(lines.items(), cycle(_COLOURS), cycle(_MARKERS), strict=False):
        axes.plot(positions, values, color=colour, marker=marker, markersize=5, linewidth=1.6, label=name)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(axis="y", color="#e3e8ee", linewidth=0.8)
    axes.tick_params(labelcolor=_INK, color=_FAINT_INK)
    axes.set_xscale("log" if logarithmic else "linear")
    axes.set_xlabel(across, color=_INK)
    axes.set_ylabel(up, color=_INK)
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1), frameon=False, labelcolor=_INK)
    return figure


def _draw_axes(axes: Axes, labels: Sequence[str], sentences: Sequence[int]) -> None:
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(_FAINT_INK)
    axes.grid(axis="y", color="#e3e8ee", linewidth=0.8)
    axes.tick_params(length=0, labelcolor=_INK, pad=6)
    axes.set_xticks(range(len(labels)), [label.replace("-", "–") for label in labels])
    axes.set_xlim(-0.35, max(len(labels), 1) - 0.65)
    axes.set_ylim(0, max(axes.get_ylim()[1], 1))
    axes.set_xlabel("words in the source sentence", color=_INK, labelpad=36)
    axes.set_ylabel("BLEU", color=_INK, labelpad=8)
    below: dict[str, Any] = {"textcoords": "offset points", "fontsize": 8.5, "va": "top"}
    axes.annotate("sentences", (0, 0), (-8, -23), "axes fraction", ha="right", color=_SOFT_INK, **below)
    for x, count in enumerate(sentences):
        few = count < FEWEST
        text, ink = f"{count:,}" + "\n(too few)" * few, _FAINT_INK if few else _SOFT_INK
        axes.annotate(text, (x, 0), (0, -23), axes.get_xaxis_transform(), ha="center", color=ink, **below)


def save_figure(path: Path, figure: Figure) -> None:
    """Write a figure as `path`.png and `path`.svg; the files are byte-reproducible."""
    with replacing(path.with_suffix(".png"), "wb") as file:
        figure.savefig(file, format="png", metadata={"Software": None})
    with (
        replacing(path.with_suffix(".svg"), "wb") as file,
        matplotlib.rc_context({"svg.hashsalt": path.name, "svg.fonttype": "path"}),
    ):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
