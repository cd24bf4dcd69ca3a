"""From what the search found for each segment of a document to one translation of it.

Shapes: T target and S source subwords of a segment, both with end-of-sentence; Tw target and Sw source words.
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from nmt.alignment.words import merge_to_words, piece_groups
from nmt.data.text import CharSpan, word_spans
from nmt.decoding.result import Translation as Found
from nmt.evaluation.confidence import Calibration
from nmt.library.flags import is_copy, is_repetitive
from nmt.library.segments import Document, Segment, positions
from nmt.library.translated import COPY, REPETITION, SPLIT, TRUNCATED, Token, Translation, Word

Matrix = NDArray[np.float32]


class _Choice(NamedTuple):
    """A hypothesis of a segment, after some for the segments before.

    Attributes:
        total: the sum of their scores.
        before: the place of these among the best combinations for the segments before.
        chosen: the place of the hypothesis among those of its segment.
    """

    total: float
    before: int
    chosen: int


def assemble(
    document: Document, found: Sequence[Sequence[Found]], nbest: int, calibrations: Sequence[Calibration]
) -> Translation:
    """The translation of a document, with the others of the `nbest` best as its alternatives.

    Args:
        document: the text.
        found: the hypotheses of each of its segments, best first.
        nbest: how many to return, at most.
        calibrations: for the confidence, of each system.
    """
    best, *others = [
        _assemble_one(document, chosen, calibrations) for chosen in best_combinations(found, nbest)
    ]
    return replace(best, alternatives=tuple(others)) if others else best


def best_combinations(found: Sequence[Sequence[Found]], nbest: int) -> list[tuple[Found, ...]]:
    """The `nbest` best ways to choose a hypothesis for each segment, by the sum of their scores; those of
    hypotheses that are behind others although their score is higher (truncated ones) count as the others'.
    """
    steps: list[list[_Choice]] = []
    combined = [_Choice(0.0, 0, 0)]
    for hypotheses in found:
        ranked = [*accumulate((one.score for one in hypotheses), min)]
        longer = [
            _Choice(before.total + score, place, index)
            for place, before in enumerate(combined)
            for index, score in enumerate(ranked)
        ]
        combined = sorted(longer, key=lambda choice: -choice.total)[:nbest]
        steps.append(combined)
    return [_chosen(found, steps, place) for place in range(len(combined))]


def _chosen(
    found: Sequence[Sequence[Found]], steps: Sequence[Sequence[_Choice]], place: int
) -> tuple[Found, ...]:
    """The hypotheses of a combination, from its place in the last step back."""
    chosen = []
    for hypotheses, step in zip(reversed(found), reversed(steps), strict=True):
        chosen.append(hypotheses[step[place].chosen])
        place = step[place].before
    return tuple(reversed(chosen))


def _assemble_one(
    document: Document, found: Sequence[Found], calibrations: Sequence[Calibration]
) -> Translation:
    text, tokens, words, source_words = "", [], [], []
    matrices: list[Matrix] = []
    rated: list[tuple[float, int]] = []  # confidence and number of tokens of each segment
    for part, one in zip(document.segments, found, strict=True):
        text += part.before
        of_part, calibration = _Part(part, one, document.text), calibrations[one.system]
        tokens += of_part.tokens(len(text))
        words += of_part.words(len(text), calibration)
        source_words += of_part.source_words()
        if one.has_attention:
            matrices.append(of_part.attention())
        rated.append((of_part.confidence(calibration), len(one.target.ids) + 1))
        text += one.text
    attention = _block_diagonal(matrices) if matrices and len(matrices) == len(found) else None
    weight = sum(count for _, count in rated)
    return Translation(
        source=document.text,
        text=text + document.after,
        score=sum(one.score for one in found),
        log_probability=sum(one.log_probability for one in found),
        tokens=tuple(tokens),
        words=tuple(words),
        source_words=tuple(source_words),
        attention=attention,
        coverage=None if attention is None else tuple(attention.sum(axis=0).tolist()),
        confidence=sum(value * count for value, count in rated) / weight if weight else 1.0,
        flags=_flags(document, found),
        segments=tuple(found),
    )


def _flags(document: Document, found: Sequence[Found]) -> tuple[str, ...]:
    holds = {
        TRUNCATED: not all(one.finished for one in found),
        SPLIT: document.split,
        REPETITION: any(is_repetitive(one.source.text, one.text) for one in found),
        COPY: any(is_copy(one.source.text, one.text) for one in found),
    }
    return tuple(flag for flag, held in holds.items() if held)


class _Part:
    """A segment and its translation."""

    def __init__(self, part: Segment, found: Found, document: str) -> None:
        self._part, self._found = part, found
        self._document = document
        self._text = found.text
        target = found.target
        if target.text == self._text:
            self._offsets = target.offsets
        else:
            origins = positions(target.text, self._text)
            last = len(self._text)
            self._offsets = [
                CharSpan(*(min(bisect_left(origins, at), last) for at in span)) for span in target.offsets
            ]
        self._spans = word_spans(self._text)
        self._groups = piece_groups(self._offsets, self._spans)

    def tokens(self, shift: int) -> list[Token]:
        """With offsets in a text in which the segment begins at `shift`."""
        target = self._found.target
        logs = self._found.log_probabilities
        return [
            Token(piece, start + shift, end + shift, log)
            for piece, (start, end), log in zip(target.pieces, self._offsets, logs, strict=False)
        ]

    def words(self, shift: int, calibration: Calibration) -> list[Word]:
        """Likewise."""
        logs = self._found.log_probabilities
        confidences = calibration.word.of_each([sum([logs[i] for i in pieces]) for pieces in self._groups])
        return [
            Word(self._text[start:end], start + shift, end + shift, confidence)
            for (start, end), confidence in zip(self._spans, confidences, strict=True)
        ]

    def source_words(self) -> list[Word]:
        """With offsets in the document."""
        part = self._part
        original = self._document[part.start : part.end]
        origins = positions(original, part.text)
        return [
            Word(part.text[start:end], part.start + origins[start], part.start + origins[end])
            for start, end in word_spans(part.text)
        ]

    def attention(self) -> Matrix:
        """[Tw, Sw]"""
        source = self._found.source
        columns = piece_groups(source.offsets, word_spans(source.text))
        weights: Matrix = merge_to_words(self._found.mean_attention, columns, self._groups)
        return weights

    def confidence(self, calibration: Calibration) -> float:
        """Of the segment."""
        length = len(self._found.log_probabilities)
        return calibration.sentence(self._found.log_probability / max(length, 1))


def _block_diagonal(matrices: Sequence[Matrix]) -> Matrix:
    if len(matrices) == 1:
        return matrices[0]
    whole = np.zeros(np.sum([matrix.shape for matrix in matrices], axis=0), np.float32)
    row = column = 0
    for matrix in matrices:
        rows, columns = matrix.shape
        whole[row : row + rows, column : column + columns] = matrix
        row, column = row + rows, column + columns
    return whole
