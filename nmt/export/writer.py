"""Export of the attention of translations: npz, JSON Lines, Pharaoh, images, an HTML page."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nmt.alignment.pharaoh import format_pharaoh
from nmt.alignment.words import shift_rows
from nmt.decoding.result import Translation
from nmt.export.attention_file import SentenceAttention, attention_line, save_attention
from nmt.export.rows import sentence_row
from nmt.files import replacing, write_text
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
    """Write the attention of translations, in order, as `attention_writer` does."""
    with attention_writer(path, pieces=pieces, grid=grid, shift=shift, threshold=threshold) as write:
        for translation in translations:
            write(translation)


@contextmanager
def attention_writer(
    path: Path,
    *,
    pieces: bool = False,
    grid: bool = False,
    shift: int = 0,
    threshold: float | None = None,
) -> Iterator[Callable[[Translation], None]]:
    """A function that writes the attention of one translation after the other, in the format of the file
    extension. The file replaces an older one when the block ends without an error. Of `.jsonl` and `.pharaoh`
    nothing is kept in memory; translations for the other formats are kept until then.

    Args:
        path: see `nmt.export.formats`. Images of several sentences are OUT-1.png, OUT-2.png …
        pieces: draw pieces instead of words (images only).
        grid: one image of all sentences.
        shift: read the attention of a piece this many steps later.
        threshold: Pharaoh only: link all source words with at least this attention, not the best one.
    """
    kind = path.suffix.lower()
    if kind == ".jsonl":
        with replacing(path) as file:
            yield lambda one: _write(file, attention_line(attention_of(one, shift)))
    elif kind == ".pharaoh":
        with replacing(path) as file:
            yield lambda one: _write(file, format_pharaoh(one.links(shift, threshold)) + "\n")
    else:
        kept: list[Translation] = []
        yield kept.append
        _write_all(path, kept, pieces, grid, shift)


def _write(file: IO[str], line: str) -> None:
    file.write(line)


def _write_all(path: Path, translations: Sequence[Translation], pieces: bool, grid: bool, shift: int) -> None:
    kind = path.suffix.lower()
    if kind == ".npz":
        save_attention(path, [attention_of(one, shift) for one in translations])
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
