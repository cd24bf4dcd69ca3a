"""The full evaluation of a model on a set of sentences, and its output files."""

import csv
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.alignment.aer import AlignmentScores, alignment_scores
from nmt.alignment.coverage import Coverage, coverage, coverage_scores
from nmt.alignment.pharaoh import parse_pharaoh
from nmt.config.schema import to_dict
from nmt.config.training import DecodingConfig
from nmt.data.examples import Example
from nmt.data.text import words
from nmt.decoding.result import Translation
from nmt.decoding.translator import Translator
from nmt.evaluation.bleu_tokenizer import DEFAULT
from nmt.evaluation.collapse import Collapse, find_collapse
from nmt.evaluation.metrics import (
    LengthBucket,
    Score,
    bleu_by_length,
    corpus_scores,
    format_scores,
    sentence_chrf,
)
from nmt.export.writer import write_attention
from nmt.files import replacing, write_json


@dataclass(frozen=True)
class Evaluation:
    """The results of an evaluation.

    Attributes:
        scores: BLEU, BLEU-intl, chrF2, chrF2++ and TER with signatures.
        alignment: scores of attention against gold alignments, if the corpus has them, by shift: 0, and
            attention read one piece earlier (-1) or later (1).
        coverage: attention statistics of each translation; None for a model without attention.
        lengths: BLEU by the number of source words, including punctuation marks.
        translations: in order.
        sentence_chrf: sentence-level chrF2 of each translation, 0 to 100.
        seconds: decoding time.
        collapse: the repeated output of a collapsed model; None otherwise.
    """

    scores: list[Score]
    alignment: dict[int, AlignmentScores] | None
    coverage: list[Coverage] | None
    lengths: list[LengthBucket]
    translations: list[Translation]
    sentence_chrf: list[float]
    seconds: float
    collapse: Collapse | None = None

    def summary(self) -> str:
        """The lines to print."""
        return "\n".join([format_scores(self.scores), *self.notes()])

    def notes(self) -> list[str]:
        """The lines below the scores: warning about a collapsed model, alignment scores, coverage, speed."""
        lines = [] if self.collapse is None else [self.collapse.warning()]
        if self.alignment is not None:
            lines.append(self.alignment[0].summary())
        if self.coverage is not None:
            found = coverage_scores(self.coverage)
            lines.append(
                f"attention: entropy {found.entropy:.2f} nats; {found.under_translated:.1%} of the source words "
                f"under-translated, {found.over_translated:.1%} over-translated"
            )
        speed = len(self.translations) / self.seconds
        lines.append(f"{len(self.translations)} sentences in {self.seconds:.1f} s, {speed:.0f} sentences/s")
        return lines

    def values(self) -> dict[str, float]:
        """The scores by name."""
        values = {score.name: score.value for score in self.scores}
        return values if self.alignment is None else values | {"AER": self.alignment[0].aer}


def evaluate(translator: Translator, examples: Sequence[Example], tokenizer: str = DEFAULT) -> Evaluation:
    """Translate every source; score against all references, and attention against gold alignments.

    Args:
        translator: the model and its search settings.
        examples: the sources, with references.
        tokenizer: for BLEU.
    """
    start = time.perf_counter()
    found = translator.translate([example.source for example in examples], attention=True)
    seconds = time.perf_counter() - start
    translations = [best[0] for best in found]
    texts, references = [one.text for one in translations], [example.references for example in examples]
    lengths = [len(words(example.source)) for example in examples]
    return Evaluation(
        corpus_scores(texts, references, tokenizer),
        _score_alignment(translator, examples),
        [coverage(_between_words(one)) for one in translations] if translator.heads else None,
        bleu_by_length(lengths, texts, references, tokenizer=tokenizer),
        translations,
        [sentence_chrf(text, some) for text, some in zip(texts, references, strict=True)],
        seconds,
        find_collapse([example.source for example in examples], texts, references),
    )


def _between_words(translation: Translation) -> NDArray[np.floating[Any]]:
    """Word-level attention, without the source's end-of-sentence."""
    weights, source, _ = translation.words()
    return weights[:, : len(source) - 1]


def _score_alignment(
    translator: Translator, examples: Sequence[Example]
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
    forced = translator.align(sources, references, attention=True)
    right = [links for _, _, links in gold]
    return {shift: alignment_scores([one.links(shift) for one in forced], right) for shift in (0, -1, 1)}


def write_evaluation(
    folder: Path,
    evaluation: Evaluation,
    examples: Sequence[Example],
    decoding: DecodingConfig,
    heatmaps: int,
) -> None:
    """Write `translations.tsv` and `metrics.json`; for a model with attention also `attention.*` and
    `heatmaps/`.

    Args:
        folder: output folder, such as `runs/<name>/test`.
        evaluation: of `examples`.
        examples: the evaluated sentences.
        decoding: search settings.
        heatmaps: number of sentences to draw, from the first, one PNG each.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_translations(folder / "translations.tsv", evaluation, examples)
    if all(translation.has_attention for translation in evaluation.translations):
        _write_attention(folder, evaluation.translations, heatmaps)
    metrics = {
        "scores": {s.name: {"value": s.value, "signature": s.signature} for s in evaluation.scores},
        "alignment": _alignment_values(evaluation),
        "coverage": None if evaluation.coverage is None else asdict(coverage_scores(evaluation.coverage)),
        "bleu_by_source_words": [bucket._asdict() for bucket in evaluation.lengths],
        "sentences": len(examples),
        "seconds": evaluation.seconds,
        "decoding": to_dict(decoding),
    }
    write_json(folder / "metrics.json", metrics)


def _alignment_values(evaluation: Evaluation) -> dict[str, Any] | None:
    if evaluation.alignment is None:
        return None
    shifted = {str(shift): asdict(scores) for shift, scores in evaluation.alignment.items() if shift}
    return asdict(evaluation.alignment[0]) | {"shifted": shifted}


def _write_attention(folder: Path, translations: Sequence[Translation], heatmaps: int) -> None:
    for name in ("attention.npz", "attention.jsonl", "attention.pharaoh"):
        write_attention(folder / name, translations)
    for old_file in (folder / "heatmaps").glob("*.png"):
        old_file.unlink()
    if not heatmaps:
        return
    from nmt.visualisation.heatmap import save_heatmap  # slow to import

    for number, translation in enumerate(translations[:heatmaps], 1):
        weights, source, target = translation.words()
        save_heatmap(folder / "heatmaps" / f"{number:03d}.png", weights, source, target)


def _write_translations(path: Path, evaluation: Evaluation, examples: Sequence[Example]) -> None:
    with replacing(path) as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None)
        writer.writerow(
            ["source", "translation", "chrF2", "log_probability", "entropy", "passed_over", "references"]
        )
        coverages: Sequence[Coverage | None] = evaluation.coverage or [None] * len(examples)
        for example, translation, chrf, covered in zip(
            examples, evaluation.translations, evaluation.sentence_chrf, coverages, strict=True
        ):
            numbers = [
                f"{chrf:.2f}",
                f"{translation.log_probability:.4f}",
                *_covered(covered, example),
            ]
            writer.writerow([example.source, translation.text, *numbers, *example.references])


def _covered(covered: Coverage | None, example: Example) -> list[str]:
    """Entropy and the under-translated source words; empty for a model without attention."""
    if covered is None:
        return ["", ""]
    names = words(example.source)
    return [f"{covered.entropy:.3f}", " ".join(names[word] for word in covered.under_translated)]
