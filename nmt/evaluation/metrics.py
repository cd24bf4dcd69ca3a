"""Corpus-level BLEU, chrF and TER, computed by sacreBLEU against all references.

A sentence may have any number of references, but at least one; a blank reference counts as missing.
sacreBLEU needs reference streams of equal length. It treats `None` as a missing reference, which every
metric ignores, but an empty string as a real reference without words: that would shorten BLEU's reference
length, and TER would count it as a reference close to any short translation. So missing references are
filled with `None`, never with an empty string.

The inputs are detokenised text: no tokenisation, lower-casing or rounding is added here. The scores, by
their names in files and tables:

    BLEU        BLEU-4 with the given tokenizer, by default 13a, the usual one. 13a handles ASCII
                punctuation only: in Devanagari text the danda and curly quotes stay attached to the
                word, so that `आहे।` and `आहे` are different words. It does not segment scripts without
                spaces: `nmt.evaluation.bleu_tokenizer` chooses another tokenizer for those.
    BLEU-intl   BLEU-4 with the tokenizer intl, which separates all Unicode punctuation and symbols.
    chrF2       character n-grams up to 6, recall weighted twice as much as precision.
    chrF2++     the same plus word unigrams and bigrams.
    TER         edits and shifts per reference word; lower is better, and it may exceed 100. sacreBLEU
                lower-cases here by default, as shown in the signature (`case:lc`).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sacrebleu.metrics.bleu import BLEU
from sacrebleu.metrics.chrf import CHRF
from sacrebleu.metrics.ter import TER

from nmt.config.selection_metrics import METRICS
from nmt.errors import DataError
from nmt.evaluation.bleu_tokenizer import DEFAULT


@dataclass(frozen=True)
class Score:
    """A corpus-level score.

    Attributes:
        name: "BLEU", "BLEU-intl", "chrF2", "chrF2++" or "TER".
        value: on a scale of 100, as returned by sacreBLEU, not rounded.
        signature: sacreBLEU's signature: settings, number of references and version.
    """

    name: str
    value: float
    signature: str


def corpus_scores(
    hypotheses: Sequence[str], references: Sequence[Sequence[str]], tokenizer: str = DEFAULT
) -> list[Score]:
    """BLEU, BLEU-intl, chrF2, chrF2++ and TER of a corpus, in this order.

    sacreBLEU logs a warning if 100 or more hypotheses end in a separate full stop, which suggests that
    they are not detokenised. The warning is useful, but only once: the second BLEU suppresses it.

    Args:
        hypotheses: N translations.
        references: N sequences of references, of any lengths; blank ones are ignored.
        tokenizer: sacreBLEU's name of the tokenizer for BLEU.

    Raises:
        DataError: if there is nothing to score, the numbers of sentences differ, or one has no reference.
    """
    streams = reference_streams(hypotheses, references)
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
    """The scores for validation during training: every metric that can select the best checkpoint, by name
    (`bleu`; `chrf`, which is chrF2), but for the loss.

    Same values as `corpus_scores`. sacreBLEU's warning about tokenised text is suppressed: it would
    appear at every validation.

    Raises:
        DataError: as `corpus_scores`.
    """
    streams = reference_streams(hypotheses, references)
    return {
        name: float(metric.scorer(tokenizer).corpus_score(hypotheses, streams).score)
        for name, metric in METRICS.items()
        if metric.scorer is not None
    }


def sentence_chrf(hypothesis: str, references: Sequence[str]) -> float:
    """Sentence-level chrF2, 0 to 100, against the best-matching reference: for sorting tables.

    Raises:
        DataError: if all references are blank.
    """
    streams = reference_streams([hypothesis], [references])
    return float(CHRF().corpus_score([hypothesis], streams).score)


def format_scores(scores: Sequence[Score]) -> str:
    """A table of name, value with two decimals, and signature, in aligned columns."""
    names = max((len(score.name) for score in scores), default=0)
    values = max((len(f"{score.value:.2f}") for score in scores), default=0)
    return "\n".join(f"{s.name:<{names}}  {s.value:>{values}.2f}  {s.signature}" for s in scores)


def reference_streams(hypotheses: Sequence[str], references: Sequence[Sequence[str]]) -> list[Any]:
    """Transpose N sequences of references into sacreBLEU's streams of N, padded with `None`.

    The elements are `list[str | None]`; sacreBLEU's type annotations lack `None`, but its code supports it.

    Raises:
        DataError: as `corpus_scores`.
    """
    if not hypotheses:
        raise DataError("there are no translations to score; give at least one sentence")
    check_count(len(references), "sets of references", len(hypotheses))
    present = []
    for number, some in enumerate(references, start=1):
        assert not isinstance(some, str), "references must be a sequence of strings per sentence"
        present.append([text for text in some if text.strip()])
        if not present[-1]:
            raise DataError(f"sentence {number} has no reference to score against; add one or leave it out")
    most = max(len(some) for some in present)
    return [[some[i] if i < len(some) else None for some in present] for i in range(most)]


def check_count(count: int, what: str, hypotheses: int) -> None:
    """Check that there is one of `what` for each translation.

    Raises:
        DataError: if not.
    """
    if count != hypotheses:
        raise DataError(f"{hypotheses} translations but {count} {what}; there must be one for each sentence")
