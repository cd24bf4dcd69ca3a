"""The extra training corpora (`data.extra`): read and cleaned as the main one, without what it has already.

Pairs that share a sentence with the dev or test set, compared as the split does it, are dropped, and so are
those that the main corpus or an earlier extra one has. The split of the main corpus does not depend on them.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np

from nmt.config.data import DataConfig
from nmt.config.directions import Direction, directions, target_languages
from nmt.config.extra_corpus import ExtraCorpus, in_extra
from nmt.config.settings import Config
from nmt.data.cleaned import CleanedPairs, TrainingPairs, write_cleaned
from nmt.data.examples import Example
from nmt.data.held_out import HeldOut
from nmt.data.keys import SeenKeys
from nmt.data.mixture import Mixture, Part
from nmt.data.sources.source import open_source
from nmt.data.target_languages import target_tag
from nmt.errors import ConfigError, DataError

_READING = ("source", "language", "source_column", "target_column", "alignment_column")
"""The settings that decide what is read from the files."""


class OpenedCorpus(NamedTuple):
    """An extra corpus whose files have been found.

    Attributes:
        corpus: its settings.
        number: its place in `data.extra`, from 0.
        data: the settings with it as the main corpus.
        files: what is read.
        tagged: whether there are several target languages.
    """

    corpus: ExtraCorpus
    number: int
    data: DataConfig
    files: list[Path]
    tagged: bool

    def identity(self, of_file: Callable[[Path], str]) -> list[Any]:
        """What decides its pairs, for a fingerprint; `of_file` says what identifies a file."""
        reading = {name: getattr(self.data, name) for name in _READING}
        return [reading, list(map(of_file, self.files)), *(["swap"] if self.corpus.swap else [])]


class CleanedCorpus(NamedTuple):
    """The pairs of an extra corpus that are trained on.

    Attributes:
        pairs: cleaned.
        dropped: number of the others by reason.
    """

    pairs: CleanedPairs
    dropped: Counter[str]

    def trained(self, both: bool) -> TrainingPairs:
        """All of them, in both directions or in one."""
        return TrainingPairs(self.pairs, np.ones(len(self.pairs), np.bool_), both)


@contextmanager
def named_corpus(corpus: ExtraCorpus, key: str) -> Iterator[None]:
    """Let errors name a corpus by its place in the settings, `key`, such as `data.extra[0]`."""
    try:
        yield
    except (ConfigError, DataError) as error:
        message = in_extra(str(error), corpus, key)
        named = message if message.startswith(key) else f"{key}.path: {message}"
        raise type(error)(named) from error


def open_extra(config: DataConfig) -> list[OpenedCorpus]:
    """Find the files of all extra corpora; archives are downloaded if necessary.

    Raises:
        ConfigError, DataError: if a setting is invalid, or a file is missing or unusable; names the setting.
    """
    return [_opened(config, corpus, number) for number, corpus in enumerate(config.extra)]


def _opened(config: DataConfig, corpus: ExtraCorpus, number: int) -> OpenedCorpus:
    data = config.as_main(corpus)
    with named_corpus(corpus, f"data.extra[{number}]"):
        return OpenedCorpus(corpus, number, data, open_source(data).files(), bool(target_languages(config)))


def check_extra(config: DataConfig) -> None:
    """Check that the files of all extra corpora can be read; nothing is downloaded.

    Raises:
        ConfigError, DataError: as `open_extra`.
    """
    for number, corpus in enumerate(config.extra):
        if open_source(config.as_main(corpus)).is_local:
            _opened(config, corpus, number)


def check_pretraining(config: Config) -> None:
    """Check that the corpus of pretraining, if any, can be read; nothing is downloaded.

    Raises:
        ConfigError, DataError: as `open_extra`.
    """
    if not config.pretraining.requested:
        return
    source = open_source(config.pretraining.data(config.data))
    with named_corpus(config.pretraining.corpus, "pretraining"):
        if source.is_local:
            source.files()


def clean_extra(
    opened: OpenedCorpus,
    held: Mapping[str, Sequence[Example]],
    seen: SeenKeys,
    file: IO[bytes],
    workers: int | None,
) -> CleanedCorpus:
    """Clean an extra corpus and drop what may not be trained on.

    Args:
        opened: the corpus.
        held: the dev and the test set.
        seen: keys of the pairs of the main corpus and of earlier extra ones; these are added.
        file: empty, open for writing and reading; the pairs are written to it.
        workers: as in `in_order`.

    Raises:
        DataError: for what cannot be read, with the setting, file and line.
    """
    held_out = HeldOut(held, opened.data.swap, either=opened.tagged)
    reasons = ("empty", "too_long", "ratio", "duplicate", *held_out.reasons)
    dropped: Counter[str] = Counter(dict.fromkeys(reasons, 0))
    with named_corpus(opened.corpus, f"data.extra[{opened.number}]"):
        pairs = write_cleaned(opened.data, opened.files, dropped, held_out.reason, file, workers, seen)
    return CleanedCorpus(pairs, dropped)


def describe_extra(
    opened: OpenedCorpus, cleaned: CleanedCorpus, described: Callable[[Path], dict[str, Any]]
) -> dict[str, Any]:
    """The entry of the report for an extra corpus; `described` describes a file."""
    return {
        "licence": open_source(opened.data).licence,
        "files": list(map(described, opened.files)),
        "pairs_read": len(cleaned.pairs) + cleaned.dropped.total(),
        "dropped": dict(cleaned.dropped),
        "pairs_kept": len(cleaned.pairs),
    }


def with_settings(report: Mapping[str, Any], corpora: Sequence[ExtraCorpus]) -> dict[str, Any]:
    """A report with the settings of the extra corpora in their entries; they may be other ones than those
    when it was made, as weights and tags do not change what is prepared.
    """
    entries = [
        {"kind": corpus.kind, "path": corpus.path, "weight": corpus.weight, "tag": corpus.piece} | entry
        for corpus, entry in zip(corpora, report["extra"], strict=True)
    ]
    return {**report, "extra": entries}


def mixture_of(report: Mapping[str, Any], corpora: Sequence[ExtraCorpus], config: DataConfig) -> Mixture:
    """The parts of the training set that a report describes.

    Args:
        report: of the prepared corpus.
        corpora: the extra ones, with those that are made.
        config: the data settings.
    """
    if not corpora and not config.both_directions:
        return ()
    used, tagged = directions(config), bool(target_languages(config))
    kept = [int(entry["pairs_kept"]) for entry in report.get("extra", ())]
    total = int(report["splits"]["train"]["examples"])
    own = total - sum(lines * len(ways) for lines, ways in zip(kept, used[1:], strict=True))
    every = [(own // len(used[0]), ExtraCorpus()), *zip(kept, corpora, strict=True)]
    return tuple(
        Part(lines, one.weight, _pieces(one, way, tagged), way.reversed)
        for (lines, one), ways in zip(every, used, strict=True)
        for way in ways
    )


def _pieces(corpus: ExtraCorpus, direction: Direction, tagged: bool) -> tuple[str, ...]:
    """The pieces before the sources of a corpus in one direction."""
    tags = (target_tag(direction.languages[1]),) if tagged and direction.languages else ()
    return (*tags, *([] if corpus.piece is None else [corpus.piece]))
