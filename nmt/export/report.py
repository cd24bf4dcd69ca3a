"""The HTML report of a finished run, `report.html`."""

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from nmt.alignment.coverage import Coverage
from nmt.config.schema import settings
from nmt.config.selection_metrics import METRICS
from nmt.config.settings import Config
from nmt.data.examples import Example
from nmt.evaluation.evaluator import Evaluation
from nmt.export.rows import sentence_row
from nmt.files import write_text
from nmt.visualisation.page import Curve, render_page

_CURVES = sorted(METRICS, key=lambda name: METRICS[name].scorer is not None)  # the loss first


def save_report(
    path: Path,
    config: Config,
    evaluation: Evaluation,
    examples: Sequence[Example],
    history: Sequence[dict[str, float]],
    report: dict[str, Any],
) -> None:
    """Write the HTML report of a finished run.

    Args:
        path: `runs/<name>/report.html`.
        config: the run's settings.
        evaluation: on the test set.
        examples: the test set.
        history: scores of every validation, with their steps.
        report: description of the data, from `prepared.json`.
    """
    from nmt.visualisation.curves import FEWEST  # slow to import

    found: Sequence[Coverage | None] = evaluation.coverage or [None] * len(examples)
    rows = []
    for example, translation, chrf, covered in zip(
        examples, evaluation.translations, evaluation.sentence_chrf, found, strict=True
    ):
        row = sentence_row(translation, covered=covered)
        row["score"] = round(chrf, 2)
        row["references"] = list(example.references)
        rows.append(row)
    page = render_page(
        f"Run {config.name}",
        rows,
        subtitle=f"{len(examples)} test sentences, beam {config.decoding.beam_size}",
        scores=[
            {"name": s.name, "value": f"{s.value:.2f}", "signature": s.signature} for s in evaluation.scores
        ],
        notes=evaluation.notes(),
        curves=[_curve(name, history) for name in _CURVES],
        lengths=[bucket._asdict() | {"few": bucket.sentences < FEWEST} for bucket in evaluation.lengths],
        tables={
            "Settings": [(key, str(value)) for key, _, value in settings(config)],
            "Data": _data_rows(report),
        },
    )
    write_text(path, page)


def _curve(name: str, history: Sequence[dict[str, float]]) -> Curve:
    found = [scores.get(name, math.nan) for scores in history]
    values = [value if math.isfinite(value) else None for value in found]
    return Curve(name=METRICS[name].title, steps=[int(scores["step"]) for scores in history], values=values)


def _data_rows(report: dict[str, Any]) -> list[tuple[str, str]]:
    splits = [
        (f"{split}", f"{size['pairs']:,} pairs, {size['sources']:,} sources")
        for split, size in report["splits"].items()
    ]
    drops = [(f"dropped: {reason}", f"{count:,}") for reason, count in report["dropped"].items()]
    extra = [
        (
            f"extra: {one['kind']} {one['path'] or ''}",
            f"{one['pairs_kept']:,} of {one['pairs_read']:,} pairs, weight {one['weight']:g}",
        )
        for one in report.get("extra", ())
    ]
    files = [(file["name"], f"SHA-256 {file['sha256']}") for file in report["files"]]
    about = [("source", str(report["source"])), ("licence", str(report["licence"]))]
    return [*about, *splits, *drops, *extra, *files]
