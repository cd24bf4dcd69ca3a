"""User-provided development and test sets, instead of a held-out fraction of the corpus.

Each is a TSV file, in which a source on several lines has several references, or plain text: a source
file and one or more reference files, aligned line by line. None of its sentences are dropped; pairs of the
corpus that share a sentence with it are.
"""

import functools
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from nmt.config.data import DataConfig
from nmt.data.examples import Example, read_parallel
from nmt.data.name_list import names_file
from nmt.data.pairs import Pair, checked_alignment, grouped, swapped
from nmt.data.sources.source import given_file, open_source
from nmt.data.sources.tsv import read_columns
from nmt.data.text import canonical_key, clean
from nmt.errors import DataError

HELD_OUT = ("test", "dev")
"""The splits that may be files; a pair that shares sentences with both is counted for the first."""


def held_out_files(data: DataConfig, split: str) -> list[Path]:
    """The files of a user-provided "dev" or "test" set; empty if it is a fraction of the corpus.

    Raises:
        DataError: if a file is missing or unusable; names the setting.
    """
    path: str | None = getattr(data, f"{split}_path")
    source_path: str | None = getattr(data, f"{split}_source_path")
    if path is not None:
        return [given_file(f"{split}_path", path)]
    if source_path is None:
        return []
    targets: list[str] = getattr(data, f"{split}_target_paths")
    return [
        given_file(f"{split}_source_path", source_path),
        *(given_file(f"{split}_target_paths", target) for target in targets),
    ]


def check_files(data: DataConfig) -> None:
    """Check that all files named in the settings can be read; nothing is downloaded.

    Raises:
        DataError: if a file is missing or unusable; names the setting.
    """
    source = open_source(data)
    if source.is_local:
        source.files()
    for split in HELD_OUT:
        held_out_files(data, split)
    if data.names is not None:
        names_file(data)


def read_held_out(data: DataConfig, files: Sequence[Path]) -> list[Example]:
    """The examples of a user-provided set, cleaned, in the translation direction. Plain text gives one
    example per line, in order, including repeated sentences.

    Args:
        data: has the columns of a TSV file, and whether the direction is swapped.
        files: from `held_out_files`, at least one.

    Raises:
        DataError: with file and line, for an empty sentence or one without a reference.
    """
    examples = _read_columns(data, files[0]) if len(files) == 1 else _read_lines(data, files)
    if not examples:
        raise DataError("contains no sentences", files[0])
    return examples


def _read_lines(data: DataConfig, files: Sequence[Path]) -> list[Example]:
    examples = read_parallel(files[0], files[1:])
    for number, example in enumerate(examples, 1):
        if not example.source:
            raise DataError("an empty line cannot be translated; remove it from all files", files[0], number)
    if data.swap:  # with one reference file: the settings are checked for it
        return [Example(e.references[0], (e.source,), e.alignments) for e in examples]
    return examples


def _read_columns(data: DataConfig, file: Path) -> list[Example]:
    pairs = []
    again = functools.partial(read_columns, data, file, aligned=False)
    for raw in again():
        source, target = clean(raw.source), clean(raw.target)
        if source and target:
            pairs.append(Pair(source, target, checked_alignment(raw, source, target, file, again)))
        elif source or target:
            side = "target" if source else "source"
            raise DataError(f"the {side} sentence is empty; fill it in or remove the line", file, raw.line)
    return grouped([swapped(pair) for pair in pairs] if data.swap else pairs)


class SharedSentences:
    """Finds corpus pairs that share a sentence with a set, ignoring case, spaces and punctuation.

    Args:
        examples: of the set.
        swap: whether the set translates from the second side of the corpus to the first.
        either: whether a sentence counts on either side, as where both sides have several languages.
    """

    def __init__(self, examples: Collection[Example], swap: bool, either: bool = False) -> None:
        sources = {canonical_key(example.source) for example in examples}
        targets = {canonical_key(text) for example in examples for text in example.references}
        if either:
            sources = targets = sources | targets
        self._first, self._second = (targets, sources) if swap else (sources, targets)

    def has(self, first: str, second: str) -> bool:
        """Whether a pair, given by its keys in the corpus's direction, shares a sentence with the set."""
        return first in self._first or second in self._second


class HeldOut:
    """The user-provided sets, and the reasons to drop corpus pairs that overlap with them.

    Args:
        sets: the examples of "dev" and "test", where the user provides them.
        swap: whether they translate from the second side of the corpus to the first.
        either: as in `SharedSentences`.
    """

    def __init__(self, sets: Mapping[str, Sequence[Example]], swap: bool, either: bool = False) -> None:
        self.sets = sets
        self._shared = {
            split: SharedSentences(sets[split], swap, either) for split in HELD_OUT if split in sets
        }

    @property
    def reasons(self) -> list[str]:
        """All values that `reason` may return."""
        return [f"in_{split}" for split in self._shared]

    def reason(self, first: str, second: str) -> str | None:
        """The reason to drop a pair (the set that it shares a sentence with), or None; `first` and `second`
        are the canonical keys of its sentences.
        """
        sharing = (name for name, shared in self._shared.items() if shared.has(first, second))
        return next((f"in_{name}" for name in sharing), None)

    def dev_in_test(self) -> int:
        """Number of development examples that share their source or a reference with a test example."""
        if len(self.sets) < len(HELD_OUT):
            return 0
        shared = SharedSentences(self.sets["test"], swap=False)
        return sum(
            any(shared.has(canonical_key(e.source), canonical_key(text)) for text in e.references)
            for e in self.sets["dev"]
        )
