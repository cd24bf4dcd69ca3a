"""Development and test sets of the user's own, in place of a share of the corpus.

Each is a TSV file, in which a source on several lines has several references, or plain text: a file of
source sentences and one or more of references, line by line. Nothing of it is dropped; pairs of the corpus
that share a sentence with it are.
"""

import functools
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from nmt.config.data import DataConfig
from nmt.data.examples import Example, read_parallel
from nmt.data.pairs import Pair, checked_alignment, grouped, swapped
from nmt.data.sources import given_file, read_columns, source_files
from nmt.data.text import clean, fold
from nmt.errors import DataError

HELD_OUT = ("test", "dev")
"""The splits that may be files; a pair that shares sentences with both counts as one of the first."""


def held_out_files(data: DataConfig, split: str) -> list[Path]:
    """The files of the user's own "dev" or "test" set; none if it is to be a share of the corpus.

    Raises:
        DataError: if a file is missing or unusable, naming the setting.
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
    """Make sure that all files which the settings name can be read; nothing is downloaded.

    Raises:
        DataError: for one that is missing or unusable, naming the setting.
    """
    if data.source != "manythings" or data.archive:
        source_files(data)
    for split in HELD_OUT:
        held_out_files(data, split)


def read_held_out(data: DataConfig, files: Sequence[Path]) -> list[Example]:
    """The sentences of a set of the user's own, cleaned, in the direction of translation. Of plain text there
    is one example a line, in order, repeated sentences included.

    Args:
        data: tells the columns of a TSV file, and whether the direction is swapped.
        files: from `held_out_files`, at least one.

    Raises:
        DataError: with file and line, for a sentence without text or without any reference.
    """
    examples = _read_columns(data, files[0]) if len(files) == 1 else _read_lines(data, files)
    if not examples:
        raise DataError("no sentence in it", files[0])
    return examples


def _read_lines(data: DataConfig, files: Sequence[Path]) -> list[Example]:
    examples = read_parallel(files[0], files[1:])
    for number, example in enumerate(examples, 1):
        if not example.source:
            raise DataError("an empty line cannot be translated; take it out of all files", files[0], number)
    if data.swap:  # with one file of references, as the settings are checked
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
            raise DataError(f"its {side} sentence is empty; write it or take the line out", file, raw.line)
    return grouped([swapped(pair) for pair in pairs] if data.swap else pairs)


class SharedSentences:
    """Whether a pair of the corpus shares a sentence with a set, case, space and punctuation aside.

    Args:
        examples: of the set.
        swap: whether the set translates from the second side of the corpus to the first.
    """

    def __init__(self, examples: Collection[Example], swap: bool) -> None:
        sources = {fold(example.source) for example in examples}
        targets = {fold(text) for example in examples for text in example.references}
        self._first, self._second = (targets, sources) if swap else (sources, targets)

    def has(self, first: str, second: str) -> bool:
        """Whether it shares one with the pair (`first`, `second`), in the corpus's own direction."""
        return fold(first) in self._first or fold(second) in self._second


class HeldOut:
    """The sets of the user's own, and why a pair of the corpus cannot be used beside them.

    Args:
        sets: the examples of "dev" and "test", where they are the user's own.
        swap: whether they translate from the second side of the corpus to the first.
    """

    def __init__(self, sets: Mapping[str, Sequence[Example]], swap: bool) -> None:
        self.sets = sets
        self._shared = {split: SharedSentences(sets[split], swap) for split in HELD_OUT if split in sets}

    @property
    def reasons(self) -> list[str]:
        """The reasons that `reason` may give."""
        return [f"in_{split}" for split in self._shared]

    def reason(self, first: str, second: str) -> str | None:
        """Which set shares a sentence with the pair, as a reason to drop it; None without one."""
        sharing = (name for name, shared in self._shared.items() if shared.has(first, second))
        return next((f"in_{name}" for name in sharing), None)

    def dev_in_test(self) -> int:
        """How many development sentences share their source or a reference with a test sentence."""
        if len(self.sets) < len(HELD_OUT):
            return 0
        shared = SharedSentences(self.sets["test"], swap=False)
        return sum(any(shared.has(e.source, text) for text in e.references) for e in self.sets["dev"])
