"""Source sentences with their references, and the files that store them."""

import json
from collections.abc import Callable, Collection, Generator, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from json.encoder import encode_basestring
from pathlib import Path
from typing import NamedTuple, TypeVar, overload

from nmt.data.sources.source import side_by_side
from nmt.data.text import clean
from nmt.data.workers import in_order
from nmt.errors import DataError
from nmt.files import replacing

Result = TypeVar("Result")
CHUNK = 1 << 20  # bytes of the file of a training set that are worked on at a time


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


def to_line(example: Example) -> str:
    """An example as a line of JSON, as `json.dumps` with `ensure_ascii=False` writes it."""
    references, alignments = (
        ", ".join(map(encode_basestring, texts)) for texts in (example.references, example.alignments)
    )
    source = encode_basestring(example.source)
    return f'{{"source": {source}, "references": [{references}], "alignments": [{alignments}]}}\n'


def from_line(line: str) -> Example:
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
        with path.open("rb") as file:
            for number, line in enumerate(file):
                if number not in skipped:
                    if position % step == 0:
                        yield from_line(line.decode())
                    position += 1
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError("missing or corrupt", path, number + 1) from error


class _LineRange(NamedTuple):
    """Consecutive lines of a file.

    Attributes:
        start, size: their position in bytes.
        first: the number of the first, from 0.
    """

    start: int
    size: int
    first: int


def _line_ranges(path: Path, size: int) -> Iterator[_LineRange]:
    """A file in ranges of some `size` bytes."""
    start = first = 0
    try:
        with path.open("rb") as file:
            while block := file.read(size) + file.readline():
                yield _LineRange(start, len(block), first)
                start, first = start + len(block), first + block.count(b"\n")
    except OSError as error:
        raise DataError("missing or corrupt", path, first + 1) from error


class Numbered(NamedTuple):
    """Consecutive examples, with the number of the first among all, from 0; skipped ones count."""

    first: int
    examples: list[Example]


def _of_range(
    function: Callable[[Numbered], Result], path: Path, skipped: Collection[int], lines: _LineRange
) -> tuple[int, Result]:
    """The number of examples in a range of lines, and the function of them."""
    number = lines.first
    try:
        with path.open("rb") as file:
            file.seek(lines.start)
            texts = file.read(lines.size).decode().removesuffix("\n").split("\n")
        examples = []
        for number, text in enumerate(texts, lines.first):
            if number not in skipped:
                examples.append(from_line(text))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError("missing or corrupt", path, number + 1) from error
    return len(examples), function(Numbered(lines.first, examples))


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
        self._check(count)

    def sampled(self, step: int) -> Iterator[Example]:
        """Every `step`-th example."""
        return iter(self) if step == 1 else self._read(step)

    def map_chunks(
        self, function: Callable[[Numbered], Result], workers: int | None, size: int = CHUNK
    ) -> Generator[Result]:
        """The results of `function` for chunks of consecutive examples, in order.

        Args:
            function, workers: as in `in_order`.
            size: of a chunk, in bytes of the file.

        Raises:
            DataError: while iterating, if the file is missing or corrupt.
        """
        count = 0
        try:
            of_range = partial(_of_range, function, self.path, self.skipped)
            for examples, result in in_order(of_range, _line_ranges(self.path, size), workers):
                count += examples
                yield result
        except DataError as error:
            raise self._corrupt(error) from error
        self._check(count)

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

    def _check(self, count: int) -> None:
        if count != len(self):
            raise self._corrupt(DataError("lines are missing", self.path, count + 1))

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
