"""Source sentences with their references, and the files that store them."""

import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import NamedTuple, overload

from nmt.data.sources.source import side_by_side
from nmt.data.text import clean
from nmt.errors import DataError
from nmt.files import replacing


class Example(NamedTuple):
    """A source sentence and its references: one in training, all of them in development and test.

    Attributes:
        source: cleaned.
        references: cleaned, at least one.
        alignments: gold word alignment (Pharaoh) of each reference, or "" if there is none.
    """

    source: str
    references: tuple[str, ...]
    alignments: tuple[str, ...]


_ENCODER = json.JSONEncoder(ensure_ascii=False)


def to_line(example: Example) -> str:
    """An example as a line of JSON."""
    return _ENCODER.encode(example._asdict()) + "\n"


def from_line(line: str | bytes) -> Example:
    """The example of a line of JSON.

    Raises:
        ValueError, KeyError, TypeError: if it is none.
    """
    row = json.loads(line)
    return Example(row["source"], tuple(row["references"]), tuple(row["alignments"]))


def save_examples(path: Path, examples: Iterable[Example]) -> None:
    """Write examples as JSON Lines."""
    with replacing(path) as file:
        file.writelines(map(to_line, examples))


def load_examples(path: Path) -> list[Example]:
    """Load the examples written by `save_examples`.

    Raises:
        DataError: if the file is missing or corrupt.
    """
    return list(iterate_examples(path))


def iterate_examples(path: Path, skipped: Collection[int] = frozenset(), step: int = 1) -> Iterator[Example]:
    """Read the examples written by `save_examples` one at a time.

    Args:
        path: the file.
        skipped: numbers of the lines to leave out, from 0.
        step: yield every `step`-th of the others only; the lines between are not parsed.

    Raises:
        DataError: while iterating, if the file is missing or corrupt.
    """
    number, position = 0, 0
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for number, line in enumerate(file):
                if number not in skipped:
                    if position % step == 0:
                        yield from_line(line)
                    position += 1
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError("missing or corrupt", path, number + 1) from error


@dataclass(frozen=True)
class StoredExamples(Sequence[Example]):
    """Examples that stay in their file, for a training set. Each use reads the file from its start: iterate
    over it, or take a slice with a step.

    Attributes:
        path: written by `save_examples`.
        lines: number of lines in the file.
        skipped: numbers of the lines that do not belong to the set, from 0.
    """

    path: Path
    lines: int
    skipped: frozenset[int] = frozenset()

    def __len__(self) -> int:
        return self.lines - len(self.skipped)

    def __iter__(self) -> Iterator[Example]:
        count = 0
        for example in self._read():
            count += 1
            yield example
        if count != len(self):
            raise self._corrupt(DataError("lines are missing", self.path, count + 1))

    @overload
    def __getitem__(self, index: int) -> Example: ...

    @overload
    def __getitem__(self, index: slice) -> list[Example]: ...

    def __getitem__(self, index: int | slice) -> Example | list[Example]:
        if isinstance(index, slice):
            assert (index.start, index.stop) == (None, None), "the entire set, with a step"
            return list(self._read(index.step or 1))
        return next(islice(self._read(), range(len(self))[index], None))

    def _read(self, step: int = 1) -> Iterator[Example]:
        try:
            yield from iterate_examples(self.path, self.skipped, step)
        except DataError as error:
            raise self._corrupt(error) from error

    def _corrupt(self, error: DataError) -> DataError:
        return DataError(f"corrupt ({error}); delete this folder to regenerate it", self.path.parent)


def read_parallel(source: Path, references: Sequence[Path]) -> list[Example]:
    """Examples from plain text files with one sentence per line: a source file and one or more references.

    Raises:
        DataError: if the files differ in length, or a sentence has no reference.
    """
    columns = [
        [(clean(p.source), clean(p.target)) for p in side_by_side(source, file)] for file in references
    ]
    examples = []
    for number, rows in enumerate(zip(*columns, strict=True), 1):
        found = tuple(reference for _, reference in rows if reference)
        if not found:
            raise DataError("no reference for this sentence", source, number)
        examples.append(Example(rows[0][0], found, ("",) * len(found)))
    return examples


def export_text(splits: Mapping[str, Sequence[Example]], folder: Path) -> None:
    """Write the splits as plain text: `<split>.src`, `<split>.tgt`, and further references in
    `<split>.tgt.1`, `.2` …, with an empty line where a sentence has fewer references.
    """
    for split, examples in splits.items():
        for old_file in folder.glob(f"{split}.tgt.*"):  # from an earlier export with more references
            old_file.unlink()
        most = max(len(example.references) for example in examples)
        columns = {"src": 0} | {"tgt" if k == 0 else f"tgt.{k}": k + 1 for k in range(most)}
        for suffix, k in columns.items():
            with replacing(folder / f"{split}.{suffix}") as file:
                texts = ((example.source, *example.references) for example in examples)
                file.writelines((text[k] if k < len(text) else "") + "\n" for text in texts)
