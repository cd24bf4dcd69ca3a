"""Attention heatmaps as text for the terminal."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_SHADES = (255, 153, 117, 75, 33, 27, 19)  # from the terminal's 256 colours, light to dark


def heatmap_lines(
    weights: NDArray[np.floating[Any]], source: Sequence[str], target: Sequence[str], colour: bool
) -> list[str]:
    """Lines of text: numbered source words, then a row per target word, with the word at the end.

    Words are placed where their width, which terminals disagree on for many scripts, does not break the
    alignment of columns.

    Args:
        weights: [T, S], from 0 to 1.
        source: S words.
        target: T words.
        colour: colour the background of the numbers.
    """
    lines = ["  ".join(f"{number} {_plain(word)}" for number, word in enumerate(source, 1))]
    lines.append("".join(f"{number:>4} " for number in range(1, len(source) + 1)))
    for row, word in zip(weights, target, strict=True):
        lines.append("".join(_cell(float(weight), colour) for weight in row) + f" {_plain(word)}")
    return lines


def _cell(weight: float, colour: bool) -> str:
    text = f"{weight:4.2f} ".replace("0.", " .", 1) if weight < 0.995 else "   1 "
    if not colour:
        return text
    shade = _SHADES[min(int(weight * len(_SHADES)), len(_SHADES) - 1)]
    ink = 255 if weight >= 3 / len(_SHADES) else 16
    return f"\x1b[48;5;{shade}m\x1b[38;5;{ink}m{text}\x1b[0m"


def _plain(word: str) -> str:
    """A word without control characters, such as terminal escapes."""
    return "".join(character for character in word if character.isprintable())
