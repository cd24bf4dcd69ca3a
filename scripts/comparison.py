"""Comparison of finished runs: a table and a figure."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nmt.cli import command, option
from nmt.config.schema import to_dict
from nmt.errors import RunError
from nmt.files import write_json, write_text


@dataclass(frozen=True)
class Bucket:
    """Scores of the test sentences whose source length in words is in the range `label`."""

    label: str
    sentences: int
    bleu: float
    chrf: float | None = None  # older runs have none


@dataclass(frozen=True)
class Result:
    """Results of a finished run."""

    model: str
    run: str
    scores: dict[str, dict[str, Any]]  # by name, each with its `value` and sacreBLEU `signature`
    aer: float | None  # None without gold alignments or without attention
    parameters: int
    tokens_per_second: float  # target tokens without padding, in training; median over the training curve
    minutes: float  # training time, including validation
    sentences: int  # in the test set
    buckets: list[Bucket]  # from short to long


# ---------------------------------------------------------------- reading the runs


def read_results(runs: Mapping[str, Path]) -> list[Result]:
    """Read the results of finished runs.

    Args:
        runs: by model.

    Raises:
        RunError: if their data differ, a file is missing or corrupt, or a run was scored with decoding
            settings other than its own, which would make the comparison unfair.
    """
    _refuse_other_data(list(runs.values()))
    return [_read_result(model, run) for model, run in runs.items()]


def _refuse_other_data(runs: Sequence[Path]) -> None:
    """Refuse to compare runs if the corpus changed between them."""
    prints = {run: _read(run / "prepared.json", "fingerprint") for run in runs}
    newest = max(runs, key=lambda run: (run / "test" / "metrics.json").stat().st_mtime, default=None)
    for run, fingerprint in prints.items():
        if newest is not None and fingerprint != prints[newest]:
            raise RunError(f"{run}: trained on different data than {newest}; move it away and start again")


def _read(path: Path, *keys: str) -> list[Any]:
    """The values of these keys in a JSON file."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return [values[key] for key in keys]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: missing or corrupt; move the run away and start again") from error


def _read_result(model: str, folder: Path) -> Result:
    from safetensors import safe_open

    from nmt.runs.checkpoint import find_checkpoint
    from nmt.runs.run import Run

    run = Run(folder)
    decoding, scores, alignment, sentences, buckets = _read(
        run.evaluation("test") / "metrics.json",
        *("decoding", "scores", "alignment", "sentences", "bleu_by_source_words"),
    )
    speed, seconds = _read(run.training, "tokens_per_second", "seconds")
    if decoding != to_dict(run.decoding()):
        hint = f"score it again: {command('python', '-m', 'nmt.evaluate', *option('--run', folder))}"
        raise RunError(
            f"{folder}: its test set was scored with decoding settings other than in config.yaml; {hint}"
        )
    with safe_open(find_checkpoint(run.best) / "model.safetensors", framework="numpy") as weights:
        shapes = [weights.get_slice(name).get_shape() for name in weights.keys()]  # noqa: SIM118
    return Result(
        model=model,
        run=str(folder),
        scores=scores,
        aer=None if alignment is None else alignment["aer"],
        parameters=sum(map(math.prod, shapes)),
        tokens_per_second=speed,
        minutes=seconds / 60,
        sentences=sentences,
        buckets=[Bucket(**bucket) for bucket in buckets],
    )


# ---------------------------------------------------------------- table and figure


def write_comparison(
    folder: Path, models: Sequence[str], results: Sequence[Result], title: str, overrides: Sequence[str]
) -> str:
    """Write comparison.md, comparison.json, bleu_by_length.png and .svg to a folder.

    Args: see `table`.

    Returns:
        the table.
    """
    report = table(models, results, title, overrides)
    write_text(folder / "comparison.md", report)
    missing = [model for model in models if model not in {result.model for result in results}]
    said = {"title": title, "overrides": overrides, "failed": missing}
    write_json(folder / "comparison.json", said | {"models": [asdict(result) for result in results]})
    _draw(folder / "bleu_by_length", results, title)
    return report


def table(models: Sequence[str], results: Sequence[Result], title: str, overrides: Sequence[str]) -> str:
    """The comparison as Markdown.

    Args:
        models: one row each, in this order; those without a result are shown as failed.
        results: of the finished runs.
        title: the heading; may be empty.
        overrides: the overrides for all runs.
    """
    columns: dict[str, Callable[[Result], str]] = {
        "BLEU": lambda result: f"{result.scores['BLEU']['value']:.2f}",
        "chrF2": lambda result: f"{result.scores['chrF2']['value']:.2f}",
        "AER": lambda result: "–" if result.aer is None else f"{result.aer:.3f}",
        "parameters": lambda result: f"{result.parameters:,}",
        "target tokens/s": lambda result: f"{result.tokens_per_second:,.0f}",
        "minutes": lambda result: f"{result.minutes:.1f}",
    }
    if all(result.aer is None for result in results):
        del columns["AER"]
    by_model = {result.model: result for result in results}
    lines = [f"# {title or 'Comparison of models'}", ""]
    lines += [f"| model | {' | '.join(columns)} |", "|---|" + "---:|" * len(columns)]
    for model in models:
        cells = ["failed"] + ["–"] * (len(columns) - 1)
        if model in by_model:
            cells = [column(by_model[model]) for column in columns.values()]
        lines.append(f"| {model} | {' | '.join(cells)} |")
    lines += ["", f"One run per model, with `{' '.join(overrides) or 'the default settings'}`."]
    if results:
        bleu = results[0].scores["BLEU"]["signature"]
        lines += [
            f"BLEU and chrF2 on {results[0].sentences:,} test sentences (BLEU signature: `{bleu}`).",
            "Tokens per second: median over training. Minutes: training including validation.",
        ]
    return "\n".join([*lines, "", "![BLEU by source length](bleu_by_length.png)", ""])


def _draw(path: Path, results: Sequence[Result], title: str) -> None:
    from nmt.visualisation.curves import draw_by_length, save_figure

    buckets = results[0].buckets if results else []
    figure = draw_by_length(
        [bucket.label for bucket in buckets],
        [bucket.sentences for bucket in buckets],
        {result.model: [bucket.bleu for bucket in result.buckets] for result in results},
        title,
    )
    save_figure(path, figure)
