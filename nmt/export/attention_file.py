"""Attention files: the attention of a set of sentences, in two formats that can be read without this package.

`.npz` (NumPy, compressed, without pickle). Sentences differ in length, so all arrays are flat, the
sentences concatenated:

    weights            float32: the matrix of each sentence, [T, S] row by row; the average over heads
    heads              number of heads, K
    head_weights       float32: for each sentence the matrix of each head; empty if there is only one head
    source_tokens      all source pieces (the columns)          source_lengths       S of each sentence
    target_tokens      all target pieces (the rows)             target_lengths       T of each sentence
    word_weights       float32: word-level attention, [Tw, Sw] row by row
    source_words       all source words                         source_word_counts   Sw of each sentence
    target_words       all target words                         target_word_counts   Tw of each sentence
    log_probabilities  float64: of each translation, natural logarithm

`.jsonl` (JSON Lines), one object per sentence:

    {"source_tokens": […], "target_tokens": […], "weights": [[…], …], "heads": [[[…], …], …],
     "source_words": […], "target_words": […], "word_weights": [[…], …], "log_probability": -1.5}

`heads` is present only if there are several. In both formats end-of-sentence (`</s>`) is included as a piece
and as a word, and numbers round-trip exactly.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.errors import RunError
from nmt.files import replacing

Matrix = NDArray[np.float32]


class SentenceAttention(NamedTuple):
    """The attention of one sentence.

    Attributes:
        attention: piece-level attention of each head, [K, T, S].
        source: the S pieces of the columns.
        target: the T pieces of the rows.
        word_weights: word-level attention, [Tw, Sw].
        source_words: the Sw words of its columns.
        target_words: the Tw words of its rows.
        log_probability: of the translation, natural logarithm.
    """

    attention: Matrix
    source: list[str]
    target: list[str]
    word_weights: Matrix
    source_words: list[str]
    target_words: list[str]
    log_probability: float

    @property
    def weights(self) -> Matrix:
        """The average over heads, [T, S]."""
        average: Matrix = self.attention.mean(axis=0)
        return average


def attention_line(one: SentenceAttention) -> str:
    """The line of a sentence in a `.jsonl` file."""
    row = {
        "source_tokens": one.source,
        "target_tokens": one.target,
        "weights": _numbers(one.weights),
        **({"heads": _numbers(one.attention)} if len(one.attention) > 1 else {}),
        "source_words": one.source_words,
        "target_words": one.target_words,
        "word_weights": _numbers(one.word_weights),
        "log_probability": one.log_probability,
    }
    return json.dumps(row, ensure_ascii=False) + "\n"


def save_attention(path: Path, sentences: Sequence[SentenceAttention]) -> None:
    """Write `sentences`, in order, in the format of the file extension; all have the same number of heads."""
    assert path.suffix.lower() in (".npz", ".jsonl"), path
    if path.suffix.lower() == ".jsonl":
        _save_lines(path, sentences)
    else:
        _save_npz(path, sentences)


def load_attention(path: Path | str) -> list[SentenceAttention]:
    """Load a file written by `save_attention`, in either format.

    Raises:
        RunError: if the file is missing, corrupt, or not an attention file.
    """
    path = Path(path)
    try:
        if path.suffix.lower() == ".jsonl":
            return _load_lines(path)
        with np.load(path, allow_pickle=False) as arrays:
            return _split(arrays)
    except Exception as error:  # zipfile, zlib and numpy raise a dozen types for a corrupt file
        raise RunError(f"{path}: not a valid attention file: {error}") from error


# ---------------------------------------------------------------- npz


def _save_npz(path: Path, sentences: Sequence[SentenceAttention]) -> None:
    heads = len(sentences[0].attention) if sentences else 1
    with replacing(path, "wb") as file:
        np.savez_compressed(
            file,
            weights=_flat([one.weights for one in sentences]),
            heads=np.int64(heads),
            head_weights=_flat([one.attention for one in sentences if heads > 1]),
            source_tokens=_texts([one.source for one in sentences]),
            target_tokens=_texts([one.target for one in sentences]),
            source_lengths=_counts([one.source for one in sentences]),
            target_lengths=_counts([one.target for one in sentences]),
            word_weights=_flat([one.word_weights for one in sentences]),
            source_words=_texts([one.source_words for one in sentences]),
            target_words=_texts([one.target_words for one in sentences]),
            source_word_counts=_counts([one.source_words for one in sentences]),
            target_word_counts=_counts([one.target_words for one in sentences]),
            log_probabilities=np.array([one.log_probability for one in sentences], np.float64),
        )


def _flat(arrays: Sequence[Matrix]) -> Matrix:
    """All values concatenated."""
    return np.concatenate([np.zeros(0, np.float32), *(array.astype(np.float32).ravel() for array in arrays)])


def _texts(sentences: Sequence[Sequence[str]]) -> NDArray[np.str_]:
    return np.array([text for sentence in sentences for text in sentence], np.str_)


def _counts(sentences: Sequence[Sequence[str]]) -> NDArray[np.int64]:
    return np.array([len(sentence) for sentence in sentences], np.int64)


def _split(arrays: Mapping[str, NDArray[Any]]) -> list[SentenceAttention]:
    """Split the flat arrays of a file into sentences.

    Raises:
        KeyError, ValueError: if an array is missing or inconsistent with the others.
    """
    K = int(arrays["heads"])
    if K < 1:
        raise ValueError("inconsistent arrays")
    pieces = _matrices(arrays, "head_weights" if K > 1 else "weights", ("lengths", "tokens"), K)
    words = _matrices(arrays, "word_weights", ("word_counts", "words"), 1)
    logs = arrays["log_probabilities"].tolist()
    return [
        SentenceAttention(attention, source, target, between[0], source_words, target_words, log)
        for (attention, source, target), (between, source_words, target_words), log in zip(
            pieces, words, logs, strict=True
        )
    ]


def _matrices(
    arrays: Mapping[str, NDArray[Any]], weights_name: str, names: tuple[str, str], count: int
) -> list[tuple[Matrix, list[str], list[str]]]:
    """`count` matrices per sentence with the labels of their columns and rows."""
    counts, texts = names
    weights = arrays[weights_name]
    sources, targets = arrays[f"source_{texts}"], arrays[f"target_{texts}"]
    lengths = np.stack((arrays[f"source_{counts}"], arrays[f"target_{counts}"]), axis=1)
    needed = [(count * int(lengths.prod(axis=1).sum()),), *((int(n),) for n in lengths.sum(axis=0))]
    if (
        lengths.dtype != np.int64
        or (lengths < 0).any()
        or [weights.shape, sources.shape, targets.shape] != needed
    ):
        raise ValueError("inconsistent arrays")
    found, cell, column, row = [], 0, 0, 0
    for S, T in lengths.tolist():
        matrices = weights[cell : cell + count * T * S].reshape(count, T, S)
        found.append((matrices, sources[column : column + S].tolist(), targets[row : row + T].tolist()))
        cell, column, row = cell + count * T * S, column + S, row + T
    return found


# ---------------------------------------------------------------- JSON Lines


def _save_lines(path: Path, sentences: Sequence[SentenceAttention]) -> None:
    with replacing(path) as file:
        file.writelines(map(attention_line, sentences))


def _numbers(matrix: Matrix) -> Any:
    """Nested lists of the shortest decimals that round-trip to these float32 values."""
    if matrix.ndim > 1:
        return [_numbers(part) for part in matrix]
    return [float(str(number)) for number in matrix.astype(np.float32)]


def _load_lines(path: Path) -> list[SentenceAttention]:
    with path.open(encoding="utf-8", newline="\n") as file:
        return [_from_row(json.loads(line)) for line in file]


def _from_row(row: Mapping[str, Any]) -> SentenceAttention:
    def matrix(value: Any, *axes: int) -> Matrix:
        return np.array(value, np.float32).reshape(axes)

    S, T = len(row["source_tokens"]), len(row["target_tokens"])
    attention = row.get("heads", [row["weights"]])
    return SentenceAttention(
        matrix(attention, len(attention), T, S),
        row["source_tokens"],
        row["target_tokens"],
        matrix(row["word_weights"], len(row["target_words"]), len(row["source_words"])),
        row["source_words"],
        row["target_words"],
        row["log_probability"],
    )
