"""The soft labels of a corpus: what several teachers expect at each of its target tokens, in parts, of which
none is done twice if it is interrupted.

Shapes: N target tokens of a batch, L of all pairs, V vocabulary, K tokens of a label.
"""

import hashlib
import json
import logging
import shutil
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from nmt.config.data import DataConfig
from nmt.config.settings import Config
from nmt.data.batches import Batch, gather
from nmt.data.corpus import TokenizedPairs
from nmt.data.given_tokenizers import SIDES, write_tokenizers
from nmt.data.grouping import split_by_tokens
from nmt.data.ragged import Ragged
from nmt.data.soft_labels import INDEX, label_type, labelled_rows, pairs_digest, write_labels
from nmt.data.tokenizer import EOS
from nmt.data.vocabulary import load_corpus
from nmt.data.workers import in_order
from nmt.device import choose_device
from nmt.distillation.progress import Progress, threads_restored
from nmt.errors import ConfigError, RunError
from nmt.files import replacing
from nmt.model.positions import TargetPositions
from nmt.model.translation import TranslationModel
from nmt.runs.checkpoint import checkpoint_digest, find_checkpoint, load_checkpoint
from nmt.runs.run import Run

logger = logging.getLogger("nmt")
_PART = 4096  # pairs
_CPU_PROBABILITIES, _GPU_PROBABILITIES = 2**22, 2**26  # N · V of a batch
_LEAST_TOKENS = 256  # in a batch
Pairs = tuple[Ragged, Ragged]


@dataclass(frozen=True)
class Labeller:
    """Labels parts with the teachers, which are loaded when the first part comes, in the process that gets
    it: in float32, on a CPU with one thread.

    Attributes:
        folders: of their runs, with the same tokenizers.
        device: for all.
        top: K.
    """

    folders: tuple[Path, ...]
    device: str
    top: int

    @cached_property
    def _models(self) -> list[TranslationModel]:
        device = choose_device(self.device)
        if device.type == "cpu":
            torch.set_num_threads(1)
        return [load_checkpoint(Run(folder).best, device).model for folder in self.folders]

    @torch.inference_mode()
    def __call__(self, pairs: Pairs) -> NDArray[Any]:
        """The labels of all target tokens, pair by pair and each with end-of-sentence, [L, K] of
        `label_type`.

        Args:
            pairs: token ids of the sources and the targets, without special tokens.
        """
        source, target = pairs
        starts = target.offsets[:-1] + np.arange(len(target))
        V = self._models[0].target.table.num_embeddings
        labels = np.empty((int(target.offsets[-1]) + len(target), min(self.top, V - EOS)), label_type(V))
        on_cpu = self._models[0].device.type == "cpu"
        limit = max((_CPU_PROBABILITIES if on_cpu else _GPU_PROBABILITIES) // V, _LEAST_TOKENS)
        order = np.lexsort((-source.lengths, -target.lengths))
        for rows in split_by_tokens(order, np.maximum(source.lengths, target.lengths) + 1, limit):
            batch = gather(rows, source, target)
            row, step = (part.numpy() for part in batch.positions)
            probabilities, tokens = self._mean(batch).topk(labels.shape[1])
            places = starts[rows][row] + step
            labels["id"][places] = tokens.cpu().numpy()
            labels["probability"][places] = probabilities.cpu().numpy()
        return labels

    def _mean(self, batch: Batch) -> torch.Tensor:
        """The mean over the teachers of p(v | source, target tokens before), [N, V]; 0 for PAD, UNK and BOS,
        which the search forbids.
        """
        on_device = batch.to(self._models[0].device)
        positions = TargetPositions(*on_device.positions, on_device.active)
        tokens = on_device.source, on_device.source_mask, on_device.previous, positions
        total: torch.Tensor | None = None
        for model in self._models:
            logits, _ = model.teacher_forcing(*tokens, on_device.source_lengths)
            found = logits.dense().float().softmax(dim=-1)
            total = found if total is None else total.add_(found)
        assert total is not None
        total[:, :EOS] = 0
        return total.div_(len(self._models))


def common_tokenizers(teachers: Sequence[Run]) -> list[bytes]:
    """The SentencePiece models of the source and the target side of all teachers.

    Raises:
        ConfigError: if they are not the same.
        RunError: if a checkpoint is missing or corrupt.
    """
    every = [
        [(find_checkpoint(run.best) / f"{side}.model").read_bytes() for side in SIDES] for run in teachers
    ]
    for run, models in zip(teachers, every, strict=True):
        if models != every[0]:
            raise ConfigError(
                f"{run.folder}: its tokenizers are not those of {teachers[0].folder}; soft labels "
                "(distillation.soft_weight) need teachers with the same tokenizers, trained with the same "
                "data= settings"
            )
    return every[0]


def label_pairs(config: Config, teachers: Sequence[Run], folder: Path) -> DataConfig:
    """Let the teachers label the pairs of the last corpus in `data.extra`, unless they have.

    Args:
        config: of the student.
        teachers: their runs.
        folder: for the labels, as `nmt.data.soft_labels` describes it.

    Returns:
        the data settings of the student with the labels, and with the tokenizers of the teachers.

    Raises:
        ConfigError: if the tokenizers of the teachers differ.
        RunError: if a checkpoint is missing or corrupt, or no pair is left to train on.
    """
    data, distillation = config.data, config.distillation
    *others, extra = data.extra
    extra = replace(extra, soft_labels=str(folder), soft_weight=distillation.soft_weight)
    tokenizer = replace(data.tokenizer, path=str(folder))
    labelled = replace(data, extra=[*others, extra], tokenizer=tokenizer)
    if (folder / INDEX).exists():
        logger.info(f"soft labels: complete: {folder}")
        return labelled
    write_tokenizers(folder, *common_tokenizers(teachers))
    corpus = load_corpus(labelled, config.threads)
    first, last = labelled_rows(corpus.prepared.mixture, corpus.train, len(others))
    if first == last:
        raise RunError(f"{extra.path}: none of its pairs can be trained on, so there is nothing to label")
    logger.info(f"soft labels: labelling {last - first:,} pairs with {len(teachers)} teachers")
    labeller = Labeller(tuple(run.folder for run in teachers), config.device, distillation.soft_tokens)
    _label(corpus.train, first, last, labeller, folder, config.threads)
    return labelled


def _label(
    train: TokenizedPairs, first: int, last: int, labeller: Labeller, folder: Path, workers: int | None
) -> None:
    """Write the labels of the pairs from `first` to before `last`."""
    device, digest = choose_device(labeller.device), pairs_digest(train, first, last)
    content = [digest, labeller.top, *(checkpoint_digest(Run(one).best) for one in labeller.folders)]
    parts = folder / f"{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:12]}.parts"
    parts.mkdir(exist_ok=True)
    done = len(list(parts.glob("*.npy")))
    progress = Progress("labelled", "pairs", last - first, min(done * _PART, last - first))
    together, starts = replace(labeller, device=str(device)), range(first, last, _PART)[done:]
    chunks = (_pairs(train, start, min(start + _PART, last)) for start in starts)
    workers = workers if device.type == "cpu" else 1
    with threads_restored(), closing(in_order(together, chunks, workers)) as results:
        for number, labels in enumerate(results, done):
            with replacing(parts / f"{number:07d}.npy", "wb") as file:
                np.save(file, labels, allow_pickle=False)
            progress.add(_PART)
    mass, tokens, top = 0.0, 0, 0
    for labels in _saved(parts):
        tokens, top = tokens + len(labels), labels.shape[1]
        mass += float(labels["probability"].sum(dtype=np.float64))
    write_labels(folder, _saved(parts), (tokens, top), digest)
    for old in folder.glob("*.parts"):
        shutil.rmtree(old)
    logger.info(
        f"soft labels: {tokens:,} tokens; the {top} most probable ones have {mass / tokens:.1%} of the "
        "probability by the teachers"
    )


def _pairs(train: TokenizedPairs, first: int, last: int) -> Pairs:
    """The token ids of pairs, in arrays of their own."""
    sides = []
    for side in (train.source, train.target):
        offsets = side.offsets[first : last + 1]
        sides.append(Ragged(np.array(side.values[offsets[0] : offsets[-1]]), offsets - offsets[0]))
    return sides[0], sides[1]


def _saved(parts: Path) -> Iterator[NDArray[Any]]:
    return (np.load(path, allow_pickle=False) for path in sorted(parts.glob("*.npy")))
