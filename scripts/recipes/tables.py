"""The comparison of recipes as text, Markdown and JSON."""

from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from nmt.evaluation.buckets import Bucket
from nmt.files import write_json, write_text
from recipes.reading import Recipe, TestSet
from recipes.results import Difference, Result, Scores
from recipes.significance import RESAMPLES

Rows = list[list[str]]
NAMES = ("BLEU", "chrF2")


def score_rows(results: Sequence[Result]) -> Rows:
    """Mean and standard deviation of each recipe, and its differences from the first; the head is a row."""
    rows = [["recipe", "seeds", *NAMES, *(f"Δ {name} (p)" for name in NAMES)]]
    for result in results:
        changes = [_change(result.differences.get(name)) for name in NAMES]
        scores = [_mean(result.scores[name]) for name in NAMES]
        rows.append([result.recipe, str(len(result.runs)), *scores, *changes])
    return rows


def _mean(scores: Scores) -> str:
    return f"{scores.mean:.2f}" + ("" if scores.deviation is None else f" ± {scores.deviation:.2f}")


def _change(difference: Difference | None) -> str:
    return "–" if difference is None else f"{difference.value:+.2f} ({difference.p:.3f})"


def range_rows(head: str, recipes: Sequence[str], buckets: Sequence[Sequence[Bucket]]) -> Rows:
    """Mean scores by range, a column for each recipe and metric.

    Args:
        head: of the column of ranges.
        recipes: names.
        buckets: the same ranges for each recipe.
    """
    rows = [[head, "sentences", *(f"{name} {recipe}" for name in NAMES for recipe in recipes)]]
    for same in zip(*buckets, strict=True):
        scores = [f"{one.bleu:.1f}" for one in same] + [f"{one.chrf:.1f}" for one in same]
        rows.append([same[0].label, f"{same[0].sentences:,}", *scores])
    return rows


def verdicts(results: Sequence[Result]) -> list[str]:
    """A sentence for each recipe but the first."""
    first, *others = results
    lines = []
    for result in others:
        said = "; ".join(_said(name, result.differences[name]) for name in NAMES)
        lines.append(f"{result.recipe} against {first.recipe}: {said}.")
    return lines


def _said(name: str, difference: Difference) -> str:
    spread = "unknown" if difference.spread is None else f"{difference.spread:.2f}"
    return f"{name} {difference.value:+.2f} (spread {spread}, p {difference.p:.3f}): {difference.verdict}"


def notes(recipes: Sequence[Recipe], test: TestSet) -> list[str]:
    """What the figures are, and what to beware of."""
    lines = [
        f"{test.split} set, {len(test.sources):,} sentences, all references, BLEU tokenizer "
        f"{test.tokenizer}; each run scored once; mean ± sample standard deviation over seeds.",
        f"p: paired bootstrap, {RESAMPLES} resamples of sentences, the same for all seeds, of the difference "
        "of means.",
        "No difference: p ≥ 0.05, or less than the spread, which is the larger standard deviation.",
    ]
    if test.rarest is None:
        lines.append("No table by the rarest word: no run has data/source_words.tsv.")
    else:
        lines.append(f"Rarest word seen: times in the training sources of {test.run}.")
    return lines + [f"Warning: {warning}." for recipe in recipes for warning in recipe.warnings]


def render(
    results: Sequence[Result],
    recipes: Sequence[Recipe],
    test: TestSet,
    table: Callable[[Rows], str],
    bullet: str = "",
) -> str:
    """The comparison as text.

    Args:
        results: of each recipe.
        recipes: the same recipes.
        test: what they translated.
        table: makes text of rows: `aligned` or `markdown`.
        bullet: put before each sentence.
    """
    names = [result.recipe for result in results]
    rarest = [result.by_rarest for result in results if result.by_rarest is not None]
    lengths = [result.by_length for result in results]
    said = (verdicts(results), notes(recipes, test))
    parts = [table(score_rows(results)), *("\n".join(bullet + line for line in lines) for lines in said)]
    if rarest:
        parts.append(table(range_rows("rarest word seen", names, rarest)))
    parts.append(table(range_rows("source words", names, lengths)))
    return "\n\n".join(filter(None, parts)) + "\n"


def aligned(rows: Rows) -> str:
    """Rows as text in columns; all but the first column to the right."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    lines = []
    for row in rows:
        cells = [cell.rjust(width) if i else cell.ljust(width) for i, (cell, width) in _columns(row, widths)]
        lines.append("  ".join(cells).rstrip())
    return "\n".join(lines)


def _columns(row: list[str], widths: list[int]) -> list[tuple[int, tuple[str, int]]]:
    return list(enumerate(zip(row, widths, strict=True)))


def markdown(rows: Rows) -> str:
    """Rows as a Markdown table."""
    lines = [" | ".join(cell.replace("|", "\\|") for cell in row) for row in rows]
    rule = "|".join(["---", *["---:"] * (len(rows[0]) - 1)])
    return (
        "\n".join(f"| {line} |" for line in lines[:1])
        + f"\n|{rule}|\n"
        + "\n".join(f"| {line} |" for line in lines[1:])
    )


def write_recipes(folder: Path, results: Sequence[Result], recipes: Sequence[Recipe], test: TestSet) -> None:
    """Write recipes.md, recipes.json and bleu_by_length.png, .svg to a folder."""
    from nmt.visualisation.curves import draw_by_length, save_figure

    write_text(folder / "recipes.md", render(results, recipes, test, markdown, "- "))
    values = {
        "split": test.split,
        "sentences": len(test.sources),
        "tokenizer": test.tokenizer,
        "resamples": RESAMPLES,
        "verdicts": verdicts(results),
        "notes": notes(recipes, test),
        "recipes": [_plain(result) for result in results],
    }
    write_json(folder / "recipes.json", values)
    lengths = results[0].by_length
    lines = {result.recipe: [bucket.bleu for bucket in result.by_length] for result in results}
    labels, sentences = [one.label for one in lengths], [one.sentences for one in lengths]
    save_figure(folder / "bleu_by_length", draw_by_length(labels, sentences, lines, ""))


def _plain(result: Result) -> dict[str, object]:
    rarest = result.by_rarest
    return asdict(result) | {
        "by_rarest": None if rarest is None else [bucket._asdict() for bucket in rarest],
        "by_length": [bucket._asdict() for bucket in result.by_length],
    }
