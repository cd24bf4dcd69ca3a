"""A translation as the library returns it: text, tokens, words, attention, confidence, alternatives.

Shapes: Tw target words, Sw source words (see `nmt.data.text.word_spans`), without end-of-sentence.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.decoding.result import Translation as Found
from nmt.library.beam_tree import TreeNode

TRUNCATED, SPLIT, REPETITION, COPY = "truncated", "split", "repetition", "copy"
FLAGS = {
    TRUNCATED: "the translation was truncated at the length limit",
    SPLIT: "longer than what the model knows, so it was translated in parts",
    REPETITION: "the translation repeats itself; the model may have been caught in a loop",
    COPY: "the translation is a copy of the source",
}
"""What can be remarkable about a translation, and how it is said."""


@dataclass(frozen=True)
class Token:
    """A subword of a translation.

    Attributes:
        piece: in SentencePiece's notation, `▁` for a space.
        start, end: the characters [start, end) of the translation's text that it covers.
        log_probability: given the tokens before it, natural logarithm.
    """

    piece: str
    start: int
    end: int
    log_probability: float

    def to_dict(self) -> dict[str, Any]:
        """As values that JSON can express."""
        return vars(self).copy()


@dataclass(frozen=True)
class Word:
    """A word, or a punctuation mark, of a text.

    Attributes:
        text: the word.
        start, end: its characters [start, end) of the text that it is in.
        confidence: of a word of a translation, the estimated probability that it is right; None for words of
            a source.
    """

    text: str
    start: int
    end: int
    confidence: float | None = None

    @property
    def is_content(self) -> bool:
        """Whether it is not a punctuation mark."""
        return any(character.isalnum() for character in self.text)

    def to_dict(self) -> dict[str, Any]:
        """As values that JSON can express; without a confidence if it has none."""
        values = vars(self).copy()
        if self.confidence is None:
            del values["confidence"]
        return values


@dataclass(frozen=True)
class SupportedWord:
    """A word of a translation, and how much of it a training pair supports.

    Attributes:
        text, start, end: as of `Word`.
        weight: 0 to 1: mean over its subwords.
    """

    text: str
    start: int
    end: int
    weight: float


@dataclass(frozen=True)
class TrainingExample:
    """A training pair that a translation is like.

    Attributes:
        source, target: the pair.
        weight: 0 to 1, how much of the translation it supports: the mean over its subwords of the kernel
            weights of those of the k nearest training tokens that are the same subword and in this pair.
        words: the words that it supports most, in order.
    """

    source: str
    target: str
    weight: float
    words: tuple[SupportedWord, ...]

    def to_dict(self) -> dict[str, Any]:
        """As values that JSON can express."""
        return {**vars(self), "words": [vars(word) for word in self.words]}


@dataclass(frozen=True)
class Translation:
    """A translation of a text.

    Attributes:
        source: the text, as it was given.
        text: its translation, with the leading and trailing white space and the line breaks of the source.
        score: the score used for ranking; of a text that was translated in parts, the sum over the parts.
        log_probability: natural logarithm, summed over all tokens, end-of-sentence included.
        tokens: the subwords, without end-of-sentence.
        words: the words of `text`.
        source_words: the words of `source`.
        attention: float32 [Tw, Sw], of each word of `words` to each word of `source_words`: averaged over the
            subwords of a target word and summed over those of a source word. A row sums to at most 1, as
            models also attend to end-of-sentence. None if it was not asked for, or the model has none.
        coverage: the total attention that each source word received, Sw numbers: near 0, it may have been
            left out. None with `attention`.
        confidence: 0 to 1: the estimated quality, see `nmt.evaluation.confidence`.
        alternatives: the other translations of the n best, best first.
        flags: what is remarkable, of `FLAGS`.
        tree: the beam, if it was asked for, and the text was translated in one piece.
        examples: the training pairs that it is most like, the best first, if they were asked for.
        segments: what the search returned for each segment of the source (see `nmt.library.segments`):
            subwords and their attention, of each head.
    """

    source: str
    text: str
    score: float
    log_probability: float
    tokens: tuple[Token, ...] = ()
    words: tuple[Word, ...] = ()
    source_words: tuple[Word, ...] = ()
    attention: NDArray[np.float32] | None = field(default=None, repr=False, compare=False)
    coverage: tuple[float, ...] | None = field(default=None, repr=False)
    confidence: float = 1.0
    alternatives: tuple["Translation", ...] = ()
    flags: tuple[str, ...] = ()
    tree: tuple[TreeNode, ...] | None = field(default=None, repr=False)
    examples: tuple[TrainingExample, ...] | None = field(default=None, repr=False)
    segments: tuple[Found, ...] = field(default=(), repr=False, compare=False)

    def to_dict(self) -> dict[str, Any]:
        """As values that JSON can express: the form of the server and of `nmt.translate --json`."""
        return {
            "source": self.source,
            "text": self.text,
            "score": self.score,
            "log_probability": self.log_probability,
            "confidence": self.confidence,
            "flags": list(self.flags),
            "tokens": [token.to_dict() for token in self.tokens],
            "words": [word.to_dict() for word in self.words],
            "source_words": [word.to_dict() for word in self.source_words],
            "attention": None if self.attention is None else numbers(self.attention),
            "coverage": None if self.coverage is None else list(self.coverage),
            "alternatives": [one.to_dict() for one in self.alternatives],
            **({} if self.tree is None else {"tree": {"nodes": [node.to_dict() for node in self.tree]}}),
            **({} if self.examples is None else {"examples": [one.to_dict() for one in self.examples]}),
        }


def numbers(matrix: NDArray[np.float32]) -> list[list[float]]:
    """A matrix as lists of the shortest decimals that round-trip to its float32 values."""
    return [[float(str(number)) for number in row] for row in matrix.astype(np.float32)]
