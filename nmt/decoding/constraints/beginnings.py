"""The tokens in which a phrase may begin."""

import unicodedata
from collections.abc import Iterable

import numpy as np

from nmt.decoding.constraints.characters import is_mark
from nmt.decoding.constraints.phrase_automaton import START, without_edges
from nmt.decoding.constraints.pieces import Pieces
from nmt.decoding.interface import Booleans


def beginnings(pieces: Pieces, strings: Iterable[str]) -> Booleans:
    """[V], True at the tokens of which some end begins a phrase or some part is one, and at those that make
    another character of the one before, with which a phrase could begin.

    Args:
        pieces: the vocabulary.
        strings: phrases with their edges (see `nmt.decoding.constraints.phrase_automaton.pattern`).
    """
    found = np.zeros(pieces.size, np.bool_)
    found[[*pieces.unclean, *pieces.byte_tokens.values()]] = True
    for string in strings:
        text = without_edges(string)
        if string.startswith(START) or is_mark(text[0]):
            return np.ones(pieces.size, np.bool_)
        found[[*pieces.containing(text), *pieces.ending_in(text)]] = True
        for mark in unicodedata.normalize("NFD", text[0])[1:]:
            found[[*pieces.having(mark)]] = True
    return found
