"""Gold word alignments of a test set: sure and possible links."""

from collections.abc import Iterable, Sequence
from pathlib import Path

from nmt.alignment.pharaoh import counts_from_one, outside, outside_error, parse_pharaoh
from nmt.alignment.words import Link
from nmt.data.lines import file_lines
from nmt.errors import DataError


def read_gold(path: Path) -> tuple[list[frozenset[Link]], list[frozenset[Link]]]:
    """Read gold alignments, one line per sentence pair: `1-2` is a sure link, `1?2` a possible one.

    Returns:
        The sure links and the additional possible links of each pair.

    Raises:
        DataError: for a malformed link, with file and line.
    """
    sure, possible = [], []
    for number, line in file_lines(path):
        unsure = [item for item in line.split() if "?" in item]
        certain = [item for item in line.split() if "?" not in item]
        sure.append(parse_pharaoh(" ".join(certain), path, number))
        possible.append(parse_pharaoh(" ".join(unsure).replace("?", "-"), path, number))
    return sure, possible


def check_gold(path: Path, gold: Sequence[Iterable[Link]], sizes: Sequence[tuple[int, int]]) -> None:
    """Check that gold alignments match their sentences.

    Args:
        path: the file, for error messages.
        gold: the links of each line.
        sizes: number of source and target words of each sentence pair.

    Raises:
        DataError: if the number of lines differs from the number of pairs, or a link is out of range.
    """
    if len(gold) != len(sizes):
        raise DataError(f"{len(gold)} lines, but {len(sizes)} sentence pairs; give one line per pair", path)
    for number, (links, size) in enumerate(zip(gold, sizes, strict=True), 1):
        link = outside(links, *size)
        if link is not None:
            raise outside_error(link, size, counts_from_one(gold), path, number)
