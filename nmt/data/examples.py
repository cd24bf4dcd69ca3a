"""Sentences with their translations, and the files that hold them."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nmt.data.sources import side_by_side
from nmt.data.text import clean
from nmt.errors import DataError
from nmt.files import write_text


class Example(NamedTuple):
    """A source sentence and its translations: one in training, all of them in development and test.

    Attributes:
        source: cleaned.
        references: cleaned, at least one.
        alignments: gold word alignment (Pharaoh) of each reference, or "" where there is none.
    """

    source: str
    references: tuple[str, ...]
    alignments: tuple[str, ...]


def save_examples(path: Path, examples: Sequence[Example]) -> None:
    """Write examples as JSON Lines."""
    write_text(path, "".join(json.dumps(e._asdict(), ensure_ascii=False) + "\n" for e in examples))


def load_examples(path: Path) -> list[Example]:
    """Read what `save_examples` wrote.

    Raises:
        DataError: when the file is missing or damaged.
    """
    examples = []
    try:
        with path.open(encoding="utf-8", newline="\n") as file:
            for line in file:
                row = json.loads(line)
                examples.append(Example(row["source"], tuple(row["references"]), tuple(row["alignments"])))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError("missing or damaged", path, len(examples) + 1) from error
    return examples


def read_parallel(source: Path, references: Sequence[Path]) -> list[Example]:
    """Examples from files of one sentence a line: a source and one or more references of each.

    Raises:
        DataError: for sides of different length, or a sentence without any reference.
    """
    columns = [
        [(clean(p.source), clean(p.target)) for p in side_by_side(source, file)] for file in references
    ]
    examples = []
    for number, rows in enumerate(zip(*columns, strict=True), 1):
        found = tuple(reference for _, reference in rows if reference)
        if not found:
            raise DataError("no reference for it", source, number)
        examples.append(Example(rows[0][0], found, ("",) * len(found)))
    return examples


def export_text(parts: Mapping[str, Sequence[Example]], folder: Path) -> None:
    """Write the parts as plain text: `<part>.src`, `<part>.tgt`, and further references in
    `<part>.tgt.1`, `.2` …, where a sentence without that many has an empty line.
    """
    for part, examples in parts.items():
        for stale in folder.glob(f"{part}.tgt.*"):  # of an earlier export with more references
            stale.unlink()
        most = max(len(example.references) for example in examples)
        columns = {"src": [example.source for example in examples]}
        for k in range(most):
            name = "tgt" if k == 0 else f"tgt.{k}"
            columns[name] = [e.references[k] if k < len(e.references) else "" for e in examples]
        for suffix, lines in columns.items():
            write_text(folder / f"{part}.{suffix}", "".join(line + "\n" for line in lines))
