"""Source sentences with their references, and the files that store them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nmt.data.sources.base import side_by_side
from nmt.data.text import clean
from nmt.errors import DataError
from nmt.files import write_text


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


def save_examples(path: Path, examples: Sequence[Example]) -> None:
    """Write examples as JSON Lines."""
    write_text(path, "".join(json.dumps(e._asdict(), ensure_ascii=False) + "\n" for e in examples))


def load_examples(path: Path) -> list[Example]:
    """Load the examples written by `save_examples`.

    Raises:
        DataError: if the file is missing or corrupt.
    """
    examples = []
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for line in file:
                row = json.loads(line)
                examples.append(Example(row["source"], tuple(row["references"]), tuple(row["alignments"])))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError("missing or corrupt", path, len(examples) + 1) from error
    return examples


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


def export_text(parts: Mapping[str, Sequence[Example]], folder: Path) -> None:
    """Write the splits as plain text: `<part>.src`, `<part>.tgt`, and further references in
    `<part>.tgt.1`, `.2` …, with an empty line where a sentence has fewer references.
    """
    for part, examples in parts.items():
        for stale in folder.glob(f"{part}.tgt.*"):  # from an earlier export with more references
            stale.unlink()
        most = max(len(example.references) for example in examples)
        columns = {"src": [example.source for example in examples]}
        for k in range(most):
            name = "tgt" if k == 0 else f"tgt.{k}"
            columns[name] = [e.references[k] if k < len(e.references) else "" for e in examples]
        for suffix, lines in columns.items():
            write_text(folder / f"{part}.{suffix}", "".join(line + "\n" for line in lines))
