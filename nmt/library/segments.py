"""A document as segments to translate: one per line, and one per sentence where a line is longer than the
model's limit; with the white space around them, which the translation keeps.

A line ends at U+000A, with a U+000D before it or not. Where white space is kept, the other characters at
which Unicode or Python separate lines become spaces, so that a translation has as many lines as its source
whoever counts them.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import chain

from nmt.data.text import JOINERS, CharSpan, clean, is_mark
from nmt.data.tokenizer import Tokenizer

_LINE_END = re.compile(r"\r?\n")
_OTHER_LINE_ENDS = re.compile("[\r\v\f\x1c-\x1e\x85\u2028\u2029]")
_SENTENCE_END = re.compile(
    "(?<![.!?…।॥؟۔])[.!?…।॥؟۔]++[\"'”’»)\\]]*+(?=\\s)|[。！？]+[」』”）]*"  # linear, whatever the text
)
_SURROGATE = re.compile("[\ud800-\udfff]")  # half of a pair is no character, and no UTF-8
_LONGEST = 16  # characters of a subword
_GAP = 64  # characters, in which what follows a sentence begins
_LAST_WORD = 16  # characters; longer than all abbreviations
_MARKS = 16  # of a character; more than any language has
_CLAUSE_END = ",;:،、，；：–—"
_ABBREVIATION = re.compile(r"(?:^|[\s(])(?:[^\W\d_]|Mr|Mrs|Ms|Dr|Prof|St|Jr|Sr|vs|etc|No|[ei]\.[eg])\.$")


@dataclass(frozen=True)
class Segment:
    """What is translated at once.

    Attributes:
        start, end: its characters [start, end) of the document, without white space at the ends.
        text: them, cleaned.
        before: the white space between the segment before and this one, as the translation has it.
    """

    start: int
    end: int
    text: str
    before: str


@dataclass(frozen=True)
class Document:
    """A text to translate.

    Attributes:
        text: as it was given.
        segments: what there is to translate, in order; none if the text is blank.
        after: the white space after the last one.
        split: whether a line was longer than the limit.
    """

    text: str
    segments: tuple[Segment, ...]
    after: str
    split: bool


def segment(text: str, tokenizer: Tokenizer, limit: int) -> Document:
    """Split a document into segments of at most `limit` subwords (one or two more where a word is split).

    Args:
        text: any text.
        tokenizer: of the source.
        limit: of a line that stays whole; a longer one is split at the ends of its sentences, and a longer
            sentence at the last punctuation mark, space, or else character within the limit.
    """
    original, text = text, _SURROGATE.sub("\ufffd", text)
    spans: list[tuple[int, int, str]] = []
    split = False
    for start, end in _lines(text):
        line = clean(text[start:end])
        if not line:
            continue
        if not _is_longer(line, tokenizer, limit):
            spans.append((start, end, line))
            continue
        split = True
        for from_, to in _sentences(text, start, end):
            spans += [(*part, clean(text[slice(*part)])) for part in _cut(text, from_, to, tokenizer, limit)]
    segments, position = [], 0
    for start, end, cleaned in spans:
        start, end = _stripped(text, start, end)
        if cleaned:
            segments.append(Segment(start, end, cleaned, _white_space(text[position:start])))
            position = end
    return Document(original, tuple(segments), _white_space(text[position:]), split)


def sentence_end(text: str) -> int:
    """Where the first sentence of a text ends, if another one, or white space, follows; -1: it does not."""
    ends = (match.end() for match in _SENTENCE_END.finditer(text))
    return next((stop for stop in ends if _ends_sentence(text, 0, stop, len(text))), -1)


def _ends_sentence(text: str, start: int, stop: int, end: int) -> bool:
    """Whether the sentence text[start:stop] of a line text[:end] ends where a mark says so."""
    rest = text[stop : min(end, stop + _GAP)]
    last = text[max(start, stop - _LAST_WORD) : stop]
    return not rest.lstrip()[:1].islower() and not _ABBREVIATION.search(last)


def _lines(text: str) -> Iterator[tuple[int, int]]:
    position = 0
    for match in _LINE_END.finditer(text):
        yield position, match.start()
        position = match.end()
    yield position, len(text)


def _is_longer(line: str, tokenizer: Tokenizer, limit: int) -> bool:
    # A character is at most four subwords, its bytes, and a space of its own.
    return 5 * len(line) > limit and len(tokenizer.encode(line)) > limit


def _sentences(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    position = start
    for match in _SENTENCE_END.finditer(text, start, end):
        if _ends_sentence(text, position, match.end(), end):
            yield position, match.end()
            position = match.end()
    yield position, end


def _cut(text: str, start: int, end: int, tokenizer: Tokenizer, limit: int) -> Iterator[tuple[int, int]]:
    """Cut a sentence into parts of about `limit` subwords, at characters [start, end) of the text."""
    while True:
        start, end = _stripped(text, start, end)
        window, offsets = _window(text, start, end, tokenizer, limit)
        if len(offsets) <= limit:
            yield start, window
            start = window
        else:
            reach = start + offsets[limit].start  # in cleaned text, which is rarely longer
            cut = _place(text, start, min(max(reach, start + 1), window), window)
            yield start, cut
            start = cut
        if start >= end:
            return


def _window(text: str, start: int, end: int, tokenizer: Tokenizer, limit: int) -> tuple[int, list[CharSpan]]:
    """Where to stop looking at a sentence, and the subwords up to there, cleaned: more than twice `limit`, so
    that the end does not change the first ones, or what characters of text have, unless they are longer.
    """
    characters = max(1, limit // 2)
    while True:
        window = min(end, start + characters)
        offsets = tokenizer.encode_with_offsets(clean(text[start:window])).offsets
        if len(offsets) > 2 * limit or window == end or characters >= _LONGEST * limit:
            return window, offsets
        characters *= 2


def _place(text: str, start: int, reach: int, end: int) -> int:
    """Where to cut [start, reach]: after the last punctuation mark of the second half, else at the last
    space, else before the last character that is not a mark of the one before, or the first one after it.
    """
    for position in range(reach, (start + reach) // 2, -1):
        if text[position - 1] in _CLAUSE_END and text[position : position + 1].isspace():
            return position
    for position in range(reach, start, -1):
        if text[position : position + 1].isspace():
            return position
    for position in chain(range(reach, start, -1), range(reach + 1, min(reach + _MARKS, end))):
        if position == len(text) or not _continues(text[position]):
            return position
    return reach


def _continues(character: str) -> bool:
    return character in JOINERS or is_mark(character)


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    """Characters [start, end) without white space at the ends."""
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end


def _white_space(gap: str) -> str:
    """The white space of what stands between segments: the rest of it is invisible."""
    if gap in ("", "\n"):
        return gap
    kept = "".join(character for character in gap if character.isspace())
    return "".join(
        part if _LINE_END.fullmatch(part) else _OTHER_LINE_ENDS.sub(" ", part)
        for part in re.split(r"(\r?\n)", kept)
    )


def positions(original: str, cleaned: str) -> list[int]:
    """For each position of a cleaned text, ends included, the position in the original that it is from.

    Args:
        original: a text.
        cleaned: what `clean` makes of it.
    """
    if original == cleaned:
        return list(range(len(original) + 1))
    found: list[int] = []
    end = 0
    for match in re.finditer(r"\S+", original):
        word = clean(match[0])
        if word:
            found += [end] if found else []  # the space before it
            found += _within(match[0], word, match.start())
            end = match.end()
    return [*found, end]


def _within(original: str, cleaned: str, start: int) -> list[int]:
    """The positions of a word's characters; of one that normalisation changes, by its longer and longer
    beginnings.
    """
    if original == cleaned:
        return list(range(start, start + len(original)))
    ends = [len(clean(original[:count])) for count in range(min(len(original), _LONGEST_WORD) + 1)]
    found, position = [], 0
    for index in range(len(cleaned)):
        while position + 1 < len(ends) and ends[position + 1] <= index:
            position += 1
        found.append(start + position)
    return found


_LONGEST_WORD = 200  # of longer ones, later positions are approximate
