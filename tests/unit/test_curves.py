"""The plot of scores by length, with made-up numbers."""

import math
from itertools import combinations
from xml.etree import ElementTree

import numpy as np
from matplotlib import image
from matplotlib.colors import to_rgb

from nmt.visualisation import curves
from nmt.visualisation.curves import draw_by_length, save_figure

LABELS, COUNTS = ("≤5", "6-10", ">10"), (1234, 11, 5)
LINES = {"bahdanau": [40.0, 30.0, 20.0], "seq2seq": [35.0, 12.0, 0.0]}


def test_lines_markers_and_counts():
    figure = draw_by_length(LABELS, COUNTS, LINES, "BLEU $x^2$ राहुल")
    (axes,) = figure.axes
    drawn = {line.get_label(): line for line in axes.lines}
    assert list(drawn) == ["bahdanau", "seq2seq"]
    for name, expected in {"bahdanau": [40, 30], "seq2seq": [35, 12]}.items():
        values = [float(value) for value in drawn[name].get_ydata()]
        assert values[:2] == expected
        assert math.isnan(values[2])  # five sentences
    assert [text.get_text() for text in axes.get_xticklabels()] == ["≤5", "6–10", ">10"]
    counts = [text.get_text() for text in axes.texts]
    assert counts == ["sentences", "1,234", "11", "5\n(too few)"]
    assert axes.get_xlabel()
    assert axes.get_ylabel() == "BLEU"
    assert axes.get_ylim()[0] == 0
    assert axes.get_title(loc="left") == "BLEU $x^2$ राहुल"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == list(drawn)


def test_many_models_look_different():
    figure = draw_by_length(LABELS, COUNTS, {f"m{number}": [1, 2, 3] for number in range(56)}, "")
    looks = {(line.get_color(), line.get_marker()) for line in figure.axes[0].lines}
    assert len(looks) == 56
    first = figure.axes[0].lines[:7]
    assert len({line.get_color() for line in first}) == len({line.get_marker() for line in first}) == 7


def test_the_colour_blind_tell_the_colours_apart():
    """As people without green cones see them (Machado et al. 2009); matplotlib's own fail this."""
    deuteranopia = np.array([(0.367, 0.861, -0.228), (0.280, 0.673, 0.047), (-0.012, 0.043, 0.969)])

    def nearest(colours):
        seen = [(deuteranopia @ np.power(to_rgb(colour), 2.2)).clip(0) ** (1 / 2.2) for colour in colours]
        return min(math.dist(one, other) for one, other in combinations(seen, 2))

    assert nearest(f"C{number}" for number in range(7)) < 0.15 < nearest(curves._COLOURS)


def test_files_of_the_figure(tmp_path):
    save_figure(tmp_path / "one", draw_by_length(LABELS, COUNTS, LINES, "Title"))
    save_figure(tmp_path / "two", draw_by_length(LABELS, COUNTS, LINES, "Title"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.png", "one.svg", "two.png", "two.svg"]
    pixels = image.imread(tmp_path / "one.png")
    assert pixels.shape[1] > pixels.shape[0] > 500
    assert pixels[..., :3].std() > 0.05
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    assert ElementTree.parse(tmp_path / "one.svg").getroot().tag.endswith("svg")


def test_a_figure_of_nothing(tmp_path):
    save_figure(tmp_path / "none", draw_by_length([], [], {}, ""))
    assert image.imread(tmp_path / "none.png").any()
