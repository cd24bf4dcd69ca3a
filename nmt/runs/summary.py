"""Log lines about the data at the start of training and about the results at the end."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any

from nmt.cli import command, option
from nmt.config.data import DataConfig
from nmt.config.settings import Config
from nmt.data.prepare import Prepared
from nmt.runs.run import Run

logger = logging.getLogger("nmt")
_EXPECTED = 30  # source sentences of a split; with fewer, half as many may be chance


def log_start(run: Run, prepared: Prepared, config: Config) -> None:
    """Log what a new run trains on."""
    report = prepared.report
    drops = ", ".join(f"{count} {reason}" for reason, count in report["dropped"].items() if count)
    pairs = {split: f"{size['pairs']:,}" for split, size in report["splits"].items()}
    if "extra" in report:
        pairs["train"] += " with extra data"
    splits = ", ".join(f"{split} {count}" for split, count in pairs.items())
    logger.info(f"run folder: {run.folder}")
    change = report["since_previous"]
    if prepared.fresh and change is not None:
        logger.info(
            f"the corpus has changed since it was last prepared: {change['new_sources']} new source "
            f"sentences, {change['gone_sources']} removed, {change['moved_sources']} moved to another split"
        )
    if report.get("dev_in_test"):
        logger.warning(
            f"warning: {report['dev_in_test']} development sentences share a sentence with the test set, so "
            "checkpoint selection sees part of the test set"
        )
    logger.info(
        f"data: {config.data.source}, {report['pairs_kept']:,} pairs ({splits}); dropped: {drops or 'none'}"
    )
    for warning in small_splits(report, config.data):
        logger.warning(f"warning: {warning}")
    for entry in report.get("extra", ()):
        line = _extra_line(entry)
        if entry["pairs_kept"]:
            logger.info(line)
        else:
            logger.warning(f"warning: {line}: it has no effect")


def small_splits(report: Mapping[str, Any], config: DataConfig) -> list[str]:
    """A line for the development and the test set if it is far smaller than its fraction of the components.

    The split of a component depends on its content only, so what was a training set once becomes one again.

    Args:
        report: of the preparation.
        config: the settings it was prepared with.
    """
    fractions = {"dev": config.dev_fraction, "test": config.test_fraction}
    own = {
        "dev": config.dev_path or config.dev_source_path,
        "test": config.test_path or config.test_source_path,
    }
    lines = []
    for split, fraction in fractions.items():
        expected, sources = round(fraction * report["components"]), report["splits"][split]["sources"]
        if own[split] is None and expected >= _EXPECTED and sources < expected / 2:
            lines.append(
                f"the {split} set has only {sources} source sentences, not about {expected}, as "
                f"data.{split}_fraction={fraction:g} asks for; is this the training set of another run? A "
                f"sentence always goes to the same split; give a set of your own (data.{split}_path=FILE)"
            )
    return lines


def _extra_line(entry: Mapping[str, Any]) -> str:
    """What is trained on besides: an entry of the report for an extra corpus."""
    tag = f", tag {entry['tag']}" if entry["tag"] else ""
    drops = ", ".join(f"{count:,} {reason}" for reason, count in entry["dropped"].items() if count)
    name = " ".join(filter(None, (entry["kind"], entry["path"])))
    return (
        f"extra data: {name} (weight {entry['weight']:g}{tag}), "
        f"{entry['pairs_kept']:,} of {entry['pairs_read']:,} pairs; dropped: {drops or 'none'}"
    )


def log_end(run: Run, sentences: Sequence[str]) -> None:
    """Log where the results of a finished run are, and commands to copy.

    Args:
        run: the run.
        sentences: source sentences of its test set; the example command uses one, preferably without an
            apostrophe, which would need quoting.
    """
    example = next((text for text in sentences if "'" not in text), sentences[0])
    folder = run.evaluation("test")
    logger.info(f"translations, scores and attention: {folder}")
    if (folder / "heatmaps").is_dir():
        logger.info(f"alignment heatmaps:                 {folder / 'heatmaps'}")
    translate = ("python", "-m", "nmt.translate", *option("--run", run.folder), "--")
    curves = command("tensorboard", *option("--logdir", run.folder.parent))
    logger.info(
        f"report:                             {run.report}\n"
        f"training curves:                    {curves}\n"
        f"translate:                          {command(*translate, example)}"
    )
