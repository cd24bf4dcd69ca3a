"""The pairs that are made for the training set from its own: with rare words (`data.rare_words`) and names
(`data.names`) in other words' places, and with sources as people type them (`data.input_variants`).

They are made from the training part of the main corpus, and then are further extra corpora: what shares a
sentence with the dev or test set, or is there already, is dropped and counted.
"""

import dataclasses
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from nmt.config.data import OWN_NAMES, DataConfig
from nmt.config.directions import target_languages
from nmt.config.extra_corpus import ExtraCorpus
from nmt.data.examples import from_line
from nmt.data.extra import OpenedCorpus
from nmt.data.name_list import names_file
from nmt.errors import ConfigError, DataError
from nmt.files import replacing, sha256

VERSION = 1  # of what is made from the same pairs
MOST_PAIRS = 500_000  # that new pairs are made from, where all of them have to be in memory
Pairs = Iterable[tuple[str, str]]


def extra_corpora(config: DataConfig) -> list[ExtraCorpus]:
    """The extra corpora of the settings, with those that are made at the end."""
    return [*config.extra, *config.made]


def made_identity(config: DataConfig) -> list[list[Any]]:
    """What decides the pairs, besides the main corpus, for a fingerprint; empty if none are made."""
    found: list[list[Any]] = [["rare_words", VERSION, config.rare_words]] if config.rare_words else []
    if config.names is not None:
        found.append(["names", VERSION, config.pairs_per_name, sha256(names_file(config))])
    return [*found, *([["input_variants", VERSION]] if config.input_variants else [])]


def open_made(config: DataConfig, train: Callable[[], Iterable[bytes]], folder: Path) -> list[OpenedCorpus]:
    """Make the pairs and write them to files in a folder.

    Args:
        config: the data settings.
        train: returns the lines of the training set.
        folder: exists.

    Raises:
        ConfigError: if the training set is too large.
        DataError: if the names cannot be read or used.
    """
    opened = []
    for number, made in enumerate(config.made, len(config.extra)):
        examples = map(from_line, map(bytes.decode, train()))
        pairs: Pairs = ((example.source, example.references[0]) for example in examples)
        path = folder / f"{made.kind}{'_swapped' if made.swap else ''}.tsv"
        with replacing(path) as file:
            for source, target in _MAKE[made.kind](config, made, pairs):
                file.write(f"{source}\t{target}\n")
        columns = (2, 1) if config.swap != made.swap else (1, 2)  # a corpus is read in its own direction
        tsv = dataclasses.replace(
            made, kind="tsv", path=str(path), source_column=columns[0], target_column=columns[1]
        )
        data, tagged = config.as_main(tsv), bool(target_languages(config))
        opened.append(OpenedCorpus(made, number, data, [path], tagged))
    return opened


def _in_memory(pairs: Pairs, config: DataConfig, key: str) -> list[tuple[str, str]]:
    """The pairs as a list.

    Raises:
        ConfigError: if there are too many; names the setting.
    """
    every = list(pairs)
    if len(every) > MOST_PAIRS:
        raise ConfigError(
            f"data.{key}={getattr(config, key)}: for training sets of at most {MOST_PAIRS:,} pairs; this "
            f"one has {len(every):,}"
        )
    return every


def _with_rare_words(config: DataConfig, made: ExtraCorpus, pairs: Pairs) -> Pairs:
    from nmt.data.substitution.substitute import substitutions

    every = _in_memory(pairs, config, made.kind)
    return [(new.source, new.target) for new in substitutions(every, config.rare_words)]


def _with_names(config: DataConfig, made: ExtraCorpus, pairs: Pairs) -> Pairs:
    from nmt.data.substitution.name_pairs import name_pairs, read_names

    file, every = names_file(config), _in_memory(pairs, config, made.kind)
    some = config.names == OWN_NAMES  # of a list for any corpus
    try:
        return name_pairs(every, read_names(file, config.swap), config.pairs_per_name, some)
    except DataError as error:
        raise DataError(f"data.names={config.names}: {error}") from error


def _input_variants(config: DataConfig, made: ExtraCorpus, pairs: Pairs) -> Pairs:
    from nmt.data.input_variants import input_variants

    return input_variants((target, source) if made.swap else (source, target) for source, target in pairs)


_MAKE: dict[str, Callable[[DataConfig, ExtraCorpus, Pairs], Pairs]] = {
    "rare_words": _with_rare_words,
    "names": _with_names,
    "input_variants": _input_variants,
}
