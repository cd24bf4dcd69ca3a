"""A translation: its text and subwords, its score, and its attention between subwords and between words.

Shapes: K heads, S source subwords and T target subwords, both including end-of-sentence as the last one.
"""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.alignment.words import Link, argmax_links, merge_to_words, piece_groups, shift_rows, threshold_links
from nmt.data.text import clean, word_spans
from nmt.data.tokenizer import EOS_PIECE, Tokens


@dataclass(frozen=True)
class Translation:
    """A source sentence, its translation, and the attention weights if they were asked for.

    Attributes:
        source, target: text, subwords and their offsets.
        log_probability: natural logarithm, summed over the subwords, end-of-sentence included.
        score: score used for ranking.
        attention: attention of each head, [K, T, S], float32; K is 0 if the model has none. The last column
            is the source's end-of-sentence; the last row is the translation's, if it is finished. None if
            it was not asked for; then `mean_attention`, `links` and `words` cannot be used.
        finished: False if it was truncated at the length limit.
        log_probabilities: of each subword, end-of-sentence included if finished.
        system: of several that were asked, the number of the one whose translation it is.
    """

    source: Tokens
    target: Tokens
    log_probability: float
    score: float
    attention: NDArray[np.float32] | None
    finished: bool
    log_probabilities: list[float]
    system: int = 0

    @property
    def has_attention(self) -> bool:
        """Whether it was asked for, and the model has it."""
        return self.attention is not None and len(self.attention) > 0

    @property
    def mean_attention(self) -> NDArray[np.float32]:
        """Attention averaged over the heads, [T, S]; zeros if the model has none."""
        assert self.attention is not None, "translated without attention=True"
        K = len(self.attention)
        total: NDArray[np.float32] = self.attention.sum(axis=0)
        return total / np.float32(K) if K > 1 else total

    @cached_property
    def text(self) -> str:
        """The translation as one line of cleaned text."""
        return clean(self.target.text)

    def source_pieces(self) -> list[str]:
        """Labels of the columns of `attention`."""
        return [*self.source.pieces, EOS_PIECE]

    def target_pieces(self) -> list[str]:
        """Labels of the rows of `attention`."""
        return [*self.target.pieces, *([EOS_PIECE] if self.finished else [])]

    def links(self, shift: int = 0, threshold: float | None = None) -> frozenset[Link]:
        """Alignment links between words, without end-of-sentence: for each target word the source word it
        attends to most, or all source words with an attention weight of at least `threshold`.

        Args:
            shift: use the attention this many steps after the step that generates a subword (see
                `shift_rows`).
            threshold: None: the best source word of each target word.
        """
        weights = self.words(shift)[0][: len(word_spans(self.target.text)), :-1]
        return argmax_links(weights) if threshold is None else threshold_links(weights, threshold)

    def words(self, shift: int = 0) -> tuple[NDArray[np.floating[Any]], list[str], list[str]]:
        """Word-level attention, and the source and target words; end-of-sentence counts as the last word.

        Rows are averaged over a word's subwords, columns summed (see `merge_to_words`).

        Args:
            shift: as for `links`.
        """
        columns, source_words = _word_groups(self.source, ends=True)
        rows, target_words = _word_groups(self.target, ends=self.finished)
        return (
            merge_to_words(shift_rows(self.mean_attention, shift), columns, rows),
            source_words,
            target_words,
        )


def _word_groups(tokens: Tokens, ends: bool) -> tuple[list[list[int]], list[str]]:
    """The subwords of each word, and the words; if `ends`, end-of-sentence is added as a word."""
    spans = word_spans(tokens.text)
    groups = piece_groups(tokens.offsets, spans)
    names = [tokens.text[start:end] for start, end in spans]
    if ends:
        groups, names = [*groups, [len(tokens.ids)]], [*names, EOS_PIECE]
    return groups, names
