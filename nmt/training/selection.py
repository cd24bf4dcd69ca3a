"""Which of two checkpoints is the better one, by their scores on the development part."""

import math
from collections.abc import Mapping

LOWER_IS_BETTER = frozenset({"loss"})
_ORDER = ("chrf", "loss")  # what decides, one after the other, when the metric sees no difference
_Key = tuple[bool, float]


def rank(scores: Mapping[str, float], metric: str) -> tuple[_Key, ...]:
    """A sort key: by the metric, then chrF, then the loss; the better, the greater. NaN is below all numbers.

    Args:
        scores: of one validation, by name: bleu, chrf and loss.
        metric: the name of the one that decides first.
    """
    return tuple(_key(name, scores[name]) for name in (metric, *_ORDER))


def _key(name: str, value: float) -> _Key:
    if math.isnan(value):
        return (False, 0.0)
    return (True, -value if name in LOWER_IS_BETTER else value)


def compare(newest: Mapping[str, float], best: Mapping[str, float] | None, metric: str) -> int:
    """1 when the newest scores are better than the best so far, 0 when they equal them, else -1.

    A model that has diverged does not replace another: what is NaN in the metric is never better, and
    what is NaN in any of the scores never equal.

    Args:
        newest: the scores of a validation, by name.
        best: those of the best so far; None before there is any.
        metric: as of `rank`.
    """
    new, old = rank(newest, metric), best and rank(best, metric)
    decided, _ = new[0]
    if not decided:
        return -1
    if not old or new > old:
        return 1
    return 0 if new == old and all(known for known, _ in new) else -1
