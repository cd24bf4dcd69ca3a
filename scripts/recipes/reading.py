"""Reading of finished runs: what they translated, grouped by recipe."""

import glob
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

from nmt.cli import command, option
from nmt.errors import ConfigError, RunError

_IGNORED = ("seed", "name", "runs", "resume", "device", "threads", "data.cache")
"""Settings that may differ within a recipe."""
_TRANSLATIONS = "translations.tsv"
CLAIM = 3  # seeds that a claim needs


@dataclass(frozen=True)
class Recipe:
    """A group of runs.

    Attributes:
        name: as given.
        runs: their folders, or those of evaluations.
        seeds: of each run; None of an evaluation.
        outputs: the N translations of each run.
        warnings: what makes them a bad sample of the recipe, one line each.
    """

    name: str
    runs: list[str]
    seeds: list[int | None]
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
        run: whose set, and whose counts, these are.
    """

    split: str
    sources: list[str]
    references: list[tuple[str, ...]]
    tokenizer: str
    rarest: list[int | None] | None
    run: str


def parse_recipe(text: str) -> tuple[str, list[Path]]:
    """The name and the folders of `NAME=RUN,RUN,…`, in which a run may be a pattern such as `runs/big-*`.

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
    runs = [path for path in found if _is_run(path) and not is_pointer(path)]
    if not runs:
        raise ConfigError(f"--recipe {name}: no run matches {pattern}")
    return runs


def _is_run(path: Path) -> bool:
    return any((path / name).is_file() for name in ("config.yaml", _TRANSLATIONS))


def read_recipes(groups: Sequence[tuple[str, list[Path]]], split: str) -> tuple[list[Recipe], TestSet]:
    """The translations of all runs, and what they translated.

    Args:
        groups: name and run folders of each recipe.
        split: "dev" or "test".

    Raises:
        ConfigError: if two recipes have the same name, or the same run.
        RunError: if a run was not evaluated, or on other sentences than the first, or with another tokenizer.
    """
    names = [name for name, _ in groups]
    if len(set(names)) < len(names):
        raise ConfigError("--recipe: give each recipe a name of its own")
    owners: dict[Path, str] = {}
    for name, runs in groups:
        for run in runs:
            owner = owners.setdefault(run.resolve(), name)
            if owner != name:
                raise ConfigError(f"--recipe {name}: {run} is a run of {owner} too")
    read = [[_read_evaluation(run, split) for run in runs] for _, runs in groups]
    expected = read[0][0][0]
    for other, _ in chain.from_iterable(read):
        if (other.sources, other.references) != (expected.sources, expected.references):
            raise RunError(f"{other.run}: its {split} set is not that of {expected.run}: no score compares")
        if other.tokenizer != expected.tokenizer:
            raise RunError(
                f"{other.run}: BLEU's tokenizer is {other.tokenizer}, that of {expected.run} "
                f"{expected.tokenizer}"
            )
    counted = [test for test, _ in chain.from_iterable(read) if test.rarest is not None]
    recipes = [
        _recipe(name, runs, [translations for _, translations in found])
        for (name, runs), found in zip(groups, read, strict=True)
    ]
    return recipes, counted[0] if counted else expected


def _recipe(name: str, runs: Sequence[Path], outputs: list[list[str]]) -> Recipe:
    settings = [_settings(run) for run in runs]
    seeds = [one.get("seed") for one in settings]
    known = [seed for seed in seeds if seed is not None]
    keys = sorted(set().union(*settings).difference(_IGNORED))
    changed = [key for key in keys if any(one.get(key) != settings[0].get(key) for one in settings)]
    warnings = []
    if changed:
        warnings.append(f"{name}: its runs differ in more than the seed: {', '.join(changed)}")
    if len(set(known)) < len(known):
        warnings.append(f"{name}: some of its runs have the same seed, so they are not independent")
    if len(runs) < CLAIM:
        warnings.append(f"{name}: {len(runs)} of the {CLAIM} seeds that a claim needs")
    return Recipe(name, [str(run) for run in runs], seeds, outputs, warnings)


def _settings(run: Path) -> dict[str, Any]:
    """The settings of a run of any version, by dotted key; none of an evaluation."""
    import yaml

    if (run / _TRANSLATIONS).exists():
        return {}
    try:
        values = yaml.safe_load((run / "config.yaml").read_text(encoding="utf-8"))
        settings = dict(_flat(values, ""))
        extra = [_without_place(one, settings["name"]) for one in settings.get("data.extra") or ()]
        return settings | {"data.extra": extra}
    except (OSError, yaml.YAMLError, AttributeError, KeyError, TypeError) as error:
        raise RunError(f"{run / 'config.yaml'}: missing or corrupt") from error


def _without_place(corpus: dict[str, Any], name: str) -> dict[str, Any]:
    """A corpus of `data.extra`; every student has the pairs of its teachers in its own folder."""
    own = (name, "distillation", "synthetic.tsv")
    return corpus | {"path": own[-1]} if Path(str(corpus["path"])).parts[-3:] == own else corpus


def _flat(values: dict[str, Any], prefix: str) -> list[tuple[str, Any]]:
    found = []
    for key, value in values.items():
        found += _flat(value, f"{prefix}{key}.") if isinstance(value, dict) else [(prefix + key, value)]
    return found


def _read_evaluation(run: Path, split: str) -> tuple[TestSet, list[str]]:
    """What a run has translated, and its translations.

    Args:
        run: a run folder, or that of an evaluation (`nmt.evaluate --output`).
        split: of a run folder.
    """
    from nmt.data.word_counts import rarest_count
    from nmt.runs.run import Run
    from nmt.runs.scoring import recorded_word_counts

    folder = run if (run / _TRANSLATIONS).exists() else run / split
    try:
        text = (folder / _TRANSLATIONS).read_text(encoding="utf-8").removesuffix("\n")
        head, *rows = (line.split("\t") for line in text.split("\n"))
        columns = [head.index(name) for name in ("source", "translation", "references")]
        sources, translations = ([row[column] for row in rows] for column in columns[:2])
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        signature = dict(part.split(":", 1) for part in metrics["scores"]["BLEU"]["signature"].split("|"))
        tokenizer = signature["tok"]
    except (OSError, ValueError, IndexError, KeyError, TypeError) as error:
        again = command("python", "-m", "nmt.evaluate", *option("--run", run), "--split", split)
        raise RunError(f"{folder}: no evaluation, or corrupt; evaluate the run with: {again}") from error
    counts = recorded_word_counts(Run(run))
    seen = None if counts is None else [rarest_count(source, counts) for source in sources]
    references = [tuple(row[columns[2] :]) for row in rows]
    return TestSet(split, sources, references, tokenizer, seen, str(run)), translations
