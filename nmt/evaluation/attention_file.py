"""Attention matrices of a set of sentences in one compressed `.npz` that needs no pickle to read.

    weights          float32, all matrices one after the other, row by row
    source_tokens    all source pieces one after the other (the columns)
    target_tokens    all target pieces one after the other (the rows)
    source_lengths   pieces of each source sentence, so the columns of its matrix
    target_lengths   pieces of each translation, so the rows of its matrix

End-of-sentence (`</s>`) is a piece like the others.
"""

import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.errors import RunError
from nmt.files import replacing


class Attention(NamedTuple):
    """One sentence's attention.

    Attributes:
        weights: [T, S].
        source: the S pieces of the columns.
        target: the T pieces of the rows.
    """

    weights: NDArray[np.float32]
    source: list[str]
    target: list[str]


def save_attention(path: Path, sentences: Sequence[Attention]) -> None:
    """Write the matrices of `sentences`, in order."""
    flat = [sentence.weights.astype(np.float32).ravel() for sentence in sentences]
    with replacing(path, "wb") as file:
        np.savez_compressed(
            file,
            weights=np.concatenate(flat) if flat else np.zeros(0, np.float32),
            source_tokens=np.array([piece for sentence in sentences for piece in sentence.source], np.str_),
            target_tokens=np.array([piece for sentence in sentences for piece in sentence.target], np.str_),
            source_lengths=np.array([len(sentence.source) for sentence in sentences], np.int64),
            target_lengths=np.array([len(sentence.target) for sentence in sentences], np.int64),
        )


def load_attention(path: Path) -> list[Attention]:
    """Read what `save_attention` wrote.

    Raises:
        RunError: when the file is missing, damaged, or something else.
    """
    try:
        with np.load(path, allow_pickle=False) as arrays:
            weights = arrays["weights"]
            sides = {side: arrays[f"{side}_tokens"].tolist() for side in ("source", "target")}
            lengths = {side: arrays[f"{side}_lengths"].tolist() for side in ("source", "target")}
    except (OSError, KeyError, ValueError, zipfile.BadZipFile) as error:
        raise RunError(f"{path}: no attention file of ours: {error}") from error
    sentences, cell, column, row = [], 0, 0, 0
    for S, T in zip(lengths["source"], lengths["target"], strict=True):
        matrix = weights[cell : cell + S * T].reshape(T, S)
        source, target = sides["source"][column : column + S], sides["target"][row : row + T]
        sentences.append(Attention(matrix, source, target))
        cell, column, row = cell + S * T, column + S, row + T
    return sentences
