"""Attention heatmaps as pixels, fast enough to be drawn at every validation.

The same matrix and labels as `nmt.visualisation.heatmap`, without the layout of a matplotlib figure: cells
are filled by numpy and words are drawn by FreeType. Source words run from bottom to top.

Shapes: S source words, T target words.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.ft2font import FT2Font
from numpy.typing import NDArray

from nmt.visualisation.fonts import families_for, font_for
from nmt.visualisation.heatmap import COLOURS, labels

_CELL = 26  # pixels, at most
_SIDE = 2400  # pixels; limit for the longer side of the matrix
_FONT, _BASELINE, _GAP = 0.6, 0.7, 0.3  # of a cell: font size, baseline below the top, space beside words


def draw_heatmap_image(
    weights: NDArray[np.floating[Any]], source: Sequence[str], target: Sequence[str]
) -> NDArray[np.uint8]:
    """Draw attention as RGB pixels, [height, width, 3]. Either side may be empty.

    Args:
        weights: [T, S], from 0 to 1.
        source: the S labels across the top.
        target: the T labels down the side.
    """
    T, S = weights.shape
    assert (len(target), len(source)) == (T, S), (weights.shape, len(target), len(source))
    cell = max(min(_CELL, _SIDE // max(T, S, 1)), 1)
    above, beside = _words(source, cell), _words(target, cell)
    top, left = (max((word.shape[1] for word in words), default=0) for words in (above, beside))
    ink = np.zeros((top + T * cell, left + S * cell), np.uint8)
    for column, word in enumerate(above):
        x = left + column * cell
        ink[top - word.shape[1] : top, x : x + cell] = np.rot90(word)
    for row, word in enumerate(beside):
        y = top + row * cell
        ink[y : y + cell, left - word.shape[1] : left] = word
    image = np.repeat(255 - ink[..., None], 3, axis=2)
    colours = COLOURS(weights, bytes=True)[..., :3].repeat(cell, axis=0).repeat(cell, axis=1)
    if cell > 4:
        colours[::cell], colours[:, ::cell] = 255, 255  # white lines between the cells
    image[top:, left:] = colours
    return image


def _words(texts: Sequence[str], cell: int) -> list[NDArray[np.uint8]]:
    """The ink of each text, 0 to 255: [cell, width], with the same baseline, and space at both ends."""
    font = font_for(texts)
    font.set_size(_FONT * cell, 72)  # so that points are pixels
    return [_ink(font, text, cell) for text in labels(texts, families_for(texts))]


def _ink(font: FT2Font, text: str, cell: int) -> NDArray[np.uint8]:
    font.set_text(text)
    font.draw_glyphs_to_bitmap(antialiased=True)
    drawn = np.asarray(font.get_image())
    gap, bottom = round(_GAP * cell), cell + round(_BASELINE * cell + font.get_descent() / 64)
    drawn = drawn[-bottom:]
    box = np.zeros((max(3 * cell, bottom), drawn.shape[1] + 2 * gap), np.uint8)
    box[bottom - len(drawn) : bottom, gap : gap + drawn.shape[1]] = drawn
    return box[cell : 2 * cell]  # of letters that are taller than a cell, the middle
