"""The Pharaoh format of word alignments: `source-target` links, separated by spaces."""

import re
from collections.abc import Iterable
from pathlib import Path

from nmt.alignment.words import Link
from nmt.errors import DataError

_LINK = re.compile(r"([0-9]+)-([0-9]+)")


def parse_pharaoh(text: str, path: Path | str | None = None, line: int | None = None) -> frozenset[Link]:
    """Parse links in the Pharaoh format: "0-0 1-2" is {(0, 0), (1, 2)}; an empty text has no links.

    Raises:
        DataError: for anything that is not `source-target`, with `path` and `line` if given.
    """
    links = set()
    for item in text.split():
        match = _LINK.fullmatch(item)
        if match is None:
            raise DataError(
                f"{item!r} is not a link; write source-target, counted from 0, such as 0-0 1-2", path, line
            )
        links.add((int(match[1]), int(match[2])))
    return frozenset(links)


def outside(links: Iterable[Link], source_words: int, target_words: int) -> Link | None:
    """The smallest link that is out of range for sentences of these lengths (in words), or None."""
    return min(((s, t) for s, t in links if s >= source_words or t >= target_words), default=None)


def counts_from_one(file: Iterable[Iterable[Link]]) -> bool:
    """Whether no link in the file contains a 0, which suggests that it counts from 1."""
    return not any(0 in link for links in file for link in links)


def outside_error(
    link: Link, sizes: tuple[int, int], from_one: bool, path: Path | str | None, line: int | None
) -> DataError:
    """The error to raise for a link that is out of range.

    Args:
        link: from `outside`.
        sizes: number of source and target words.
        from_one: result of `counts_from_one` for the file.
        path: the file.
        line: the line of the link, from 1.
    """
    fits = from_one and link[0] <= sizes[0] and link[1] <= sizes[1]  # in range if counted from 1
    hint = "; this file seems to count from 1" if fits else ""
    return DataError(
        f"link {link[0]}-{link[1]} is out of range: the sentences have {sizes[0]} and {sizes[1]} words; "
        f"links are counted from 0{hint}",
        path,
        line,
    )


def format_pharaoh(links: Iterable[Link]) -> str:
    """Write links in the Pharaoh format, in ascending order: {(1, 2), (0, 0)} is "0-0 1-2"."""
    return " ".join(f"{source}-{target}" for source, target in sorted(links))
