"""Reading of finished runs: what they translated, grouped by recipe."""

import glob
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nmt.cli import command, option
from nmt.errors import ConfigError, RunError

_IGNORED = ("seed", "name", "runs", "resume", "device", "threads", "data.cache")
"""Settings that may differ within a recipe."""
CLAIM = 3  # seeds that a claim needs


@dataclass(frozen=True)
class Recipe:
    """A group of runs.

    Attributes:
        name: as given.
        runs: their folders.
        seeds: of each run.
        outputs: the N translations of each run.
        warnings: what makes them a bad sample of the recipe, one line each.
    """

    name: str
    runs: list[str]
    seeds: list[int]
    outputs: list[list[str]]
    warnings: list[str]


@dataclass(frozen=True)
class TestSet:
    """What all the runs translated.

    Attributes:
        split: "dev" or "test".
        sources: N sentences.
        references: of each sentence.
        tokenizer: for BLEU.
        rarest: how often the rarest word of each source was seen in training; None if no run knows.
        counted_by: the run whose counts these are; all groups of sentences are the same for all runs.
    """

    split: str
    sources: list[str]
    references: list[tuple[str, ...]]
    tokenizer: str
    rarest: list[int | None] | None
    counted_by: str


def parse_recipe(text: str) -> tuple[str, list[Path]]:
    """The name and the run folders of `NAME=RUN,RUN,…`, in which a run may be a pattern such as `runs/big-*`.

    Raises:
        ConfigError: for another form, a pattern that no run matches, or a run that is given twice.
    """
    name, equals, listed = text.partition("=")
    if not (name and equals and listed):
        raise ConfigError(f"--recipe {text}: give NAME=RUN,RUN,… with the runs of all seeds")
    runs: list[Path] = []
    for part in listed.split(","):
        runs += _matching(name, part) if glob.has_magic(part) else [Path(part)]
    twice = [run for run, count in Counter(run.resolve() for run in runs).items() if count > 1]
    if twice:
        raise ConfigError(f"--recipe {name}: {twice[0]} is given twice")
    return name, runs


def _matching(name: str, pattern: str) -> list[Path]:
    from nmt.runs.latest import is_pointer

    found = [Path(path) for path in sorted(glob.glob(pattern))]  # noqa: PTH207 (absolute patterns too)
    runs = [path for path in found if (path / "config.yaml").is_file() and not is_pointer(path)]
    if not runs:
        raise ConfigError(f"--recipe {name}: no run matches {pattern}")
    return runs


def read_recipes(groups: Sequence[tuple[str, list[Path]]], split: str) -> tuple[list[Recipe], TestSet]:
    """The translations of all runs, and what they translated.

    Args:
        groups: name and run folders of each recipe.
        split: "dev" or "test".

    Raises:
        ConfigError: if two recipes have the same name.
        RunError: if a run was not evaluated, or on other sentences than the first, or with another tokenizer.
    """
    names = [name for name, _ in groups]
    if len(set(names)) < len(names):
        raise ConfigError("--recipe: give each recipe a name of its own")
    all_runs = [run for _, runs in groups for run in runs]
    expected = _read_test_set(all_runs[0], split)
    for run in all_runs[1:]:
        other = _read_test_set(run, split)
        if (other.sources, other.references) != (expected.sources, expected.references):
            raise RunError(
                f"{run}: its {split} set is not that of {all_runs[0]}, so no score can be compared"
            )
        if other.tokenizer != expected.tokenizer:
            raise RunError(
                f"{run}: BLEU's tokenizer is {other.tokenizer}, that of {all_runs[0]} {expected.tokenizer}"
            )
        if expected.rarest is None:
            expected = other
    return [_read_recipe(name, runs, split, expected.sources) for name, runs in groups], expected


def _read_recipe(name: str, runs: Sequence[Path], split: str, sources: Sequence[str]) -> Recipe:
    settings = [_settings(run) for run in runs]
    seeds = [int(one.get("seed", 0)) for one in settings]
    keys = sorted(set().union(*settings).difference(_IGNORED))
    changed = [key for key in keys if any(one.get(key) != settings[0].get(key) for one in settings)]
    warnings = []
    if changed:
        warnings.append(f"{name}: its runs differ in more than the seed: {', '.join(changed)}")
    if len(set(seeds)) < len(seeds):
        warnings.append(f"{name}: some of its runs have the same seed, so they are not independent")
    if len(runs) < CLAIM:
        warnings.append(f"{name}: {len(runs)} of the {CLAIM} seeds that a claim needs")
    outputs = [_read_translations(run, split, sources) for run in runs]
    return Recipe(name, [str(run) for run in runs], seeds, outputs, warnings)


def _settings(run: Path) -> dict[str, Any]:
    """The settings of a run of any version, by dotted key."""
    import yaml

    try:
        values = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
        return dict(_flat(values, ""))
    except (OSError, yaml.YAMLError, AttributeError) as error:
        raise RunError(f"{run / 'config.yaml'}: missing or corrupt") from error


def _flat(values: dict[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found = []
    for key, value in values.items():
        found += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return found


def _read_test_set(run: Path, split: str) -> TestSet:
    from nmt.data.examples import load_examples
    from nmt.data.word_counts import rarest_count
    from nmt.runs.run import Run
    from nmt.runs.scoring import recorded_tokenizer, recorded_word_counts

    folder = Run(run)
    examples = load_examples(folder.examples(split))
    sources, counts = [example.source for example in examples], recorded_word_counts(folder)
    return TestSet(
        split,
        sources,
        [example.references for example in examples],
        recorded_tokenizer(folder),
        None if counts is None else [rarest_count(source, counts) for source in sources],
        str(run),
    )


def _read_translations(run: Path, split: str, sources: Sequence[str]) -> list[str]:
    path = run / split / "translations.tsv"
    again = command("python", "-m", "nmt.evaluate", *option("--run", run), "--split", split)
    try:
        lines = path.read_text(encoding="utf-8").removesuffix("\n").split("\n")
        rows = [line.split("\t") for line in lines[1:]]
        found = [(row[0], row[1]) for row in rows]
    except (OSError, ValueError, IndexError) as error:
        raise RunError(f"{path}: missing or corrupt; evaluate the run with: {again}") from error
    if [source for source, _ in found] != list(sources):
        raise RunError(f"{path}: not of the {split} set of the run; evaluate the run with: {again}")
    return [translation for _, translation in found]
