"""Training pairs whose source is written as people type it (`data.input_variants`).

A corpus of edited sentences ends each of them with a mark and begins it with a capital letter. A model that
has seen nothing else translates "where is the station" far worse than "Where is the station?". So each pair
has a variant, which a hash of the pair decides:

    final mark     dropped in 5 of 8; in the translation too, unless it is a question mark there
                   after a space in 1 of 8
    letters        in lower case in 1 of 2
    apostrophes    typographic (’) in 1 of 4, dropped in 1 of 4
    commas         dropped in 1 of 2

The translation keeps its letters, apostrophes and commas: it is what people read. A question keeps its mark
there, as in many languages nothing else says that it is one. Capitals need no variant: a text in capitals is
read as a sentence (`nmt.data.target_languages.SourceEncoder`).
"""

import re
from collections.abc import Iterable, Iterator

import regex

from nmt.data.keys import text_key

VERSION = 1  # of the variants of the same pairs
_QUESTION_MARKS = "?？؟⁇⁈‽;"  # the last: U+003B, which the Greek one is in normal form
_FINAL_MARKS = regex.compile(rf"[\s…{_QUESTION_MARKS}\p{{Sentence_Terminal}}]+$")
_OPENING_MARK = re.compile("[¿¡](?=[^¿¡]*$)")
_APOSTROPHE = re.compile(r"(?<=\w)['’](?=\w)")
_COMMA = re.compile("[,،](?= )")


def input_variants(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """The variant of each pair, without those that are the pair itself.

    Args:
        pairs: source and target, cleaned.
    """
    for pair in pairs:
        variant = input_variant(*pair)
        if variant != pair:
            yield variant


def input_variant(source: str, target: str) -> tuple[str, str]:
    """The variant of a pair: a function of the pair alone."""
    draw = text_key(f"{source}\t{target}")
    draw, mark = divmod(draw, 8)
    draw, lower = divmod(draw, 2)
    draw, apostrophe = divmod(draw, 4)
    draw, comma = divmod(draw, 2)
    found = _FINAL_MARKS.search(source)
    if found and mark < 5:
        source, target = without_final_mark(source), _without_stop(target)
    elif found and mark == 5:
        source = f"{source[: found.start()]} {found[0].lstrip()}".lstrip()
    if lower:
        source = source.lower()
    if apostrophe < 2:
        source = _APOSTROPHE.sub("’" if apostrophe else "", source)
    return _COMMA.sub("", source) if comma else source, target


def without_final_mark(text: str) -> str:
    """A text without the marks (. ! ? । 。 …) at its end and a ¿ or ¡ that belongs to them; a text of marks
    only stays.
    """
    found = _FINAL_MARKS.search(text)
    if not found or not found.start():
        return text
    return _OPENING_MARK.sub("", text[: found.start()])


def _without_stop(text: str) -> str:
    """A text without its final marks, unless they say that it is a question."""
    found = _FINAL_MARKS.search(text)
    return text if found and set(found[0]) & set(_QUESTION_MARKS) else without_final_mark(text)
