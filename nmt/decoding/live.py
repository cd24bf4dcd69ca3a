"""From the hypotheses of one step to those of the next: which rows the model computes, and of what parents.

Shapes: b sentences, K slots per sentence (the beam size), N rows (hypotheses that are computed), C candidates
per row.
"""

import numpy as np

from nmt.decoding.hypothesis import Doubles
from nmt.decoding.interface import Answer, Integers, Rows


def first_rows(sentences: int, bos: int, K: int) -> Rows:
    """The rows of the first step: one of each sentence."""
    one = np.ones(sentences, np.int64)
    return Rows(np.full(sentences, bos), np.arange(sentences), one, None, K)


def next_rows(
    before: Rows, tokens: Integers, origins: Integers, live: Integers, places: Integers | None
) -> Rows:
    """The rows of the next step.

    Args:
        before: the rows of this step.
        tokens, origins: the token of each new hypothesis and the slot of its parent, [b, K].
        live: the number of live hypotheses of each sentence, [b]; they are in its first slots.
        places: [b], the sentence of `before` that each was; None: the same.
    """
    if before.width == 1 and places is None and live.all():
        return Rows(tokens[:, 0], np.arange(len(live)), live, None, 1)
    rows = np.arange(before.width) < live[:, None]
    first = np.cumsum(before.counts) - before.counts
    if places is not None:
        first = first[places]
    parents = (first[:, None] + origins)[rows]
    left = np.flatnonzero(live)
    if places is None and len(left) == len(live):
        return Rows(tokens[rows], parents, live, None, before.width)
    going = left if places is None else places[left]
    return Rows(tokens[rows], parents, live[left], going, before.width)


def padded(answer: Answer, rows: Rows) -> tuple[Doubles, Integers]:
    """Candidates of each row → of each slot, [b, K, C] and [b, K, C]; minus infinity where no row is."""
    b, K, C = len(rows.counts), rows.width, answer.values.shape[1]
    if len(answer.values) == b * K:
        return answer.values.astype(np.float64).reshape(b, K, C), answer.tokens.reshape(b, K, C)
    filled = np.arange(K) < rows.counts[:, None]
    values, tokens = np.full((b, K, C), -np.inf), np.zeros((b, K, C), np.int64)
    values[filled], tokens[filled] = answer.values, answer.tokens
    return values, tokens
