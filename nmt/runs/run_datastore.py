"""The datastore of a run: made of its training pairs, and read with its model."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from threading import Lock

import torch

from nmt.cli import command
from nmt.config.decoding import RetrievalConfig
from nmt.data.corpus import load_tokenized
from nmt.data.examples import StoredExamples
from nmt.data.mixture import part_of_rows
from nmt.data.prepare import prepare
from nmt.data.ragged import ragged
from nmt.data.sources.source import side_by_side
from nmt.data.target_languages import SourceEncoder
from nmt.data.text import clean
from nmt.errors import DataError, RunError
from nmt.model.inference.prepared import PreparedModel
from nmt.retrieval.building import build_datastore
from nmt.retrieval.datastore_files import load_datastore, read_sentences, save_datastore
from nmt.retrieval.features import Pairs
from nmt.retrieval.retrieval_model import RetrievalModel
from nmt.retrieval.supporting import SupportingSentences
from nmt.retrieval.token_memory import TokenMemory
from nmt.runs.checkpoint import Checkpoint, checkpoint_digest, load_checkpoint
from nmt.runs.resume import refuse_other_data
from nmt.runs.run import Run, reopen_run

Texts = Iterator[tuple[str, str]]
"""Source and target sentences."""


@dataclass(frozen=True)
class Made:
    """What a datastore has.

    Attributes:
        pairs, tokens: their numbers.
        dimension: of a key.
        kept: the part of the variance of the features that the keys keep.
        size: in bytes.
    """

    pairs: int
    tokens: int
    dimension: int
    kept: float
    size: int


def make_datastore(run: Run, device: torch.device, dimension: int, files: tuple[Path, Path] | None) -> Made:
    """Make the datastore of a run, in its folder.

    Args:
        run: with a checkpoint.
        device: for the model.
        dimension: of a key.
        files: source and target sentences to keep in it; None: the training pairs of the run.

    Raises:
        DataError: if there are no pairs, or they cannot be read.
        RunError: if the checkpoint is missing or corrupt, the training pairs are not those of the run, or it
            translates into several languages.
    """
    checkpoint, digest = load_checkpoint(run.best, device), checkpoint_digest(run.best)
    if SourceEncoder(checkpoint.source).targets:
        raise RunError(f"{run.folder}: translates into several languages; a datastore is of a model for one")
    pairs, texts = _training_pairs(run, checkpoint) if files is None else _given_pairs(files, checkpoint)
    store, kept = build_datastore(PreparedModel(checkpoint.model), pairs, dimension)
    about = {"pairs": len(pairs.targets), "variance_kept": kept}
    size = save_datastore(run.datastore, store, texts, digest, about)
    tokens, dimension = store.keys.shape
    return Made(len(pairs.targets), tokens, dimension, kept, size)


def _training_pairs(run: Run, checkpoint: Checkpoint) -> tuple[Pairs, Texts]:
    _, config = reopen_run(run.folder)
    try:
        prepared = prepare(config.data, config.threads)
    except DataError as error:
        said = (
            f"{error}; the training pairs of {run.folder} are needed, or other pairs: --source and --target"
        )
        raise DataError(said) from error
    refuse_other_data(run, prepared, "give pairs: --source and --target")
    train = load_tokenized(
        prepared, checkpoint.source, checkpoint.target, config.data.max_tokens, config.threads
    )
    stored = prepared.splits["train"]
    assert isinstance(stored, StoredExamples)
    examples = StoredExamples(stored.path, stored.lines, frozenset(train.left_out.tolist()))
    count = len(train.source)
    if config.data.input_variants and prepared.mixture:  # the last corpus: variants of pairs that are there
        parts = part_of_rows(prepared.mixture, train.left_out)
        count -= int((parts == len(prepared.mixture) - 1).sum())
    texts = ((one.source, one.references[0]) for one in islice(examples, count))
    return Pairs(train.source.first(count), train.target.first(count)), texts


def _given_pairs(files: tuple[Path, Path], checkpoint: Checkpoint) -> tuple[Pairs, Texts]:
    texts = [(clean(pair.source), clean(pair.target)) for pair in side_by_side(*files)]
    texts = [pair for pair in texts if all(pair)]
    if not texts:
        raise DataError("has no pair without an empty side", files[0])
    sides = zip(*texts, strict=True)
    encoded = (
        tokenizer.encode_all(list(side))
        for tokenizer, side in zip((checkpoint.source, checkpoint.target), sides, strict=True)
    )
    return Pairs(*map(ragged, encoded)), iter(texts)


class RunDatastore:
    """The datastore of a run, which is read when it is first needed. Several threads can use it.

    Args:
        run: it.
        model: with the best checkpoint of the run.
        vocabulary: number of target tokens.
    """

    def __init__(self, run: Run, model: PreparedModel, vocabulary: int) -> None:
        self._run, self._model, self._vocabulary = run, model, vocabulary
        self._lock = Lock()
        self._supporting: SupportingSentences | None = None

    def model(self, config: RetrievalConfig) -> RetrievalModel:
        """The model with retrieval.

        Raises:
            RunError: if there is no datastore, or not one of this checkpoint.
        """
        return RetrievalModel(self._model, self.supporting().memory, config)

    def supporting(self) -> SupportingSentences:
        """Finds what supports a translation; errors as of `model`."""
        with self._lock:
            if self._supporting is None:
                self._supporting = self._read()
            return self._supporting

    def _read(self) -> SupportingSentences:
        folder, build = (
            self._run.datastore,
            command("python", "-m", "nmt.datastore", "--run", self._run.folder),
        )
        store = load_datastore(folder, checkpoint_digest(self._run.best), build)
        pairs = read_sentences(folder)
        memory: TokenMemory = store.memory(self._model.device)
        fits = (
            0 <= int(store.tokens.min()) <= int(store.tokens.max()) < self._vocabulary
            and 0 <= int(store.sentences.min()) <= int(store.sentences.max()) < len(pairs)
            and memory.feature_size == self._model.input_size
        )
        if not fits:
            raise RunError(
                f"{folder}: corrupt, as it does not fit the checkpoint; make it again with: {build}"
            )
        return SupportingSentences(self._model, memory, store.sentences, pairs)
