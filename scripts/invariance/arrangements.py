"""The same sentences in different company."""

import random
from collections.abc import Callable, Sequence

NEIGHBOUR = 200  # subwords
_SHARED = 15  # sentences beside one such neighbour

Calls = list[list[str]]
"""Lists of texts, each to be translated in one call."""


def arrangements(sentences: Sequence[str], size: Callable[[str], int], by_file: bool) -> dict[str, Calls]:
    """Every sentence in each arrangement, by its name.

    Args:
        sentences: N different ones.
        size: the number of subwords of a text.
        by_file: for a way that takes a file: one call each, as starting it takes long.
    """
    mixed = list(sentences)
    random.Random(1).shuffle(mixed)
    groups = _parts(mixed, _SHARED)
    beside = [[*group[::2], neighbour(sentences, size), *group[1::2]] for group in groups]
    if by_file:
        return {
            "in order": [list(sentences)],
            "shuffled": [mixed],
            f"beside {NEIGHBOUR} subwords": [[text for group in beside for text in group]],
        }
    return {
        "alone": _parts(sentences, 1),
        "batches of 7": _parts(sentences, 7),
        "batches of 64": _parts(sentences, 64),
        "shuffled": [mixed],
        f"beside {NEIGHBOUR} subwords": beside,
    }


def neighbour(sentences: Sequence[str], size: Callable[[str], int]) -> str:
    """A text of 200 subwords, or a few more, without punctuation marks, so that nothing splits it."""
    text = ""
    for word in (word for sentence in sentences for word in sentence.split() if word.isalpha()):
        text += word + " "
        if size(text) >= NEIGHBOUR:
            break
    return text.strip()


def _parts(texts: Sequence[str], count: int) -> Calls:
    return [list(texts[at : at + count]) for at in range(0, len(texts), count)]
