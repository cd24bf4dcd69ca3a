"""Selection of the checkpoint that translates, by scores on the development set."""

import math
from collections.abc import Mapping

from nmt.config.selection_metrics import METRICS, metric_value

LOWER_IS_BETTER = frozenset(name for name, metric in METRICS.items() if metric.lower_is_better)
_ORDER = ("chrf", "loss")  # tie-breakers, in this order
_Key = tuple[bool, float]


def rank(scores: Mapping[str, float], metric: str) -> tuple[_Key, ...]:
    """A sort key: the metric, then chrF, then the loss; greater is better. NaN sorts below all numbers.

    Args:
        scores: of one validation, by name; a score that is missing, because the run is older than the
            metric, counts as NaN.
        metric: name of the primary metric.
    """
    return tuple(_key(name, metric_value(scores, name)) for name in (metric, *_ORDER))


def _key(name: str, value: float) -> _Key:
    if math.isnan(value):
        return (False, 0.0)
    return (True, -value if name in LOWER_IS_BETTER else value)


def compare(newest: Mapping[str, float], best: Mapping[str, float] | None, metric: str) -> int:
    """1 if the newest scores are better than the best so far, 0 if they are equal, else -1.

    A diverged model never replaces another: scores with NaN in the metric are never better, and scores with
    any NaN are never equal.

    Args:
        newest: the scores of a validation, by name.
        best: the best scores so far; None if there are none yet.
        metric: as for `rank`.
    """
    new, old = rank(newest, metric), best and rank(best, metric)
    decided, _ = new[0]
    if not decided:
        return -1
    if not old or new > old:
        return 1
    return 0 if new == old and all(known for known, _ in new) else -1


def is_close(
    newest: Mapping[str, float], best: Mapping[str, float] | None, metric: str, within: float
) -> bool:
    """Whether the metric of the newest scores is at most the fraction `within` of the best one worse. A model
    with a score that is not finite has diverged, and is not close.

    Args:
        newest, best, metric: as for `compare`.
        within: such as 0.05; with 0, it must not be worse.
    """
    found = [metric_value(newest, name) for name in (metric, *_ORDER)]
    if best is None or not all(map(math.isfinite, found)):
        return False
    value, reference = found[0], metric_value(best, metric)
    worse = value - reference if metric in LOWER_IS_BETTER else reference - value
    return worse <= within * abs(reference)
