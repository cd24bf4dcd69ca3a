"""What finished runs show: one table and one figure."""

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nmt.config.schema import to_dict
from nmt.errors import RunError
from nmt.files import write_json, write_text
from nmt.shell import command, option


@dataclass(frozen=True)
class Bucket:
    """BLEU of the test sentences whose source length, in words, lies in the range `label`."""

    label: str
    sentences: int
    bleu: float


@dataclass(frozen=True)
class Result:
    """What a finished run shows."""

    model: str
    run: str
    scores: dict[str, dict[str, Any]]  # by name, each with its `value` and sacreBLEU's `signature`
    aer: float | None  # None without gold alignments or without attention
    parameters: int
    tokens_per_second: float  # real target tokens in training; the median of the points of its curve
    minutes: float  # of training, validations included
    sentences: int  # of the test
    buckets: list[Bucket]  # from short to long


# ---------------------------------------------------------------- reading the runs


def read_results(runs: Mapping[str, Path]) -> list[Result]:
    """Gather what finished runs show.

    Args:
        runs: by model.

    Raises:
        RunError: when their data differ, when a file is missing or damaged, or when a run has been scored
            with another search than its settings name: the comparison would be unfair.
    """
    _refuse_other_data(list(runs.values()))
    return [_read_result(model, run) for model, run in runs.items()]


def _refuse_other_data(runs: Sequence[Path]) -> None:
    """Refuse to compare runs between which the source of the data has changed."""
    prints = {run: _read(run / "prepared.json", "fingerprint") for run in runs}
    newest = max(runs, key=lambda run: (run / "test" / "metrics.json").stat().st_mtime, default=None)
    for run, fingerprint in prints.items():
        if newest is not None and fingerprint != prints[newest]:
            raise RunError(f"{run}: its data are not those of {newest}; move it away and start again")


def _read(path: Path, *keys: str) -> list[Any]:
    """The values of these keys in a JSON file."""
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return [values[key] for key in keys]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise RunError(f"{path}: missing or damaged; move the run away and start again") from error


def _read_result(model: str, folder: Path) -> Result:
    from safetensors import safe_open

    from nmt.storage.checkpoint import find_checkpoint
    from nmt.storage.run import Run

    run = Run(folder)
    decoding, scores, alignment, sentences, buckets = _read(
        run.evaluation("test") / "metrics.json",
        *("decoding", "scores", "alignment", "sentences", "bleu_by_source_words"),
    )
    speed, seconds = _read(run.training, "tokens_per_second", "seconds")
    if decoding != to_dict(run.decoding()):
        way = f"score it again: {command('python', '-m', 'nmt.evaluate', *option('--run', folder))}"
        raise RunError(f"{folder}: its test was scored with another search than config.yaml says; {way}")
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
    """Write comparison.md, comparison.json, bleu_by_length.png and .svg into a folder.

    Args: as of `table`.

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
        models: one row each, in this order; those without a result have failed.
        results: of the finished runs.
        title: the heading; may be empty.
        overrides: settings of every training.
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
    lines += ["", f"One training each, with `{' '.join(overrides) or 'the default settings'}`."]
    if results:
        bleu = results[0].scores["BLEU"]["signature"]
        lines += [
            f"BLEU and chrF2 are of {results[0].sentences:,} test sentences (BLEU's signature: `{bleu}`).",
            "Tokens per second are the median over the training; minutes are of training and validating.",
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
