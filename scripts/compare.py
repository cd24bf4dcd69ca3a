"""Train several models on the same data with the same settings, and compare them in a table and a figure; or
compare recipes, each several finished runs that differ in the seed.
"""

import argparse
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import FrameType

from comparison import read_results, write_comparison

from nmt import cli
from nmt.config.settings import Config
from nmt.errors import ConfigError, RunError, StoppedError

SIGNALS = [
    getattr(signal, name)
    for name in ("SIGINT", "SIGTERM", "SIGHUP", "SIGQUIT", "SIGUSR1")
    if hasattr(signal, name)
]
OURS = ("model", "name", "resume", "runs")  # settings that this script sets


def parser() -> argparse.ArgumentParser:
    """Return the argument parser."""
    parser = argparse.ArgumentParser(
        prog="python scripts/compare.py",
        usage="%(prog)s --models MODEL ... --output FOLDER [--title TEXT] [--again] [KEY=VALUE ...]\n"
        "       %(prog)s --recipe NAME=RUN,RUN,... --recipe ... [--split dev] [--output FOLDER]",
        description=f"{__doc__} A model that has a finished run with the same settings in FOLDER is "
        "not trained again. Writes comparison.md, comparison.json and bleu_by_length.png, .svg to FOLDER; "
        "with --recipe, recipes.md, recipes.json and the figure.",
        epilog="Exit status: 0 success, 1 some training run failed, 2 none finished or user error, "
        "128 + N stopped by signal N.",
    )
    parser.add_argument(
        "--models",
        nargs="*",
        action="extend",
        default=[],
        metavar="MODEL",
        help="files in configs/model: bahdanau luong …",
    )
    parser.add_argument(
        "--recipe",
        action="append",
        default=[],
        metavar="NAME=RUN,RUN",
        help="train nothing: mean and spread over the runs (folders of runs or evaluations, or patterns "
        "such as 'runs/big-*') of each recipe, and the significance of its difference from the first",
    )
    parser.add_argument(
        "--split",
        choices=("dev", "test"),
        help="with --recipe: the set to compare on (default: test); make choices on dev, and score test once",
    )
    parser.add_argument("--output", metavar="FOLDER", help="folder for the runs and the comparison")
    parser.add_argument("--title", default="", metavar="TEXT", help="title of the table and the figure")
    parser.add_argument(
        "--again", action="store_true", help="train all models, including those already trained"
    )
    parser.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="overrides for all runs: experiment=demo …"
    )
    return parser


def main() -> None:
    """Run the command."""
    arguments = parser().parse_intermixed_args()
    if arguments.recipe:
        _compare_recipes(arguments)
        return
    if arguments.split:
        raise ConfigError("--split: give it with --recipe only")
    models = list(dict.fromkeys(text for text in arguments.models if "=" not in text))
    given = {text for text in arguments.models if "=" in text} | set(arguments.overrides)
    position = {text: number for number, text in enumerate(sys.argv)}
    overrides = sorted(given, key=lambda text: position.get(text, 0))  # in the order typed: the last one wins
    folder = _check(models, arguments.output, overrides)
    settings = {model: _compose(model, overrides) for model in models}
    folder.mkdir(parents=True, exist_ok=True)
    runs = train_missing(settings, folder, overrides, arguments.again)
    if not runs:
        raise RunError("no training run has finished: nothing to compare, and nothing is written")
    title = " ".join(arguments.title.split())
    report = write_comparison(folder, models, read_results(runs), title, overrides)
    print(f"\n{report}\nwritten: {folder}/comparison.md, comparison.json, bleu_by_length.png, .svg")
    if failed := [model for model in models if model not in runs]:
        print(
            f"error: {len(failed)} of {len(models)} training runs failed: {', '.join(failed)}",
            file=sys.stderr,
        )
        sys.exit(1)


def _compare_recipes(arguments: argparse.Namespace) -> None:
    """Compare finished runs, grouped by recipe."""
    from recipes.reading import parse_recipe, read_recipes

    if arguments.models or arguments.overrides or arguments.again or arguments.title:
        raise ConfigError("--recipe: give it without --models, --title, --again and settings")
    folder = None if arguments.output is None else _folder(arguments.output)
    recipes, test = read_recipes([parse_recipe(text) for text in arguments.recipe], arguments.split or "test")
    from recipes.results import compare_recipes  # imports sacreBLEU
    from recipes.tables import aligned, render, write_recipes

    results = compare_recipes(recipes, test)
    print(render(results, recipes, test, aligned), end="")
    if folder is not None:
        write_recipes(folder, results, recipes, test)
        print(f"\nwritten: {folder}/recipes.md, recipes.json, bleu_by_length.png, .svg")


# ---------------------------------------------------------------- settings and trainings


def _check(models: Sequence[str], output: str | None, overrides: Sequence[str]) -> Path:
    """Validate the arguments; returns the output folder."""
    if not models:
        raise ConfigError("--models: give at least one, such as bahdanau luong seq2seq")
    for model in models:
        if not model.replace("-", "_").isidentifier():
            raise ConfigError(f"--models {model!r}: give names from configs/model/, separated by spaces")
    if not output:
        raise ConfigError("--output: give the folder for the comparison")
    for override in overrides:
        key, equals, _ = override.lstrip("+~").partition("=")
        if not equals:
            raise ConfigError(f"{override}: settings are KEY=VALUE; models go directly after --models")
        if key in OURS:
            raise ConfigError(f"{override}: {key} is set by --models and --output; leave it out")
    return _folder(output)


def _folder(output: str) -> Path:
    for path in (Path(output), *Path(output).parents):
        if path.exists() and not path.is_dir():
            raise ConfigError(f"--output {output}: {path} is a file; give a folder")
    return Path(output)


def _compose(model: str, overrides: Sequence[str]) -> Config:
    """The settings that `model` will be trained with, in the form returned by `finished_runs`.

    Raises:
        ConfigError: as training itself would.
    """
    from nmt.launch.main import with_config

    found: list[Config] = []

    def task(config: Config, name: str, overrides: tuple[str, ...]) -> None:
        found.append(config)

    sys.argv[1:] = [f"model={model}", *overrides]
    with_config(task)
    return _bare(found[0])


def train_missing(
    settings: Mapping[str, Config], folder: Path, overrides: Sequence[str], again: bool = False
) -> dict[str, Path]:
    """Train every model without a finished run in `folder`, in one sweep.

    Args:
        settings: the settings of each model.
        folder: the folder of the runs.
        overrides: the overrides that `settings` were composed from, besides the model.
        again: train all models.

    Returns:
        the newest finished run of each model; models whose training failed are missing.
    """
    before = {} if again else finished_runs(folder)
    runs = {model: run for model, config in settings.items() if (run := _newest(before, config))}
    for model, run in runs.items():
        print(f"{model}: already trained, {run}", flush=True)
    missing = [model for model in settings if model not in runs]
    if missing:
        old = finished_runs(folder).keys()
        quoted = str(folder).replace("'", "\\'")
        run_sweep(f"model={','.join(missing)}", f"runs='{quoted}'", *overrides)
        new = {run: config for run, config in finished_runs(folder).items() if run not in old}
        runs |= {model: run for model in missing if (run := _newest(new, settings[model]))}
    return {model: runs[model] for model in settings if model in runs}


def run_sweep(*overrides: str) -> None:
    """Run `nmt.train -m` with these arguments in a subprocess, so that the comparison survives if it is
    killed. Signals, including those from the terminal, are forwarded to it once each.

    Raises:
        StoppedError: if a signal stopped it; it has printed how to resume.
    """
    early: list[int] = []
    process: subprocess.Popen[bytes] | None = None

    def hand_on(number: int, frame: FrameType | None) -> None:
        if process is None:
            early.append(number)
        else:
            process.send_signal(number)

    before = {number: signal.signal(number, hand_on) for number in SIGNALS}
    try:
        process = subprocess.Popen(
            [sys.executable, "-m", "nmt.train", "-m", *overrides], start_new_session=True
        )
        for number in early:
            process.send_signal(number)
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number in SIGNALS:
        if code in (-number, 128 + number):
            raise StoppedError("then run this command again: it trains the missing models", number)


def finished_runs(folder: Path) -> dict[Path, Config]:
    """The runs in `folder` that have been evaluated, oldest first, with their settings as from `_bare`."""
    from nmt.runs.latest import is_pointer
    from nmt.runs.run import reopen_run

    found = {}
    for metrics in sorted(folder.glob("*/test/metrics.json"), key=lambda path: path.stat().st_mtime):
        run = metrics.parent.parent
        if is_pointer(run):  # `latest`
            continue
        try:
            _, config = reopen_run(run)
        except RunError:
            continue  # of another version, or corrupt: not the same settings
        found[run] = _bare(config)
    return found


def _newest(runs: Mapping[Path, Config], config: Config) -> Path | None:
    same = [run for run, other in runs.items() if other == config]
    return same[-1] if same else None


def _bare(config: Config) -> Config:
    """The settings without the name and folder of the run, which do not matter here."""
    return replace(config, name=None, runs="")


if __name__ == "__main__":
    cli.run(main)
