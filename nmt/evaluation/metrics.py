"""Translation scores: BLEU, chrF and TER of a corpus, all through sacreBLEU and against all references.

A sentence may have any number of references, one at least; a blank reference counts as missing.
sacreBLEU itself wants streams of equal length, and it tells apart `None`, a reference that is not there
and that every metric leaves out, from an empty string, which it takes for a real reference without
words: such a one would shorten BLEU's reference length, and TER would count it as a reference that a
short translation nearly meets. So the gaps are filled with `None`, never with an empty string.

Text goes in as people read it: no tokenisation, lower-casing or rounding of our own. The scores, by the
names that appear in files and tables:

    BLEU        BLEU-4 with the tokenizer that the caller names, by default 13a, the usual one. That
                knows ASCII punctuation only: in Devanagari text the danda and curly quotes stay part of
                the word they touch, so that `आहे।` and `आहे` are different words. It knows no words in
                scripts without spaces: `nmt.evaluation.bleu_tokenizer` chooses another for those.
    BLEU-intl   BLEU-4 with the tokenizer intl, which separates all Unicode punctuation and symbols.
    chrF2       character n-grams up to 6, recall weighted twice.
    chrF2++     the same with words and word pairs.
    TER         edits and shifts per reference word; lower is better, and it may pass 100. sacreBLEU's
                default folds case here, as the signature says (`case:lc`).
"""

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, NamedTuple

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from nmt.errors import DataError
from nmt.evaluation.bleu_tokenizer import DEFAULT


@dataclass(frozen=True)
class Score:
    """One score of one corpus.

    Attributes:
        name: "BLEU", "BLEU-intl", "chrF2", "chrF2++" or "TER".
        value: the score on the scale of 100, as sacreBLEU gives it, not rounded.
        signature: sacreBLEU's own: how it was computed, and with how many references and which version.
    """

    name: str
    value: float
    signature: str


class LengthBucket(NamedTuple):
    """The BLEU score of the sentences whose source length lies in one range."""

    label: str
    sentences: int
    bleu: float


def corpus_scores(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], tokenizer: str = DEFAULT
) -> list[Score]:
    """BLEU, BLEU-intl, chrF2, chrF2++ and TER of a corpus, in this order.

    sacreBLEU warns, through its logger, where 100 or more hypotheses end in a lone full stop, as text
    does that was never detokenised. The warning is worth having, once: the second BLEU keeps quiet.

    Args:
        hypotheses: N translations.
        references: N sequences of references, of any lengths; blank ones are left out.
        tokenizer: sacreBLEU's name of the one for BLEU.

    Raises:
        DataError: there is nothing to score, the numbers of sentences differ, or a sentence has no reference.
    """
    streams = _streams(hypotheses, references)
    metrics = {
        "BLEU": BLEU(tokenize=tokenizer),
        "BLEU-intl": BLEU(tokenize="intl", force=True),
        "chrF2": CHRF(),
        "chrF2++": CHRF(word_order=2),
        "TER": TER(),
    }
    return [
        Score(name, float(metric.corpus_score(hypotheses, streams).score), str(metric.get_signature()))
        for name, metric in metrics.items()
    ]


def quick_scores(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], tokenizer: str = DEFAULT
) -> dict[str, float]:
    """The two scores to follow while training: `bleu` and `chrf` (chrF2), without TER, the slow one.

    The same values as `corpus_scores` gives. No warning about tokenised text: it would come back at
    every validation.

    Raises:
        DataError: as `corpus_scores`.
    """
    streams = _streams(hypotheses, references)
    return {
        "bleu": _bleu(hypotheses, streams, tokenizer),
        "chrf": float(CHRF().corpus_score(hypotheses, streams).score),
    }


def sentence_chrf(hypothesis: str, references: Sequence[str]) -> float:
    """chrF2 of one sentence, 0 to 100, against the reference that suits it best: for sorting tables.

    Raises:
        DataError: there is no reference that is not blank.
    """
    streams = _streams([hypothesis], [references])
    return float(CHRF().corpus_score([hypothesis], streams).score)


def bleu_by_length(
    source_lengths: Sequence[int],
    hypotheses: Sequence[str],
    references: Sequence[Sequence[str]],
    edges: Sequence[int] = (3, 5, 7, 9, 12, 15, 20, 30),
    tokenizer: str = DEFAULT,
) -> list[LengthBucket]:
    """BLEU of the sentences in each range of source length; ranges without a sentence are left out.

    As sacreBLEU has it, a bucket whose hypotheses hold no four-word run scores 0.

    Args:
        source_lengths: N lengths, in whatever unit the caller names beside the table.
        hypotheses: N translations.
        references: N sequences of references.
        edges: the longest length of each range, ascending: (5, 10) gives "≤5", "6-10" and ">10".
        tokenizer: of BLEU.

    Raises:
        DataError: as `corpus_scores`, or the number of lengths differs.
    """
    assert edges, "at least one edge"
    assert list(edges) == sorted(set(edges)), f"edges must ascend: {edges}"
    _check_count(len(source_lengths), "source lengths", len(hypotheses))
    _streams(hypotheses, references)  # so that an error names the sentence of the corpus, not of a bucket
    inner = [f"{before + 1}-{edge}" for before, edge in pairwise(edges)]
    labels = [f"≤{edges[0]}", *inner, f">{edges[-1]}"]
    buckets: list[list[int]] = [[] for _ in labels]
    for sentence, length in enumerate(source_lengths):
        buckets[bisect_left(edges, length)].append(sentence)
    found = []
    for label, members in zip(labels, buckets, strict=True):
        if members:
            some = [hypotheses[i] for i in members]
            bleu = _bleu(some, _streams(some, [references[i] for i in members]), tokenizer)
            found.append(LengthBucket(label, len(members), bleu))
    return found


def format_scores(scores: Sequence[Score]) -> str:
    """The lines a user reads: name, value with two decimals, and signature, in aligned columns."""
    names = max((len(score.name) for score in scores), default=0)
    values = max((len(f"{score.value:.2f}") for score in scores), default=0)
    return "\n".join(f"{s.name:<{names}}  {s.value:>{values}.2f}  {s.signature}" for s in scores)


def _bleu(hypotheses: Sequence[str], streams: list[Any], tokenizer: str) -> float:
    return float(BLEU(tokenize=tokenizer, force=True).corpus_score(hypotheses, streams).score)


def _streams(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> list[Any]:
    """Turn N sequences of references into sacreBLEU's streams of N, with `None` where there is none.

    The elements are `list[str | None]`; sacreBLEU's annotations leave `None` out, its code does not.
    """
    if not hypotheses:
        raise DataError("there are no translations to score; give at least one sentence")
    _check_count(len(references), "sets of references", len(hypotheses))
    present = []
    for number, some in enumerate(references, start=1):
        assert not isinstance(some, str), "references are a sequence of strings for each sentence"
        present.append([text for text in some if text.strip()])
        if not present[-1]:
            raise DataError(f"sentence {number} has no reference to score against; add one or leave it out")
    most = max(len(some) for some in present)
    return [[some[i] if i < len(some) else None for some in present] for i in range(most)]


def _check_count(count: int, what: str, hypotheses: int) -> None:
    if count != hypotheses:
        raise DataError(f"{hypotheses} translations but {count} {what}; there must be one for each sentence")
