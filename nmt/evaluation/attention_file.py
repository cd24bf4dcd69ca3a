"""Attention matrices of a set of sentences in one compressed `.npz` that needs no pickle to read.

    weights          float32, all matrices one after the other, row by row; of several heads the average
    heads            how many heads there are
    head_weights     float32, for each sentence the matrix of each head; empty where there is only one
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
        heads: the matrix of each head, [K, T, S].
        source: the S pieces of the columns.
        target: the T pieces of the rows.
    """

    heads: NDArray[np.float32]
    source: list[str]
    target: list[str]

    @property
    def weights(self) -> NDArray[np.float32]:
        """The average of the heads, [T, S]."""
        average: NDArray[np.float32] = self.heads.mean(axis=0)
        return average


def save_attention(path: Path, sentences: Sequence[Attention]) -> None:
    """Write the matrices of `sentences`, in order; all have as many heads, one at least."""
    heads = len(sentences[0].heads) if sentences else 1
    with replacing(path, "wb") as file:
        np.savez_compressed(
            file,
            weights=_flat([sentence.weights for sentence in sentences]),
            heads=np.int64(heads),
            source_tokens=np.array([piece for sentence in sentences for piece in sentence.source], np.str_),
            target_tokens=np.array([piece for sentence in sentences for piece in sentence.target], np.str_),
            source_lengths=np.array([len(sentence.source) for sentence in sentences], np.int64),
            target_lengths=np.array([len(sentence.target) for sentence in sentences], np.int64),
            head_weights=_flat([sentence.heads for sentence in sentences if heads > 1]),
        )


def _flat(arrays: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """All numbers one after the other."""
    return np.concatenate([np.zeros(0, np.float32), *(array.ravel() for array in arrays)])


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
    heads = int(arrays["heads"])
    name = "head_weights" if heads > 1 else "weights"
    weights, sources, targets = (arrays[key] for key in (name, "source_tokens", "target_tokens"))
    lengths = np.stack((arrays["source_lengths"], arrays["target_lengths"]), axis=1)
    cells = heads * lengths.prod(axis=1)
    needed = [(int(cells.sum()),), *((int(total),) for total in lengths.sum(axis=0))]
    if (
        lengths.dtype != np.int64
        or heads < 1
        or (lengths < 0).any()
        or [weights.shape, sources.shape, targets.shape] != needed
    ):
        raise ValueError("its arrays do not fit each other")
    sentences, cell, column, row = [], 0, 0, 0
    for S, T in lengths.tolist():
        matrices = weights[cell : cell + heads * T * S].reshape(heads, T, S)
        sentences.append(
            Attention(matrices, sources[column : column + S].tolist(), targets[row : row + T].tolist())
        )
        cell, column, row = cell + heads * T * S, column + S, row + T
    return sentences
