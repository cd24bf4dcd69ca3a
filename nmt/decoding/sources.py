"""What a search is given: sentences and special tokens.

Shapes: B sentences, S source length.
"""

from collections.abc import Sequence
from typing import NamedTuple

from nmt.decoding.interface import Booleans, Integers


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
