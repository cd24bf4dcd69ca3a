"""Self-contained HTML page: scores, curves, and sentences with interactive alignments.

All data is embedded as JSON and inserted into the page as text, so a sentence that contains `<script>` is
harmless.
"""

import json
import string
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import NotRequired, TypedDict

from nmt.visualisation.webfont import font_face


class Sentence(TypedDict):
    """A row of the page. S and T are the numbers of source and target words.

    `weights` is [T, S], rounded; `low` has the indices of source words that received almost no
    attention. A model without attention has neither.
    """

    source: str
    translation: str
    source_words: Sequence[str]
    target_words: Sequence[str]
    log_probability: float
    weights: NotRequired[list[list[float]]]
    low: NotRequired[list[int]]
    score: NotRequired[float]
    references: NotRequired[Sequence[str]]


class Curve(TypedDict):
    """A curve of a small chart; None values are gaps."""

    name: str
    steps: Sequence[int]
    values: Sequence[float | None]


class Range(TypedDict):
    """The scores of the sentences in a range; `few`: too few for BLEU to mean much."""

    label: str
    sentences: int
    bleu: float
    chrf: float
    few: bool


class Group(TypedDict):
    """Sentences in ranges of a property, which `by` names: a chart and a table; without ranges, nothing."""

    by: str
    ranges: Sequence[Range]


def render_page(
    title: str,
    sentences: Sequence[Sentence],
    *,
    subtitle: str = "",
    scores: Sequence[Mapping[str, str]] = (),
    notes: Sequence[str] = (),
    curves: Sequence[Curve] = (),
    groups: Sequence[Group] = (),
    tables: Mapping[str, Sequence[tuple[str, str]]] | None = None,
) -> str:
    """Render the page.

    Args:
        title: heading.
        sentences: rows, in order.
        subtitle: a line below the heading.
        scores: rows of the first table: name, value, signature.
        notes: lines below the scores.
        curves: one chart each.
        groups: BLEU and chrF2 by ranges of a property.
        tables: collapsed at the end, by heading: rows of name and value.
    """
    data = {
        "subtitle": subtitle,
        "scores": list(scores),
        "notes": list(notes),
        "curves": list(curves),
        "groups": [group for group in groups if group["ranges"]],
        "sentences": list(sentences),
        "tables": {name: list(rows) for name, rows in (tables or {}).items()},
    }
    # Within <script> only "</" and "<!--" are special, so every "<" is escaped.
    text = json.dumps(data, ensure_ascii=False, allow_nan=False).replace("<", "\\u003c")
    escaped = title.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    style = font_face([text]) + "\n" + _static_file("page.css")
    parts = {"style": style, "script": _static_file("page.js"), "data": text, "title": escaped}
    return string.Template(_static_file("page.html")).substitute(parts)


def _static_file(name: str) -> str:
    return (resources.files("nmt.visualisation") / "static" / name).read_text(encoding="utf-8")
