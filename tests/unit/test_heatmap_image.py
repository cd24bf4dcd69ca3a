"""Heatmaps as pixels: the weights, words and positions, and what they cost against a figure."""

import time
import warnings
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from matplotlib.figure import Figure

from nmt.visualisation.heatmap import COLOURS, draw_heatmap
from nmt.visualisation.heatmap_image import draw_heatmap_image

ENGLISH = ["Krishna", "wrote", "his", "friends", "."]
MARATHI = ["दुसर्‍या", "कृष्णाने", "त्याच्या", "मित्रांना", "पत्र", "लिहिलं."]
WEIGHTS = np.random.default_rng(1).dirichlet(np.ones(5), size=6)
CELL = 26


def margins(image, T, S):
    """The labels of the source, above, and of the target, on the left: darkness, 0 to 255."""
    dark = 255 - image[..., 0].astype(int)
    top, left = image.shape[0] - T * CELL, image.shape[1] - S * CELL
    return dark[:top, left:], dark[top:, :left]


def inked(band):
    """A band without the white around its ink, and how far the ink is from its left and right ends."""
    rows, columns = np.nonzero(band)
    ink = band[rows.min() : rows.max() + 1, columns.min() : columns.max() + 1]
    return ink, int(columns.min()), int(band.shape[1] - 1 - columns.max())


def label(word):
    """The ink of a word alone."""
    return inked(margins(draw_heatmap_image(np.ones((1, 1)), [""], [word]), 1, 1)[1])[0]


def test_every_cell_has_the_colour_of_its_weight():
    image = draw_heatmap_image(WEIGHTS, ENGLISH, MARATHI)
    assert image.dtype == np.uint8
    matrix = image[-6 * CELL :, -5 * CELL :]
    for row in range(6):
        for column in range(5):
            inside = matrix[row * CELL + 1 : (row + 1) * CELL, column * CELL + 1 : (column + 1) * CELL]
            assert (inside == COLOURS(WEIGHTS[row, column], bytes=True)[:3]).all()
    assert (matrix[::CELL] == 255).all()


def test_every_word_stands_at_its_row_or_column():
    """Beside the matrix, and the same as when it is the only word; source words run upwards."""
    above, beside = margins(draw_heatmap_image(WEIGHTS, ENGLISH, MARATHI), 6, 5)
    for column, word in enumerate(ENGLISH):
        found, start, _ = inked(np.rot90(above[:, column * CELL : (column + 1) * CELL], -1))
        assert np.array_equal(found, label(word)), word
        assert start < CELL / 2
    for row, word in enumerate(MARATHI):
        found, _, end = inked(beside[row * CELL : (row + 1) * CELL])
        assert np.array_equal(found, label(word)), word
        assert end < CELL / 2


def test_devanagari_is_shaped():
    """A conjunct is narrower than its letters; a joiner that forbids it makes it wider again."""
    conjunct, apart = label("त्य").shape[1], label("त्\u200cय").shape[1]
    assert conjunct < apart
    assert conjunct < label("त").shape[1] + label("य").shape[1]
    assert not np.array_equal(label("दुसर्\u200dया"), label("दुसर्या"))  # eyelash reph


@pytest.mark.parametrize(("T", "S"), [(0, 3), (3, 0), (0, 0), (1, 1)])
def test_empty_and_tiny_matrices(T, S):
    image = draw_heatmap_image(np.ones((T, S)), ["a"] * S, ["b"] * T)
    assert image.shape[2] == 3
    assert image.shape[0] >= T * CELL
    assert image.shape[1] >= S * CELL


def test_long_sentences_have_smaller_cells_and_stay_visible():
    image = draw_heatmap_image(np.ones((1000, 3)), ["a"] * 3, ["word"] * 1000)
    assert image.shape[0] < 2600
    assert (image[-2000:, -6:] == COLOURS(1.0, bytes=True)[:3]).all()
    assert draw_heatmap_image(np.ones((1, 1)), ["字" * 5000], ["a" * 5000]).shape[1] < 1000


def test_odd_weights_and_letters_do_no_harm(caplog):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        image = draw_heatmap_image(
            np.array([[np.nan, 1.5, -0.5]]), ["$x_1$", "\x1b[0m", "☺\ufe0f"], ["\udc80"]
        )
    found = [tuple(image[-CELL // 2, x - CELL // 2]) for x in (-CELL, image.shape[1])]
    assert found == [tuple(COLOURS(weight, bytes=True)[:3]) for weight in (1.0, 0.0)]
    assert not caplog.records


def test_threads_agree():
    alone = draw_heatmap_image(WEIGHTS, ENGLISH, MARATHI)
    with ThreadPoolExecutor(4) as pool:
        for image in pool.map(lambda _: draw_heatmap_image(WEIGHTS, ENGLISH, MARATHI), range(16)):
            np.testing.assert_array_equal(image, alone)


def test_it_costs_a_fraction_of_a_figure(monkeypatch):
    """CPU time, the least of three: measured, a fortieth."""

    def cost(draw):
        started = time.process_time()
        draw()
        return time.process_time() - started

    figure = min(cost(lambda: draw_heatmap(WEIGHTS, ENGLISH, MARATHI).canvas.draw()) for _ in range(3))
    monkeypatch.delattr(Figure, "__init__")
    image = min(cost(lambda: draw_heatmap_image(WEIGHTS, ENGLISH, MARATHI)) for _ in range(3))
    assert image < figure / 5
