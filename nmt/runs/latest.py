"""`<runs>/latest`: the newest run that has a checkpoint.

It is a folder of relative symbolic links to everything in the run except its TensorBoard folder. With a link
to the run itself, TensorBoard, which follows links, would show the newest run twice.
"""

import logging
import shutil
from pathlib import Path

from nmt.cli import command, option
from nmt.files import sync_folder
from nmt.runs.checkpoint import kept_checkpoints

logger = logging.getLogger("nmt")
LATEST = "latest"
_CONFIG = "config.yaml"
_LINKED = (
    _CONFIG, "prepared.json", "train.log", "training.json", "report.html", "data", "checkpoints", "dev",
    "test",
)  # fmt: skip
"""Linked if they exist when the links are made; some exist only once training is finished."""


def is_pointer(path: Path) -> bool:
    """Whether this is `latest` as made by `point_latest`, or by older versions: a link to the run."""
    if path.is_symlink() or not path.is_dir():
        return path.is_symlink()
    entries = list(path.iterdir())
    return bool(entries) and all(entry.is_symlink() for entry in entries)


def point_latest(run: Path) -> None:
    """Point `latest`, next to the run folder, to this run. If links cannot be created (on Windows without
    the privilege), only log a warning.
    """
    link = run.parent / LATEST
    fresh, old = (run.parent / f".{LATEST}.{run.name}.{suffix}" for suffix in ("new", "old"))
    try:
        for left in (fresh, old):  # left by a crash
            shutil.rmtree(left, ignore_errors=True)
        fresh.mkdir()
        for name in _LINKED:
            if (run / name).exists():
                (fresh / name).symlink_to(Path("..", run.name, name))
        if link.is_symlink():
            link.unlink()
        elif link.exists():
            link.rename(old)
        fresh.rename(link)  # if it crashes before this, `find_run` still finds the newest run
        sync_folder(run.parent)
    except OSError as error:
        option_to_select = command(*option("--run", run))
        logger.warning(
            f"warning: {link}: cannot be created ({error.strerror}); select this run with {option_to_select}"
        )
    for left in (fresh, old):
        shutil.rmtree(left, ignore_errors=True)


def finish_latest(run: Path) -> None:
    """Add the remaining files of a finished run to `latest`, if it points to this run."""
    latest = run.parent / LATEST
    if is_pointer(latest) and find_run(latest) == run.resolve():
        point_latest(run)


def find_run(path: Path) -> Path:
    """Resolve `path` to a run folder. `<runs>/latest` resolves to the run it points to; if it does not exist,
    to the run in `<runs>` with the newest best checkpoint, if any.
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
    return max(best, key=lambda folder: folder.stat().st_mtime).parent.parent if best else path
