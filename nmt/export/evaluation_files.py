"""The output files of an evaluation."""

import csv
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from nmt.alignment.coverage import Coverage, coverage_scores
from nmt.config.decoding import DecodingConfig
from nmt.config.schema import to_dict
from nmt.data.examples import Example
from nmt.data.text import words
from nmt.decoding.result import Translation
from nmt.evaluation.buckets import Bucket
from nmt.evaluation.evaluator import Evaluation
from nmt.export.writer import write_attention
from nmt.files import replacing, write_json


def write_evaluation(
    folder: Path,
    evaluation: Evaluation,
    examples: Sequence[Example],
    decoding: DecodingConfig,
    heatmaps: int,
    runs: Sequence[str] = (),
    reverse: str | None = None,
) -> None:
    """Write `translations.tsv` and `metrics.json`; for a model with attention also `attention.*` and
    `heatmaps/`.

    Args:
        folder: output folder, such as `runs/<name>/test`.
        evaluation: of `examples`.
        examples: the evaluated sentences.
        decoding: search settings.
        heatmaps: number of sentences to draw, from the first, one PNG each.
        runs: names of the runs that translated together, if more than one.
        reverse: name of the run whose probabilities of the source counted, if any.
    """
    folder.mkdir(parents=True, exist_ok=True)
    _write_translations(folder / "translations.tsv", evaluation, examples)
    if all(translation.has_attention for translation in evaluation.translations):
        _write_attention(folder, evaluation.translations, heatmaps)
    metrics: dict[str, Any] = {
        "scores": {s.name: {"value": s.value, "signature": s.signature} for s in evaluation.scores},
        "alignment": _alignment_values(evaluation),
        "coverage": None if evaluation.coverage is None else asdict(coverage_scores(evaluation.coverage)),
        "bleu_by_source_words": [bucket._asdict() for bucket in evaluation.lengths],
        "by_rarest_source_word": _bucket_values(evaluation.rarest),
        "sentences": len(examples),
        "seconds": evaluation.seconds,
        "decoding": to_dict(decoding),
    }
    if len(runs) > 1:
        metrics["ensemble"] = list(runs)
    if reverse is not None:
        metrics["reverse"] = reverse
    write_json(folder / "metrics.json", metrics)


def _alignment_values(evaluation: Evaluation) -> dict[str, Any] | None:
    if evaluation.alignment is None:
        return None
    shifted = {str(shift): asdict(scores) for shift, scores in evaluation.alignment.items() if shift}
    return asdict(evaluation.alignment[0]) | {"shifted": shifted}


def _bucket_values(buckets: Sequence[Bucket] | None) -> list[dict[str, Any]] | None:
    return None if buckets is None else [bucket._asdict() for bucket in buckets]


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
            ["source", "translation", "chrF2", "log_probability", "entropy", "under_translated", "references"]
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
