"""Pictures of the tour: matrices, fits, lines, and titles in a grid."""

import numpy as np
import pytest

from nmt.visualisation.curves import draw_lines
from nmt.visualisation.heatmap import Panel, draw_grid
from nmt.visualisation.matrices import Matrix, draw_matrices
from nmt.visualisation.picture import Picture
from nmt.visualisation.regression import Fit, draw_fits


def test_matrices_show_their_values():
    small, large = np.array([[0.0, 1.0], [2.0, -0.04]]), np.linspace(-1, 1, 200).reshape(10, 20)
    figure = draw_matrices([Matrix(small, "राहुल $x$", "S", "T"), Matrix(large)])
    first, second, *bars = figure.axes
    assert np.array_equal(first.images[0].get_array(), small)
    assert np.array_equal(second.images[0].get_array(), large)
    assert [text.get_text() for text in first.texts] == ["0.0", "1.0", "2.0", "0.0"]
    assert not second.texts
    assert len(bars) == 1, "only the one without numbers has a scale"
    assert first.get_title(loc="left") == "राहुल $x$"
    assert (first.get_xlabel(), first.get_ylabel()) == ("S", "T")


def test_rows_and_columns_have_their_names():
    named = Matrix(np.eye(2), columns=["$a$", "b"], rows=["राहुल", "।"])
    first, second, third, *_ = draw_matrices(
        [named, Matrix(np.eye(9), rows=list("abcdefghi")), Matrix(np.eye(2))]
    ).axes
    assert [text.get_text() for text in first.get_xticklabels()] == ["$a$", "b"]
    assert [text.get_text() for text in first.get_yticklabels()] == ["राहुल", "।"]
    assert [text.get_text() for text in second.get_yticklabels()] == list("abcdefghi")
    assert [text.get_text() for text in third.get_xticklabels()] == ["0", "1"]


@pytest.mark.parametrize("values", [np.zeros((2, 2)), np.full((70, 1), -1.0)])
def test_matrices_of_special_values(values):
    Picture(draw_matrices([Matrix(values)]), "")


def test_zero_is_white_with_negative_numbers_and_without():
    for values in (np.array([[0.0, 1.0]]), np.array([[0.0, 1.0, -3.0]])):
        image = draw_matrices([Matrix(values)]).axes[0].images[0]
        red, green, blue, _ = image.to_rgba(values)[0, 0]
        assert min(red, green, blue) > 0.93


def test_fits_have_the_data_the_curve_and_their_weights():
    data, queries = np.array([[0.0, 1.0], [1.0, 3.0]]), np.array([0.0, 0.5, 1.0])
    weights = np.array([[1, 0], [0.5, 0.5], [0, 1]])
    figure = draw_fits(data, queries, queries + 1, [Fit("one", weights @ data[:, 1], weights)] * 2)
    above, _, below, *_ = figure.axes
    assert [line.get_label() for line in above.lines] == ["data", "the curve", "the fit"]
    assert above.lines[2].get_ydata().tolist() == [1, 2, 3]
    assert np.array_equal(below.images[0].get_array(), weights)
    with pytest.raises(AssertionError):
        draw_fits(data, queries, queries, [Fit("transposed", queries, weights.T)])


def test_lines():
    figure = draw_lines([1, 10], {"a": [1.0, 2.0], "b": [3.0, 4.0]}, across="x", up="y", logarithmic=True)
    (axes,) = figure.axes
    assert [line.get_ydata().tolist() for line in axes.lines] == [[1, 2], [3, 4]]
    assert axes.get_xscale() == "log"
    assert [text.get_text() for text in axes.get_legend().get_texts()] == ["a", "b"]


def test_titles_of_a_grid_are_above_their_panels():
    panels = [Panel(np.eye(2), ["a", "b"], ["c", "d"], f"title {k}") for k in range(4)]
    figure = draw_grid([*panels, Panel(np.eye(1), ["e"], ["f"])])
    assert [text.get_text() for text in figure.texts] == [f"title {k}" for k in range(4)]
    figure.canvas.draw()
    for text, axes in zip(figure.texts, figure.axes, strict=False):
        title, panel = text.get_window_extent(), axes.get_tightbbox()
        assert title.y0 >= panel.y1 - 1
        assert title.y0 - panel.y1 < 40
        assert panel.x0 - 1 <= title.x0 <= panel.x1
        assert not any(title.overlaps(other.get_tightbbox()) for other in figure.axes)


def test_a_picture_is_a_png_with_a_description():
    one, two = (Picture(draw_matrices([Matrix(np.eye(2))]), "unit matrix") for _ in range(2))
    assert one._repr_png_() == two.png
    assert one.png.startswith(b"\x89PNG")
    assert repr(one) == "picture: unit matrix"
