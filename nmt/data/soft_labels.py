"""Soft labels of a corpus: for each target token, the tokens that teachers find most probable there, with
their probabilities (word-level knowledge distillation: Kim and Rush 2016, §3.1).

They are in a folder:

    labels.npy          ids and probabilities of K tokens for each target token, pair by pair; memory-mapped
    source.model        the SentencePiece models of the teachers, whose pieces the tokens are
    target.model
    soft_labels.json    sizes and digests; written last

Shapes: R pairs of a training set, L target tokens of the labelled ones (with end-of-sentence), B pairs and N
target tokens of a batch, K tokens of a label.
"""

import hashlib
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from nmt.config.data import DataConfig
from nmt.config.extra_corpus import ExtraCorpus
from nmt.data.batches import SoftTargets
from nmt.data.corpus import TokenizedPairs
from nmt.data.mixture import Mixture
from nmt.errors import DataError
from nmt.files import replacing, sha256, write_json

FORMAT = 1
INDEX = "soft_labels.json"
_LABELS = "labels.npy"


@dataclass(frozen=True, eq=False)
class Labelled:
    """The pairs of a training set that have labels, which are consecutive.

    Attributes:
        first, last: the numbers of the first one, and of the first one after them.
        labels: of their target tokens, [L, K], with the fields "id" and "probability".
        weight: of the labels in the loss.
    """

    first: int
    last: int
    labels: NDArray[Any]
    weight: float


class SoftLabels:
    """The soft labels of a training set.

    Args:
        offsets: of the target tokens, without end-of-sentence, of each pair, [R + 1].
        parts: those of each labelled corpus, at least one.
    """

    def __init__(self, offsets: NDArray[np.int64], parts: Sequence[Labelled]) -> None:
        self._offsets, self._parts = offsets, parts
        self._tokens = max(part.labels.shape[1] for part in parts)

    @property
    def pairs(self) -> int:
        """The number of pairs that have labels."""
        return sum(part.last - part.first for part in self._parts)

    def of(self, rows: NDArray[np.intp], positions: tuple[Tensor, Tensor]) -> SoftTargets:
        """The labels of the target tokens of a batch.

        Args:
            rows: the numbers of its pairs in the training set, [B].
            positions: the row in the batch and the step of each token, [N] each, on the CPU.
        """
        own, steps = rows[positions[0].numpy()], positions[1].numpy()
        ids = np.zeros((len(own), self._tokens), np.int64)
        shares = np.zeros(ids.shape, np.float32)
        for part in self._parts:
            found = np.flatnonzero((own >= part.first) & (own < part.last))
            pair, K = own[found], part.labels.shape[1]
            ends = pair - part.first  # end-of-sentence tokens before that of the pair
            label = part.labels[self._offsets[pair] - self._offsets[part.first] + ends + steps[found]]
            probabilities = label["probability"].astype(np.float32)
            ids[found, :K] = label["id"]
            shares[found, :K] = probabilities * (part.weight / probabilities.sum(axis=1, keepdims=True))
        return SoftTargets(torch.from_numpy(ids), torch.from_numpy(shares))


def soft_labels_of(data: DataConfig, mixture: Mixture, train: TokenizedPairs) -> SoftLabels | None:
    """The soft labels of the extra corpora that have any, or None if none has.

    Args:
        data: the data settings.
        mixture: the corpora of the training set.
        train: the tokenised training set.

    Raises:
        DataError: as `read_labels`.
    """
    parts = []
    for number, extra in enumerate(data.extra):
        if extra.soft_labels is not None:
            first, last = labelled_rows(mixture, train, number)
            labels = _read(number, extra, train, first, last)
            parts.append(Labelled(first, last, labels, extra.soft_weight))
    return SoftLabels(train.target.offsets, parts) if parts else None


def labelled_rows(mixture: Mixture, train: TokenizedPairs, number: int) -> tuple[int, int]:
    """The pairs of an extra corpus, in all its directions, in a training set: the number of the first, and of
    the first one after them.

    Args:
        mixture: the corpora.
        train: the tokenised training set.
        number: of the extra corpus in `data.extra`, from 0.
    """
    corpus = np.cumsum([not part.reversed for part in mixture]) - 2  # the main corpus: -1
    lines = np.array([part.lines for part in mixture])
    first = int(lines[corpus < number].sum())
    last = first + int(lines[corpus == number].sum())
    left_out = np.searchsorted(train.left_out, [first, last])
    return first - int(left_out[0]), last - int(left_out[1])


# ---------------------------------------------------------------- files


def label_type(vocabulary: int) -> np.dtype[Any]:
    """The type of a token and its probability in the file.

    Args:
        vocabulary: size of the target vocabulary.
    """
    return np.dtype([("id", np.min_scalar_type(vocabulary - 1)), ("probability", np.float16)])


def pairs_digest(train: TokenizedPairs, first: int, last: int) -> str:
    """SHA-256 of the tokens of the pairs from `first` to before `last`."""
    digest = hashlib.sha256()
    for side in (train.source, train.target):
        offsets = side.offsets[first : last + 1]
        digest.update((offsets - offsets[0]).astype(np.int64).tobytes())
        digest.update(side.values[offsets[0] : offsets[-1]].astype(np.uint32).tobytes())
    return digest.hexdigest()


def write_labels(folder: Path, parts: Iterable[NDArray[Any]], shape: tuple[int, int], digest: str) -> None:
    """Write the labels of a corpus, next to the tokenizers.

    Args:
        folder: exists.
        parts: the labels of consecutive pairs, of `label_type`.
        shape: of all of them together, [L, K].
        digest: of the pairs, by `pairs_digest`.

    Raises:
        OSError: if writing fails.
    """
    path, count = folder / _LABELS, 0
    with replacing(path, "wb") as file:
        for part in parts:
            if not count:
                header = {"descr": part.dtype.descr, "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
            file.write(part.tobytes())
            count += len(part)
    assert count == shape[0], (count, shape)
    write_json(folder / INDEX, {"format": FORMAT, "pairs": digest, "sha256": sha256(path)})


def _read(number: int, extra: ExtraCorpus, train: TokenizedPairs, first: int, last: int) -> NDArray[Any]:
    """The labels of an extra corpus, memory-mapped.

    Raises:
        DataError: if they are missing or corrupt, or those of other pairs or tokens.
    """
    assert extra.soft_labels is not None
    folder, key = Path(extra.soft_labels), f"data.extra[{number}].soft_labels={extra.soft_labels}"
    try:
        index = json.loads((folder / INDEX).read_text(encoding="utf-8"))
        if index["format"] != FORMAT:
            raise ValueError(f"format {index['format']}, this version reads {FORMAT}")
        if sha256(folder / _LABELS) != index["sha256"]:
            raise ValueError(f"{_LABELS}: not the bytes that were written")
        labels: NDArray[Any] = np.load(folder / _LABELS, mmap_mode="r", allow_pickle=False)
        digest = str(index["pairs"])
    except FileNotFoundError as error:
        raise DataError(f"{key}: no {Path(error.filename).name} there; make the labels again") from error
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{key}: corrupt ({error}); make the labels again") from error
    if digest != pairs_digest(train, first, last):
        raise DataError(
            f"{key}: of other pairs or tokens than those of {extra.path} in this training set; give the "
            "corpora, settings and tokenizers that they were made with, or make them again"
        )
    return labels.view(np.ndarray)
