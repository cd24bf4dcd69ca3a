"""BLEU and chrF2 of groups of sentences: by length, and by how often the rarest source word was seen."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF

from nmt.evaluation.bleu_tokenizer import DEFAULT
from nmt.evaluation.metrics import check_count, reference_streams

LENGTHS = (3, 5, 7, 9, 12, 15, 20, 30)
"""Upper bounds of the ranges of source length, in words; the last range has none."""
RAREST = (0, 2, 9, 49)
"""Upper bounds of the ranges of the training frequency of the rarest source word; the last range has none."""


class Bucket(NamedTuple):
    """BLEU and chrF2 of the sentences in a range, on a scale of 100."""

    label: str
    sentences: int
    bleu: float
    chrf: float


def range_labels(edges: Sequence[int]) -> list[str]:
    """Labels of ranges by their upper bounds: (0, 2, 9) gives "0", "1-2", "3-9" and ">9", (3, 5) "≤3", "4-5"
    and ">5".
    """
    first = str(edges[0]) if edges[0] == 0 else f"≤{edges[0]}"
    return [first, *(f"{low + 1}-{high}" for low, high in pairwise(edges)), f">{edges[-1]}"]


def members_by_range(values: Sequence[int | None], edges: Sequence[int]) -> dict[str, list[int]]:
    """The indices of the values in each range, by its label; ranges without values are omitted.

    Args:
        values: N numbers; None is above all of them.
        edges: the upper bound of each range but the last, ascending.
    """
    assert edges, "at least one edge"
    assert list(edges) == sorted(set(edges)), f"edges must ascend: {edges}"
    labels = range_labels(edges)
    members: dict[str, list[int]] = {label: [] for label in labels}
    for index, value in enumerate(values):
        members[labels[-1 if value is None else bisect_left(edges, value)]].append(index)
    return {label: indices for label, indices in members.items() if indices}


def scores_by_range(
    values: Sequence[int | None],
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    edges: Sequence[int],
    tokenizer: str = DEFAULT,
) -> list[Bucket]:
    """BLEU and chrF2 by range of a property of the sentences; ranges without sentences are omitted.

    As in sacreBLEU, BLEU of a range whose hypotheses have no 4-gram is 0.

    Args:
        values: of each sentence, N.
        hypotheses: N translations.
        references: N sequences of references.
        edges: as in `members_by_range`.
        tokenizer: for BLEU.

    Raises:
        DataError: as `corpus_scores`, or if the number of values differs.
    """
    check_count(len(values), "values", len(hypotheses))
    return score_members(members_by_range(values, edges), hypotheses, references, tokenizer)


def score_members(
    groups: Mapping[str, Sequence[int]],
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    tokenizer: str = DEFAULT,
) -> list[Bucket]:
    """BLEU and chrF2 of groups of sentences; other arguments and errors as for `scores_by_range`.

    Args:
        groups: indices of the sentences of each group, at least one, by label.
    """
    reference_streams(hypotheses, references)  # so that errors number sentences in the corpus, not in a group
    bleu, chrf = BLEU(tokenize=tokenizer, force=True), CHRF()
    found = []
    for label, members in groups.items():
        some = [hypotheses[i] for i in members]
        streams = reference_streams(some, [references[i] for i in members])
        scores = (float(metric.corpus_score(some, streams).score) for metric in (bleu, chrf))
        found.append(Bucket(label, len(members), *scores))
    return found


def format_buckets(tables: Mapping[str, Sequence[Bucket]]) -> str:
    """Tables for the terminal, in common columns: a line for each range, with scores to one decimal.

    Args:
        tables: by the title of their column of ranges.
    """
    labels = [f"  {bucket.label}" for buckets in tables.values() for bucket in buckets]
    wide = max(map(len, [*tables, *labels]))
    lines = []
    for title, buckets in tables.items():
        lines.append(f"{title:<{wide}}  sentences   BLEU  chrF2")
        for label, sentences, bleu, chrf in buckets:
            lines.append(f"{'  ' + label:<{wide}}  {sentences:>9,}  {bleu:>5.1f}  {chrf:>5.1f}")
    return "\n".join(lines)
