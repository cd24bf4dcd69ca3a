"""The tokenizers of a prepared corpus, trained once and cached with it; the limit on tokens."""

import dataclasses
import hashlib
import json
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from nmt.config.data import DataConfig, TokenizerConfig
from nmt.config.schema import to_dict
from nmt.data.corpus import TokenizedPairs, load_tokenized
from nmt.data.examples import Example, Numbered, StoredExamples
from nmt.data.given_tokenizers import given_tokenizers
from nmt.data.held_out import held_out_files
from nmt.data.mixture import Mixture, occurrences, part_of, pieces_of, repeated
from nmt.data.prepare import Prepared, prepare, split_sizes
from nmt.data.tokenizer import Tokenizer, count_words, train_on_words, train_tokenizer, trains_on_words
from nmt.errors import DataError, RunError
from nmt.files import write_bytes

MOST_WORDS = 1_000_000  # distinct ones that a tokenizer is trained on: takes 0.6 GB
MOST_BYTES = 1 << 26  # of the training set, where a tokenizer is trained on sentences: takes 1.3 GB
_CHUNK = 1 << 22  # bytes: in a large chunk, more occurrences of a word are counted before it is sent


class Corpus(NamedTuple):
    """Prepared data and its tokenizers.

    Attributes:
        prepared: without the pairs that have too many tokens.
        source, target: the tokenizers.
        train: the tokenised training set.
    """

    prepared: Prepared
    source: Tokenizer
    target: Tokenizer
    train: TokenizedPairs


def load_corpus(config: DataConfig, workers: int | None = None) -> Corpus:
    """Prepare a corpus, train its tokenizers and tokenise its training set, or load them from the cache;
    overlong pairs are dropped.

    Args:
        config: the data settings.
        workers: number of processes, by default one per core; the result does not depend on it.

    Raises:
        ConfigError, DataError: as `prepare`, `load_tokenizers`, `load_tokenized` and `limit_tokens`.
    """
    prepared = prepare(config, workers)
    source, target = load_tokenizers(prepared, config, workers)
    train = load_tokenized(prepared, source, target, config.max_tokens, workers)
    return Corpus(limit_tokens(prepared, train, source, target, config), source, target, train)


def load_tokenizers(
    prepared: Prepared, config: DataConfig, workers: int | None = None
) -> tuple[Tokenizer, Tokenizer]:
    """The source and the target tokenizer, trained on the training set only, unless they are given.

    Args:
        prepared: the corpus.
        config: kind and size are in `config.tokenizer`; with `joint`, both are the same tokenizer.
        workers: as in `load_corpus`.

    Raises:
        ConfigError: if the vocabulary size does not suit the corpus, or as `given_tokenizers`.
        DataError: if a cached tokenizer or the training set is corrupt.
    """
    if config.tokenizer.path is not None:
        return given_tokenizers(Path(config.tokenizer.path), prepared.mixture)
    trained_on = [[part.weight, part.pieces] for part in prepared.mixture]
    settings = to_dict(config.tokenizer)
    del settings["path"]
    content = [settings, trained_on] if trained_on else settings
    name = hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:12]
    sides = ("joint",) if config.tokenizer.joint else ("source", "target")
    paths = {side: prepared.folder / f"tokenizer-{name}.{side}.model" for side in sides}
    if not all(path.exists() for path in paths.values()):
        stored = prepared.splits["train"]
        assert isinstance(stored, StoredExamples)
        train = _train_on_words if trains_on_words(config.tokenizer) else _train_on_sentences
        train(stored, prepared.mixture, config.tokenizer, paths, workers)
    tokenizers = [_load(path) for path in paths.values()]
    return tokenizers[0], tokenizers[-1]


def _train_on_sentences(
    train: StoredExamples,
    mixture: Mixture,
    config: TokenizerConfig,
    paths: Mapping[str, Path],
    workers: int | None,
) -> None:
    size = train.path.stat().st_size if train.path.exists() else 0  # reading a missing file says so
    step = max(1, math.ceil(size / MOST_BYTES))
    for side, path in paths.items():
        sentences = _sentences(train, mixture, side, step)
        pieces = _pieces(mixture, side)
        write_bytes(path, train_tokenizer(sentences, config, "data.tokenizer", pieces))


def _pieces(mixture: Mixture, side: str) -> list[str]:
    """The pieces that a tokenizer has besides those that it learns."""
    return [] if side == "target" else pieces_of(mixture)


def _sentences(train: StoredExamples, mixture: Mixture, side: str, step: int) -> Iterator[str]:
    """Those of a side, or of both together, in every `step`-th pair."""
    if side != "target":
        yield from (example.source for example in _sampled(train, mixture, step))
    if side != "source":
        for example in _sampled(train, mixture, step):
            yield from example.references


def _sampled(train: StoredExamples, mixture: Mixture, step: int) -> Iterator[Example]:
    """Every `step`-th pair, as often as the weight of its corpus says."""
    if not mixture:
        yield from train.sampled(step)
        return
    times = occurrences(mixture, np.arange(0, train.lines, step), step)
    for example, count in zip(train.sampled(step), times, strict=True):
        yield from repeat(example, count)


def _train_on_words(
    train: StoredExamples,
    mixture: Mixture,
    config: TokenizerConfig,
    paths: Mapping[str, Path],
    workers: int | None,
) -> None:
    words = training_words(train, config.joint, workers, mixture)
    for (side, path), of_side in zip(paths.items(), words, strict=True):
        write_bytes(path, train_on_words(of_side, config, "data.tokenizer", _pieces(mixture, side)))


def training_words(
    train: StoredExamples, joint: bool, workers: int | None, mixture: Mixture = ()
) -> list[Counter[str]]:
    """How often each word occurs on the source and the target side, or on both together if `joint`; those of
    extra corpora count as often as their weights say.

    For a side with more than `MOST_WORDS` distinct words, only every second pair is counted, or every fourth
    and so on, to bound the memory of training.
    """
    step = 1
    while (words := _words(train, joint, step, workers, mixture)) is None:
        step *= 2
    return words


def _words(
    train: StoredExamples, joint: bool, step: int, workers: int | None, mixture: Mixture
) -> list[Counter[str]] | None:
    """The words in every `step`-th pair, or None if there are too many."""
    found = [Counter[str]() for _ in range(1 if joint else 2)]
    chunks = train.map_chunks(partial(_words_of_chunk, joint, step, mixture), workers, _CHUNK)
    with closing(chunks):
        for chunk in chunks:
            for words, more in zip(found, chunk, strict=True):
                words.update(more)
                if len(words) > MOST_WORDS:
                    return None
    return found


def _words_of_chunk(joint: bool, step: int, mixture: Mixture, chunk: Numbered) -> list[Counter[str]]:
    skipped = -chunk.first % step
    examples = chunk.examples[skipped::step]
    if mixture:
        lines = np.arange(skipped, len(chunk.examples), step) + chunk.first
        examples = repeated(examples, occurrences(mixture, lines, step))
    words = [
        count_words(example.source for example in examples),
        count_words(reference for example in examples for reference in example.references),
    ]
    return [words[0] + words[1]] if joint else words


def limit_tokens(
    prepared: Prepared, train: TokenizedPairs, source: Tokenizer, target: Tokenizer, config: DataConfig
) -> Prepared:
    """Drop the pairs that have more than `config.max_tokens` tokens on a side; they are counted in the
    report, under "too_many_tokens".

    The earlier limit on words does not catch long texts without spaces, which count as one word and
    might not fit in memory.

    Args:
        prepared: the corpus.
        train: its tokenised training set, in which they are dropped.
        source, target: the tokenizers.
        config: the data settings.

    Raises:
        DataError: for an overlong sentence in a user-provided set (none of its sentences are dropped), and
            if a split becomes empty.
    """
    stored = prepared.splits["train"]
    assert isinstance(stored, StoredExamples)
    splits: dict[str, Sequence[Example]] = {
        "train": dataclasses.replace(stored, skipped=frozenset(train.left_out.tolist()))
    }
    sizes = {"train": {"examples": len(train), "sources": train.distinct_sources, "pairs": len(train)}}
    for split in ("dev", "test"):
        splits[split] = _fitting(split, prepared.splits[split], source, target, config)
        sizes[split] = split_sizes(splits[split])
    for split, examples in splits.items():
        if not len(examples):
            raise DataError(f"data.max_tokens={config.max_tokens}: leaves the {split} set empty; raise it")
    kept = sum(size["pairs"] for size in sizes.values())
    dropped = sum(size["pairs"] for size in prepared.report["splits"].values()) - kept
    if not dropped:
        return prepared
    report = prepared.report | {"splits": sizes}
    if prepared.mixture:
        parts = part_of(prepared.mixture, train.left_out)
        by_part = np.bincount(parts, minlength=len(prepared.mixture)).tolist()
        dropped -= sum(by_part)
        # A pair is lost if its first direction is: the second, which has other pieces, may be or not.
        main, *lost = (
            count for count, part in zip(by_part, prepared.mixture, strict=True) if not part.reversed
        )
        dropped += main
        if lost:
            report["extra"] = [
                entry | _without_overlong(entry, count)
                for entry, count in zip(report["extra"], lost, strict=True)
            ]
    report |= _without_overlong(report, dropped)
    return dataclasses.replace(prepared, splits=splits, report=report)


def _without_overlong(report: Mapping[str, Any], dropped: int) -> dict[str, Any]:
    """The counts of a corpus without the pairs that have too many tokens."""
    return {
        "dropped": report["dropped"] | {"too_many_tokens": dropped},
        "pairs_kept": report["pairs_kept"] - dropped,
    }


def _fitting(
    split: str, examples: Sequence[Example], source: Tokenizer, target: Tokenizer, config: DataConfig
) -> list[Example]:
    """The examples of "dev" or "test" within the limit."""
    kept = []
    for number, example in enumerate(examples, 1):
        if _fits(example, source, target, config.max_tokens):
            kept.append(example)
        elif files := held_out_files(config, split):
            raise DataError(
                f"{split} sentence {number} has more than data.max_tokens={config.max_tokens} tokens; "
                "shorten it, or raise the limit",
                files[0],
            )
    return kept


def _fits(example: Example, source: Tokenizer, target: Tokenizer, limit: int) -> bool:
    sides = [(source, example.source), *((target, text) for text in example.references)]
    # A token covers at least one byte, except the first word's space symbol: few texts need encoding.
    return all(
        len(text.encode()) < limit or len(tokenizer.encode(text)) <= limit for tokenizer, text in sides
    )


def _load(path: Path) -> Tokenizer:
    try:
        return Tokenizer(path.read_bytes())
    except RunError as error:
        raise DataError("corrupt; delete it to retrain the tokenizer", path) from error
