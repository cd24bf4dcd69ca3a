"""Attention matrices of a set of sentences in one compressed `.npz` that needs no pickle to read.

    weights          float32, all matrices one after the other, row by row
    source_tokens    all source pieces one after the other (the columns)
    target_tokens    all target pieces one after the other (the rows)
    source_lengths   pieces of each source sentence, so the columns of its matrix
    target_lengths   pieces of each translation, so the rows of its matrix

End-of-sentence (`</s>`) is a piece like the others.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

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
            return _split(arrays)
    except Exception as error:  # zipfile, zlib and numpy have a dozen kinds for a damaged file
        raise RunError(f"{path}: no attention file of ours: {error}") from error


def _split(arrays: Mapping[str, NDArray[Any]]) -> list[Attention]:
    """The sentences of the flat arrays of a file.

    Raises:
        KeyError, ValueError: when an array is missing or does not fit the others.
    """
    weights, sources, targets = (arrays[name] for name in ("weights", "source_tokens", "target_tokens"))
    lengths = np.stack((arrays["source_lengths"], arrays["target_lengths"]), axis=1)
    cells = lengths.prod(axis=1)
    needed = [(int(cells.sum()),), *((int(total),) for total in lengths.sum(axis=0))]
    if (
        lengths.dtype != np.int64
        or (lengths < 0).any()
        or [weights.shape, sources.shape, targets.shape] != needed
    ):
        raise ValueError("its arrays do not fit each other")
    sentences, cell, column, row = [], 0, 0, 0
    for S, T in lengths.tolist():
        matrix = weights[cell : cell + S * T].reshape(T, S)
        sentences.append(
            Attention(matrix, sources[column : column + S].tolist(), targets[row : row + T].tolist())
        )
        cell, column, row = cell + S * T, column + S, row + T
    return sentences
