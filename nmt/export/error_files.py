"""The files of an error analysis: `errors.tsv`, every sentence with its categories, and `errors.md`, the
scores of each category with its worst sentences.
"""

import csv
from collections.abc import Collection, Sequence
from pathlib import Path

from nmt.evaluation.buckets import Bucket
from nmt.evaluation.error_categories import Sentence
from nmt.files import replacing, write_text

WORST = 5  # sentences shown of each category


def write_errors(
    folder: Path,
    sentences: Sequence[Sentence],
    found: Sequence[Collection[str]],
    chrf: Sequence[float],
    scores: Sequence[Bucket],
) -> None:
    """Write `errors.tsv` and `errors.md`.

    Args:
        folder: of the evaluation.
        sentences: N of them.
        found: the categories of each, N.
        chrf: chrF2 of each, N.
        scores: of each category.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with replacing(folder / "errors.tsv") as file:
        writer = csv.writer(file, delimiter="\t", lineterminator="\n", quoting=csv.QUOTE_NONE, quotechar=None)
        writer.writerow(["source", "translation", "chrF2", "categories", "references"])
        for sentence, names, value in zip(sentences, found, chrf, strict=True):
            texts = (sentence.source, sentence.translation, f"{value:.2f}", "; ".join(names))
            writer.writerow([*texts, *sentence.references])
    lines = ["# Errors by category", "", "| category | sentences | BLEU | chrF2 |", "|---|---:|---:|---:|"]
    lines += [f"| {label} | {count:,} | {bleu:.1f} | {value:.1f} |" for label, count, bleu, value in scores]
    for label, *_ in scores:
        members = sorted((i for i, names in enumerate(found) if label in names), key=lambda i: chrf[i])
        lines += [
            "",
            f"## {label}",
            "",
            "| source | translation | a reference | chrF2 |",
            "|---|---|---|---:|",
        ]
        lines += [_row(sentences[i], chrf[i]) for i in members[:WORST]]
    write_text(folder / "errors.md", "\n".join(lines) + "\n")


def _row(sentence: Sentence, chrf: float) -> str:
    texts = (sentence.source, sentence.translation, sentence.references[0])
    cells = (text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;") for text in texts)
    return f"| {' | '.join(cells)} | {chrf:.1f} |"
