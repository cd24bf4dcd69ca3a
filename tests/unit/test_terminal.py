"""Heatmaps in the terminal."""

import numpy as np

from nmt.visualisation.terminal import heatmap_lines

WEIGHTS = np.array([[0.05, 0.95], [1.0, 0.0]])


def test_plain():
    assert heatmap_lines(WEIGHTS, ["The", "dog"], ["कुत्रा", "."], colour=False) == [
        "1 The  2 dog",
        "   1    2 ",
        " .05  .95  कुत्रा",
        "   1  .00  .",
    ]


def test_colours_stand_around_the_same_numbers():
    plain = heatmap_lines(WEIGHTS, ["The", "dog"], ["a", "b"], colour=False)
    bright = heatmap_lines(WEIGHTS, ["The", "dog"], ["a", "b"], colour=True)
    assert bright[0] == plain[0]
    assert bright[2].count("\x1b[48;5;") == 2
    for text in (" .05 ", " .95 "):
        assert text in bright[2]


def test_a_word_cannot_command_the_terminal():
    lines = heatmap_lines(WEIGHTS, ["\x1b[2J", "b"], ["\x07a", "b"], colour=False)
    assert "\x1b" not in "".join(lines)
    assert "\x07" not in "".join(lines)
