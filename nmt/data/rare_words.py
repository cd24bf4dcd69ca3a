"""The pairs that `data.rare_words` adds to the training set: rare words in other words' places.

They are made from the training part of the main corpus, and then are one more extra corpus: what shares a
sentence with the dev or the test set, or is there already, is dropped and counted.
"""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nmt.config.data import DataConfig
from nmt.config.directions import target_languages
from nmt.config.extra_corpus import ExtraCorpus
from nmt.data.examples import from_line
from nmt.data.extra import OpenedCorpus
from nmt.errors import ConfigError
from nmt.files import replacing

VERSION = 1  # of what is made from the same pairs
MOST_PAIRS = 500_000  # that new pairs are made from, in memory
_KIND = "rare_words"


def extra_corpora(config: DataConfig) -> list[ExtraCorpus]:
    """The extra corpora of the settings, with that of rare words, if any, at the end."""
    return [*config.extra, *([ExtraCorpus(kind=_KIND)] if config.rare_words else [])]


def rare_words_identity(config: DataConfig) -> list[list[Any]]:
    """What decides the pairs, besides the main corpus, for a fingerprint; empty if none are added."""
    return [[_KIND, VERSION, config.rare_words]] if config.rare_words else []


def open_rare_words(config: DataConfig, train: Iterable[bytes], folder: Path) -> OpenedCorpus:
    """Make the pairs and write them to a file in a folder.

    Args:
        config: the data settings.
        train: the lines of the training set.
        folder: exists.

    Raises:
        ConfigError: if the training set is too large.
    """
    from nmt.data.substitution.substitute import substitutions

    examples = map(from_line, map(bytes.decode, train))
    pairs = [(example.source, example.references[0]) for example in examples]
    if len(pairs) > MOST_PAIRS:
        raise ConfigError(
            f"data.rare_words={config.rare_words}: for training sets of at most {MOST_PAIRS:,} pairs; this "
            f"one has {len(pairs):,}"
        )
    path = folder / "rare_words.tsv"
    with replacing(path) as file:
        for new in substitutions(pairs, config.rare_words):
            file.write(f"{new.source}\t{new.target}\n")
    columns = (2, 1) if config.swap else (1, 2)  # a corpus is read in its own direction
    tsv = ExtraCorpus(path=str(path), source_column=columns[0], target_column=columns[1])
    data, tagged = config.as_main(tsv), bool(target_languages(config))
    return OpenedCorpus(ExtraCorpus(kind=_KIND), len(config.extra), data, [path], tagged)
