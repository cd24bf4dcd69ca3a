"""New training pairs for names: each takes the place of another name of a list, in both sentences of a pair.

A place is where a sentence has a name of the list once, and its translation one word that begins with the
translation of that name; on one side at least, the word is the name. What follows on the other, such as a
case ending (टॉम|ने), stays. So no alignment is needed. Nothing is random.
"""

import unicodedata
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from nmt.data.lines import file_lines
from nmt.data.text import CharSpan, clean, word_spans
from nmt.errors import DataError

_GOLDEN = 0.6180339887498949  # its multiples are spread evenly over the unit interval (Weyl)


class Name(NamedTuple):
    """An entry of a list.

    Attributes:
        source, target: the name in both languages.
        kind: only names of the same kind take each other's places, such as those of women.
    """

    source: str
    target: str
    kind: str


class _Place(NamedTuple):
    """Where a pair has a name: its number, the name, and the characters of it on either side."""

    pair: int
    name: Name
    source: CharSpan
    target: CharSpan


def read_names(path: Path, swap: bool = False) -> list[Name]:
    """The names of a file: name, tab, its translation and, if there are several kinds, a tab and the kind.
    Lines that begin with # are comments.

    Args:
        path: the file.
        swap: whether the translation is the source.

    Raises:
        DataError: with file and line, for a name without a translation, or if there are none.
    """
    names: dict[Name, None] = {}
    for number, line in file_lines(path):
        if not line.strip() or line.startswith("#"):
            continue
        first, second, *rest = [*map(clean, line.split("\t")), ""]
        if not first or not second:
            raise DataError("no name, tab and translation", path, number)
        source, target = (second, first) if swap else (first, second)
        names[Name(source, target, rest[0] if len(rest) > 1 else "")] = None
    if not names:
        raise DataError("contains no names", path)
    return list(names)


def name_pairs(
    pairs: Sequence[tuple[str, str]], names: Sequence[Name], per_name: int, some: bool = False
) -> list[tuple[str, str]]:
    """New sentence pairs with the names of a list, in its order.

    Args:
        pairs: cleaned sentence pairs.
        names: some of them must be in the pairs: the others take their places.
        per_name: at most so many for each name; fewer where there are not enough places.
        some: leave out the names of a kind for which there is no place.

    Raises:
        DataError: if there is no place for the names of a kind, without `some`.
    """
    places = defaultdict[str, list[_Place]](list)
    for place in _places(pairs, names):
        places[place.name.kind].append(place)
    known, made = {source for source, _ in pairs}, list[tuple[str, str]]()
    counts = defaultdict[str, int](int)
    for name in names:
        free = places[name.kind]
        if not free and some:
            continue
        if not free:
            what = f"names of the kind {name.kind}" if name.kind else "its names"
            raise DataError(
                f"none of {what} is in a training pair with its translation; add some that are: the others "
                "take their places"
            )
        for _ in range(per_name):
            counts[name.kind] += 1
            place = free[int(len(free) * (counts[name.kind] * _GOLDEN % 1))]
            source, target = pairs[place.pair]
            new = _with(source, place.source, name.source), _with(target, place.target, name.target)
            if new[0] not in known:
                known.add(new[0])
                made.append(new)
    return made


def _places(pairs: Sequence[tuple[str, str]], names: Sequence[Name]) -> Iterator[_Place]:
    by_source = defaultdict[str, list[Name]](list)
    for name in names:
        by_source[name.source].append(name)
    longest = max(map(len, by_source))
    for number, (source, target) in enumerate(pairs):
        spans = list(_names_in(source, by_source, longest))
        found = Counter(source[slice(*span)] for span in spans)
        words = [word.start for word in word_spans(target)] if spans else []
        for span in spans:
            for name in by_source[source[slice(*span)]]:
                starts = [start for start in words if target.startswith(name.target, start)]
                there = [CharSpan(start, start + len(name.target)) for start in starts]
                ends = {_next(source, span), *(_next(target, other) for other in there)}
                once = found[name.source] == len(there) == 1
                if once and "M" not in ends and ends - {"L", "N"}:
                    yield _Place(number, name, span, there[0])


def _names_in(text: str, names: Mapping[str, object], longest: int) -> Iterator[CharSpan]:
    """The words of a text that begin with a name, as far as they are it."""
    for word in word_spans(text):
        ends = range(min(word.end, word.start + longest), word.start, -1)
        end = next((end for end in ends if text[word.start : end] in names), None)
        if end is not None:
            yield CharSpan(word.start, end)


def _next(text: str, span: CharSpan) -> str:
    """The category of the character that follows: L or N in an ending, M if it changes the last letter."""
    return unicodedata.category(text[span.end])[0] if span.end < len(text) else ""


def _with(text: str, span: CharSpan, name: str) -> str:
    return text[: span.start] + name + text[span.end :]
