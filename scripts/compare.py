"""Train several models on one data set with one budget, and compare them in a table and a figure."""

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
OURS = ("model", "name", "resume", "runs")  # settings that this program gives


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python scripts/compare.py",
        usage="%(prog)s --models MODEL ... --output FOLDER [--title TEXT] [--again] [KEY=VALUE ...]",
        description=f"{__doc__} A model that has a finished run with the same settings below FOLDER "
        "is not trained again. Writes comparison.md, comparison.json and bleu_by_length.png, .svg there.",
        epilog="Exit status: 0; 1 when a training failed; 2 when none finished, or for a mistake; 128 and "
        "the signal's number when one stopped it.",
    )
    parser.add_argument(
        "--models",
        nargs="*",
        action="extend",
        default=[],
        metavar="MODEL",
        help="files of configs/model: bahdanau luong …",
    )
    parser.add_argument("--output", metavar="FOLDER", help="where the runs and the comparison go")
    parser.add_argument("--title", default="", metavar="TEXT", help="above the table and the figure")
    parser.add_argument("--again", action="store_true", help="train them all, also those already trained")
    parser.add_argument(
        "overrides", nargs="*", metavar="KEY=VALUE", help="settings of every training: experiment=demo …"
    )
    return parser


def main() -> None:
    """The command."""
    arguments = parser().parse_intermixed_args()
    models = list(dict.fromkeys(word for word in arguments.models if "=" not in word))
    given = {word for word in arguments.models if "=" in word} | set(arguments.overrides)
    place = {word: number for number, word in enumerate(sys.argv)}
    overrides = sorted(given, key=lambda word: place.get(word, 0))  # as typed: of two the last counts
    folder = _check(models, arguments.output, overrides)
    settings = {model: _compose(model, overrides) for model in models}
    folder.mkdir(parents=True, exist_ok=True)
    runs = train_missing(settings, folder, overrides, arguments.again)
    if not runs:
        raise RunError("no training has finished: nothing to compare, and nothing is written")
    title = " ".join(arguments.title.split())
    report = write_comparison(folder, models, read_results(runs), title, overrides)
    print(f"\n{report}\nwritten: {folder}/comparison.md, comparison.json, bleu_by_length.png, .svg")
    if failed := [model for model in models if model not in runs]:
        print(f"error: {len(failed)} of {len(models)} trainings failed: {', '.join(failed)}", file=sys.stderr)
        sys.exit(1)


# ---------------------------------------------------------------- settings and trainings


def _check(models: Sequence[str], output: str | None, overrides: Sequence[str]) -> Path:
    """The folder to write to, once the words of the command make sense."""
    if not models:
        raise ConfigError("--models: name at least one, such as bahdanau luong seq2seq")
    for model in models:
        if not model.replace("-", "_").isidentifier():
            raise ConfigError(f"--models {model!r}: names of configs/model/, with spaces between them")
    if not output:
        raise ConfigError("--output: name the folder that the comparison goes to")
    for override in overrides:
        key, equals, _ = override.lstrip("+~").partition("=")
        if not equals:
            raise ConfigError(f"{override}: settings are KEY=VALUE; models come right after --models")
        if key in OURS:
            raise ConfigError(f"{override}: {key} follows from --models and --output; leave it out")
    for place in (Path(output), *Path(output).parents):
        if place.exists() and not place.is_dir():
            raise ConfigError(f"--output {output}: {place} is a file; name a folder")
    return Path(output)


def _compose(model: str, overrides: Sequence[str]) -> Config:
    """The settings that the training of `model` will have, as `finished_runs` gives them.

    Raises:
        ConfigError: as the training itself would.
    """
    from nmt.composition import with_config

    found: list[Config] = []

    def task(config: Config, name: str, overrides: tuple[str, ...]) -> None:
        found.append(config)

    sys.argv[1:] = [f"model={model}", *overrides]
    with_config(task)
    return _bare(found[0])


def train_missing(
    settings: Mapping[str, Config], folder: Path, overrides: Sequence[str], again: bool = False
) -> dict[str, Path]:
    """Train, in one sweep, every model that has no finished run in `folder`.

    Args:
        settings: of each model.
        folder: of the runs.
        overrides: what `settings` were composed from, beside the model.
        again: train all of them.

    Returns:
        the newest finished run of each model; a model whose training failed has none.
    """
    before = {} if again else finished_runs(folder)
    runs = {model: run for model, config in settings.items() if (run := _newest(before, config))}
    for model, run in runs.items():
        print(f"{model}: trained already, {run}", flush=True)
    missing = [model for model in settings if model not in runs]
    if missing:
        old = finished_runs(folder).keys()
        place = str(folder).replace("'", "\\'")
        run_sweep(f"model={','.join(missing)}", f"runs='{place}'", *overrides)
        new = {run: config for run, config in finished_runs(folder).items() if run not in old}
        runs |= {model: run for model in missing if (run := _newest(new, settings[model]))}
    return {model: runs[model] for model in settings if model in runs}


def run_sweep(*words: str) -> None:
    """Run `nmt.train -m` with these words, in a process of its own: what kills it leaves the comparison
    alive. Signals are for it alone, once each, also those from the terminal.

    Raises:
        StoppedError: when a signal has stopped it; it has said how to go on.
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
        process = subprocess.Popen([sys.executable, "-m", "nmt.train", "-m", *words], start_new_session=True)
        for number in early:
            process.send_signal(number)
        code = process.wait()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number in SIGNALS:
        if code in (-number, 128 + number):
            raise StoppedError("then give this command again: it trains what is missing", number)


def finished_runs(folder: Path) -> dict[Path, Config]:
    """The runs in `folder` that have been evaluated, oldest first, each with its bare settings."""
    from nmt.storage.latest import is_pointer
    from nmt.storage.run import reopen_run

    found = {}
    for metrics in sorted(folder.glob("*/test/metrics.json"), key=lambda path: path.stat().st_mtime):
        run = metrics.parent.parent
        if is_pointer(run):  # as `latest` is
            continue
        try:
            _, config = reopen_run(run)
        except RunError:
            continue  # of another version, or damaged: not the same settings
        found[run] = _bare(config)
    return found


def _newest(runs: Mapping[Path, Config], config: Config) -> Path | None:
    same = [run for run, other in runs.items() if other == config]
    return same[-1] if same else None


def _bare(config: Config) -> Config:
    """The settings without the run's name and place, which make no difference."""
    return replace(config, name=None, runs="")


if __name__ == "__main__":
    cli.run(main)
