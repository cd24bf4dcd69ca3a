"""What a search is given: sentences, special tokens, and how candidates are chosen.

Shapes: B sentences, S source length, N rows (live hypotheses).
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from nmt.decoding.interface import Answer, Booleans, Integers, Query, Step


class Special(NamedTuple):
    """Special tokens.

    Attributes:
        bos: every sentence starts with it; never part of a hypothesis.
        eos: ends a sentence.
        forbidden: other tokens that must not be generated, such as padding.
    """

    bos: int
    eos: int
    forbidden: Sequence[int] = ()


class Sources(NamedTuple):
    """Sentences to translate.

    Attributes:
        tokens: [B, S]; each sentence ends with end-of-sentence.
        mask: [B, S].
        limits: [B], maximum lengths of the translations in tokens, EOS included; at least 1.
    """

    tokens: Integers
    mask: Booleans
    limits: Integers


Choose = Callable[[Step[Any], Query, Integers], Answer]
"""Chooses the candidates of a step, from its predictions, a query, and the sentence of each row [N]."""


def most_probable(step: Step[Any], query: Query, sentences: Integers) -> Answer:
    """The most probable tokens, for beam and greedy search."""
    return step.read(query)
