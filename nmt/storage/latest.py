"""`<runs>/latest`: the newest run that has a checkpoint.

It is a folder of relative links to all that a run has but its TensorBoard folder. A link to the run itself
would make TensorBoard, which follows links, show the newest run twice.
"""

import logging
import shutil
from pathlib import Path

from nmt.files import sync_folder
from nmt.shell import command, option
from nmt.storage.checkpoint import kept_checkpoints

logger = logging.getLogger("nmt")
LATEST = "latest"
_CONFIG = "config.yaml"
_LINKED = (
    _CONFIG, "prepared.json", "train.log", "training.json", "report.html", "data", "checkpoints", "dev",
    "test",
)  # fmt: skip
"""Those that are there when the links are made; the last ones only when the training is finished."""


def is_pointer(path: Path) -> bool:
    """Whether this is `latest` as `point_latest` makes it, or as it was before: a link to the run."""
    if path.is_symlink() or not path.is_dir():
        return path.is_symlink()
    entries = list(path.iterdir())
    return bool(entries) and all(entry.is_symlink() for entry in entries)


def point_latest(run: Path) -> None:
    """Let `latest`, beside a run's folder, point at it. Training can do without: where links cannot be made
    (Windows without the privilege), a warning says so.
    """
    place = run.parent / LATEST
    fresh, old = (run.parent / f".{LATEST}.{run.name}.{word}" for word in ("new", "old"))
    try:
        for left in (fresh, old):  # by a crash
            shutil.rmtree(left, ignore_errors=True)
        fresh.mkdir()
        for name in _LINKED:
            if (run / name).exists():
                (fresh / name).symlink_to(Path("..", run.name, name))
        if place.is_symlink():
            place.unlink()
        elif place.exists():
            place.rename(old)
        fresh.rename(place)  # a crash before it: `find_run` finds the newest run all the same
        sync_folder(run.parent)
    except OSError as error:
        way = command(*option("--run", run))
        logger.warning(f"warning: {place}: not made ({error.strerror}); name this run with {way}")
    for left in (fresh, old):
        shutil.rmtree(left, ignore_errors=True)


def finish_latest(run: Path) -> None:
    """Add what a finished run has got to `latest`, if that points at it."""
    latest = run.parent / LATEST
    if is_pointer(latest) and find_run(latest) == run.resolve():
        point_latest(run)


def find_run(path: Path) -> Path:
    """The folder of the run that `path` names. For `<runs>/latest` that is where it points; if there is no
    such entry, the run beside it whose best checkpoint is the newest, if there is any.
    """
    if (path / _CONFIG).is_symlink():
        return (path / _CONFIG).resolve().parent
    if path.name != LATEST or path.exists() or path.is_symlink():
        return path.resolve() if path.exists() else path
    best = [
        kept[0]
        for folder in path.parent.glob("*/")
        if not folder.is_symlink() and (kept := kept_checkpoints(folder / "checkpoints" / "best"))
    ]
    return max(best, key=lambda place: place.stat().st_mtime).parent.parent if best else path
