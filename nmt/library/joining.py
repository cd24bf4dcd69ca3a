"""The translations of a text's segments as one, for what shows or stores subwords and their attention.

Shapes: K heads, S source subwords and T target subwords, both including end-of-sentence as the last one.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from nmt.data.text import CharSpan
from nmt.data.tokenizer import Tokens
from nmt.decoding.result import Translation as Found


def joined(found: Sequence[Found], heads: int) -> Found:
    """One result of several: texts joined by spaces, and attention on the diagonal.

    The columns of all ends-of-sentence are added up in one, so that rows still sum to 1; of their rows the
    last one is kept.

    Args:
        found: of all segments; none: the text is blank.
        heads: K of the model.
    """
    if len(found) == 1:
        return found[0]
    source, target = (_tokens([getattr(one, side) for one in found]) for side in ("source", "target"))
    last = found[-1].log_probabilities[len(found[-1].target.ids) :] if found else []
    wanted = not found or found[0].attention is not None
    return Found(
        source,
        target,
        sum(one.log_probability for one in found),
        sum(one.score for one in found),
        _attention(found, heads, len(target.ids), len(source.ids)) if wanted else None,
        bool(found) and found[-1].finished,
        [log for one in found for log in one.log_probabilities[: len(one.target.ids)]] + last,
    )


def _tokens(parts: Sequence[Tokens]) -> Tokens:
    text, ids, pieces = "", list[int](), list[str]()
    offsets: list[CharSpan] = []
    for part in parts:
        text += " " if text and part.text else ""
        shift = len(text)
        text += part.text
        ids += part.ids
        pieces += part.pieces
        offsets += [CharSpan(start + shift, end + shift) for start, end in part.offsets]
    return Tokens(text, ids, pieces, offsets)


def _attention(found: Sequence[Found], heads: int, T: int, S: int) -> NDArray[np.float32]:
    ends = int(bool(found) and found[-1].finished)
    whole = np.zeros((heads, T + ends, S + 1), np.float32)
    row = column = 0
    for number, one in enumerate(found, 1):
        assert one.attention is not None
        own = one.attention if number == len(found) else one.attention[:, : len(one.target.ids)]
        rows, columns = own.shape[1], own.shape[2] - 1
        whole[:, row : row + rows, column : column + columns] = own[:, :, :-1]
        whole[:, row : row + rows, -1] = own[:, :, -1]
        row, column = row + rows, column + columns
    return whole
