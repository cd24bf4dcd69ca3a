"""The tokenizers of a prepared corpus, trained once and cached with it; the limit on tokens."""

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Sequence
from itertools import chain
from typing import NamedTuple

from nmt.config.data import DataConfig
from nmt.config.schema import to_dict
from nmt.data.corpus import TokenizedPairs, load_tokenized
from nmt.data.examples import Example, StoredExamples
from nmt.data.held_out import held_out_files
from nmt.data.prepare import Prepared, prepare, split_sizes
from nmt.data.tokenizer import Tokenizer, train_tokenizer
from nmt.errors import DataError, RunError
from nmt.files import write_bytes


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


def load_corpus(config: DataConfig) -> Corpus:
    """Prepare a corpus, train its tokenizers and tokenise its training set, or load them from the cache;
    overlong pairs are dropped.

    Raises:
        ConfigError, DataError: as `prepare`, `load_tokenizers`, `load_tokenized` and `limit_tokens`.
    """
    prepared = prepare(config)
    source, target = load_tokenizers(prepared, config)
    train = load_tokenized(prepared, source, target, config.max_tokens)
    return Corpus(limit_tokens(prepared, train, source, target, config), source, target, train)


def load_tokenizers(prepared: Prepared, config: DataConfig) -> tuple[Tokenizer, Tokenizer]:
    """The source and the target tokenizer, trained on the training set only.

    Args:
        prepared: the corpus.
        config: kind and size are in `config.tokenizer`; with `joint`, both are the same tokenizer.

    Raises:
        ConfigError: if the vocabulary size does not suit the corpus.
        DataError: if a cached tokenizer is corrupt.
    """
    train = prepared.splits["train"]
    sources = (example.source for example in train)
    targets = (reference for example in train for reference in example.references)
    if config.tokenizer.joint:
        both = _load(prepared, config, "joint", chain(sources, targets))
        return both, both
    return _load(prepared, config, "source", sources), _load(prepared, config, "target", targets)


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
    report = prepared.report | {
        "dropped": prepared.report["dropped"] | {"too_many_tokens": dropped},
        "pairs_kept": prepared.report["pairs_kept"] - dropped,
        "splits": sizes,
    }
    return dataclasses.replace(prepared, splits=splits, report=report)


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


def _load(prepared: Prepared, config: DataConfig, side: str, sentences: Iterable[str]) -> Tokenizer:
    name = hashlib.sha256(json.dumps(to_dict(config.tokenizer), sort_keys=True).encode()).hexdigest()[:12]
    path = prepared.folder / f"tokenizer-{name}.{side}.model"
    if not path.exists():
        model = train_tokenizer(sentences, config.tokenizer, "data.tokenizer")
        write_bytes(path, model)
    try:
        return Tokenizer(path.read_bytes())
    except RunError as error:
        raise DataError("corrupt; delete it to retrain the tokenizer", path) from error
