"""The full evaluation of a model on a set of sentences."""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from nmt.alignment.aer import AlignmentScores, alignment_scores
from nmt.alignment.coverage import Coverage, coverage, coverage_scores
from nmt.alignment.pharaoh import parse_pharaoh
from nmt.data.examples import Example
from nmt.data.text import words
from nmt.data.word_counts import WordCounts, rarest_count
from nmt.decoding.combination import CombinedTranslator
from nmt.decoding.result import Translation
from nmt.decoding.translator import Translator
from nmt.evaluation.bleu_tokenizer import DEFAULT
from nmt.evaluation.buckets import LENGTHS, RAREST, Bucket, format_buckets, scores_by_range
from nmt.evaluation.collapse import Collapse, find_collapse
from nmt.evaluation.metrics import (
    Score,
    corpus_scores,
    format_scores,
    sentence_chrf,
)


@dataclass(frozen=True)
class Evaluation:
    """The results of an evaluation.

    Attributes:
        scores: BLEU, BLEU-intl, chrF2, chrF2++ and TER with signatures.
        alignment: scores of attention against gold alignments, if the corpus has them, by shift: 0, and
            attention read one piece earlier (-1) or later (1).
        coverage: attention statistics of each translation; None for a model without attention.
        lengths: BLEU and chrF2 by the number of source words, including punctuation marks.
        translations: in order.
        sentence_chrf: sentence-level chrF2 of each translation, 0 to 100.
        seconds: decoding time.
        collapse: the repeated output of a collapsed model; None otherwise.
        rarest: BLEU and chrF2 by how often the rarest source word occurs in the training set; None if that is
            not known.
    """

    scores: list[Score]
    alignment: dict[int, AlignmentScores] | None
    coverage: list[Coverage] | None
    lengths: list[Bucket]
    translations: list[Translation]
    sentence_chrf: list[float]
    seconds: float
    collapse: Collapse | None = None
    rarest: list[Bucket] | None = None

    def summary(self) -> str:
        """The lines to print."""
        tables = {"words in the source sentence": self.lengths}
        if self.rarest is not None:
            tables["rarest source word seen in training"] = self.rarest
        return "\n".join([format_scores(self.scores), format_buckets(tables), *self.notes()])

    def notes(self) -> list[str]:
        """The lines below the scores: warning about a collapsed model, alignment scores, coverage, speed."""
        lines = [] if self.collapse is None else [self.collapse.warning()]
        if self.alignment is not None:
            lines.append(self.alignment[0].summary())
        if self.coverage is not None:
            found = coverage_scores(self.coverage)
            lines.append(
                f"attention: entropy {found.entropy:.2f} nats; source words: {found.under_translated:.1%} "
                f"under-translated, {found.over_translated:.1%} over-translated"
            )
        speed = len(self.translations) / self.seconds
        lines.append(f"{len(self.translations)} sentences in {self.seconds:.1f} s, {speed:.0f} sentences/s")
        return lines

    def values(self) -> dict[str, float]:
        """The scores by name."""
        values = {score.name: score.value for score in self.scores}
        return values if self.alignment is None else values | {"AER": self.alignment[0].aer}


def evaluate(
    translator: Translator | CombinedTranslator,
    examples: Sequence[Example],
    tokenizer: str = DEFAULT,
    word_counts: WordCounts | None = None,
    to: str | None = None,
) -> Evaluation:
    """Translate every source; score against all references, and attention against gold alignments.

    Args:
        translator: the model and its search settings.
        examples: the sources, with references.
        tokenizer: for BLEU.
        word_counts: of the source words in the training set, if known.
        to: the language of the references, of a model that knows several; None: that of the main direction.
    """
    start = time.perf_counter()
    found = translator.translate([example.source for example in examples], attention=True, to=to)
    seconds = time.perf_counter() - start
    translations = [best[0] for best in found]
    texts, references = [one.text for one in translations], [example.references for example in examples]
    lengths = [len(words(example.source)) for example in examples]
    rarest = None
    if word_counts is not None:
        seen = [rarest_count(example.source, word_counts) for example in examples]
        rarest = scores_by_range(seen, texts, references, RAREST, tokenizer)
    return Evaluation(
        corpus_scores(texts, references, tokenizer),
        _score_alignment(translator, examples, to) if isinstance(translator, Translator) else None,
        [coverage(one.words()[0]) for one in translations] if translator.heads else None,
        scores_by_range(lengths, texts, references, LENGTHS, tokenizer),
        translations,
        [sentence_chrf(text, some) for text, some in zip(texts, references, strict=True)],
        seconds,
        find_collapse([example.source for example in examples], texts, references),
        rarest,
    )


def _score_alignment(
    translator: Translator, examples: Sequence[Example], to: str | None
) -> dict[int, AlignmentScores] | None:
    """Scores of attention under teacher forcing of the references against their gold alignments; None if
    there are no gold alignments, or no attention.
    """
    gold = [
        (example.source, reference, parse_pharaoh(links))
        for example in examples
        for reference, links in zip(example.references, example.alignments, strict=True)
        if links
    ]
    if not gold or not translator.heads:
        return None
    sources, references = [source for source, _, _ in gold], [reference for _, reference, _ in gold]
    forced = translator.align(sources, references, attention=True, to=to)
    right = [links for _, _, links in gold]
    return {shift: alignment_scores([one.links(shift) for one in forced], right) for shift in (0, -1, 1)}
