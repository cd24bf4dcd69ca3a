"""Export of the attention of translations: npz, JSON Lines, Pharaoh, images, an HTML page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.alignment.pharaoh import format_pharaoh
from nmt.alignment.words import shift_rows
from nmt.decoding.result import Translation
from nmt.export.attention_file import SentenceAttention, save_attention
from nmt.export.rows import sentence_row
from nmt.files import write_text
from nmt.visualisation.page import render_page

_Labelled = tuple[NDArray[np.floating[Any]], list[str], list[str]]  # weights [T, S], and their labels


def attention_of(translation: Translation, shift: int = 0) -> SentenceAttention:
    """The record of one translation in an attention file."""
    assert translation.attention is not None, "translated without attention=True"
    weights, source_words, target_words = translation.words(shift)
    return SentenceAttention(
        shift_rows(translation.attention, shift),
        translation.source_pieces(),
        translation.target_pieces(),
        weights,
        source_words,
        target_words,
        translation.log_probability,
    )


def write_attention(
    path: Path,
    translations: Sequence[Translation],
    *,
    pieces: bool = False,
    grid: bool = False,
    shift: int = 0,
    threshold: float | None = None,
) -> None:
    """Write the attention of translations, in order, in the format of the file extension.

    Args:
        path: see `nmt.export.formats`. Images of several sentences are OUT-1.png, OUT-2.png …
        translations: from a model with attention.
        pieces: draw pieces instead of words (images only).
        grid: one image of all sentences.
        shift: read the attention of a piece this many steps later.
        threshold: Pharaoh only: link all source words with at least this attention, not the best one.
    """
    kind = path.suffix.lower()
    if kind in (".npz", ".jsonl"):
        save_attention(path, [attention_of(one, shift) for one in translations])
    elif kind == ".pharaoh":
        write_text(path, "".join(format_pharaoh(one.links(shift, threshold)) + "\n" for one in translations))
    elif kind == ".html":
        write_text(path, render_page("Translations", [sentence_row(one, shift) for one in translations]))
    else:
        _write_heatmaps(path, [_labelled(one, pieces, shift) for one in translations], grid)


def _write_heatmaps(path: Path, panels: Sequence[_Labelled], grid: bool) -> None:
    from nmt.visualisation.heatmap import Panel, draw_grid, save_heatmap, save_picture  # slow to import

    if grid and panels:
        save_picture(path, lambda: draw_grid([Panel(*panel) for panel in panels]))
        return
    for number, panel in enumerate(panels, 1):
        name = path if len(panels) == 1 else path.with_stem(f"{path.stem}-{number}")
        save_heatmap(name, *panel)


def _labelled(translation: Translation, pieces: bool, shift: int) -> _Labelled:
    if pieces:
        weights = shift_rows(translation.mean_attention, shift)
        return weights, translation.source_pieces(), translation.target_pieces()
    return translation.words(shift)
