"""The tokenizers of a prepared corpus, trained once and cached with it; token limits and piece links."""

import dataclasses
import hashlib
import json
from typing import NamedTuple

from nmt.config.data import DataConfig
from nmt.config.schema import to_dict
from nmt.data.alignment import Link, expand_links, parse_pharaoh, piece_groups
from nmt.data.examples import Example
from nmt.data.held_out import held_out_files
from nmt.data.prepare import Prepared, part_sizes, prepare
from nmt.data.text import word_spans
from nmt.data.tokenizer import Tokenizer, train_tokenizer
from nmt.errors import DataError, RunError
from nmt.files import write_bytes


class Corpus(NamedTuple):
    """Prepared data and its tokenizers."""

    prepared: Prepared
    source: Tokenizer
    target: Tokenizer


def load_corpus(config: DataConfig) -> Corpus:
    """Prepare a corpus and train its tokenizers, or load them from the cache; overlong pairs are dropped.

    Raises:
        ConfigError, DataError: as `prepare`, `load_tokenizers` and `limit_tokens`.
    """
    prepared = prepare(config)
    source, target = load_tokenizers(prepared, config)
    return Corpus(limit_tokens(prepared, source, target, config), source, target)


def load_tokenizers(prepared: Prepared, config: DataConfig) -> tuple[Tokenizer, Tokenizer]:
    """The source and the target tokenizer, trained on the training set only.

    Args:
        prepared: the corpus.
        config: kind and size are in `config.tokenizer`; with `joint`, both are the same tokenizer.

    Raises:
        ConfigError: if the vocabulary size does not suit the corpus.
        DataError: if a cached tokenizer is corrupt.
    """
    train = prepared.parts["train"]
    sides = {
        "source": [example.source for example in train],
        "target": [reference for example in train for reference in example.references],
    }
    if config.tokenizer.joint:
        both = _load(prepared, config, "joint", sides["source"] + sides["target"])
        return both, both
    return _load(prepared, config, "source", sides["source"]), _load(
        prepared, config, "target", sides["target"]
    )


def limit_tokens(prepared: Prepared, source: Tokenizer, target: Tokenizer, config: DataConfig) -> Prepared:
    """Drop the pairs that have more than `config.max_tokens` tokens on a side; they are counted in the
    report, under "too_many_tokens".

    The earlier limit on words does not catch long texts without spaces, which count as one word and
    might not fit in memory.

    Raises:
        DataError: for an overlong sentence in a user-provided set (none of its sentences are dropped), and
            if a split becomes empty.
    """
    parts, dropped, limit = {}, 0, config.max_tokens
    for part, examples in prepared.parts.items():
        too_long = {k for k, one in enumerate(examples) if not _fits(one, source, target, limit)}
        if too_long and part != "train" and (files := held_out_files(config, part)):
            raise DataError(
                f"{part} sentence {min(too_long) + 1} has more than data.max_tokens={limit} tokens; "
                "shorten it, or raise the limit",
                files[0],
            )
        kept = [example for k, example in enumerate(examples) if k not in too_long]
        if not kept:
            raise DataError(f"data.max_tokens={limit}: leaves the {part} set empty; raise it")
        parts[part] = kept
        dropped += sum(len(examples[k].references) for k in too_long)
    if not dropped:
        return prepared
    report = prepared.report | {
        "dropped": prepared.report["dropped"] | {"too_many_tokens": dropped},
        "pairs_kept": prepared.report["pairs_kept"] - dropped,
        "parts": {part: part_sizes(examples) for part, examples in parts.items()},
    }
    return dataclasses.replace(prepared, parts=parts, report=report)


def _fits(example: Example, source: Tokenizer, target: Tokenizer, limit: int) -> bool:
    sides = [(source, example.source), *((target, text) for text in example.references)]
    # A token covers at least one byte, except the first word's space symbol: few texts need encoding.
    return all(
        len(text.encode()) < limit or len(tokenizer.encode(text)) <= limit for tokenizer, text in sides
    )


def piece_links(example: Example, source: Tokenizer, target: Tokenizer) -> list[Link]:
    """The word alignment of a training example as piece links."""
    groups = []
    for tokenizer, text in ((source, example.source), (target, example.references[0])):
        tokens = tokenizer.cut(text)
        groups.append(piece_groups(tokens.spans, word_spans(tokens.text)))
    return expand_links(parse_pharaoh(example.alignments[0]), *groups)


def _load(prepared: Prepared, config: DataConfig, side: str, sentences: list[str]) -> Tokenizer:
    name = hashlib.sha256(json.dumps(to_dict(config.tokenizer), sort_keys=True).encode()).hexdigest()[:12]
    path = prepared.folder / f"tokenizer-{name}.{side}.model"
    if not path.exists():
        model = train_tokenizer(sentences, config.tokenizer, "data.tokenizer")
        write_bytes(path, model)
    try:
        return Tokenizer(path.read_bytes())
    except RunError as error:
        raise DataError("corrupt; delete it to retrain the tokenizer", path) from error
