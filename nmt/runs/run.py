"""The run folder: all files of a training run. Self-contained; it can be moved to another machine."""

import dataclasses
import logging
import shutil
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from nmt.cli import command
from nmt.config.decoding import DecodingConfig
from nmt.config.schema import from_dict, rename_keys, to_dict
from nmt.config.settings import RENAMED, Config
from nmt.errors import ConfigError, RunError, explain
from nmt.files import lock_file, write_text
from nmt.onnx.names import is_exported
from nmt.runs.checkpoint import kept_checkpoints
from nmt.runs.latest import LATEST, find_run, is_pointer

logger = logging.getLogger("nmt")
CONFIG = "config.yaml"
_UNREADABLE = (OSError, yaml.YAMLError, ValueError, ConfigError)


@dataclass(frozen=True)
class Run:
    """Paths in a run folder."""

    folder: Path

    @property
    def best(self) -> Path:
        """The checkpoint that translates, selected by its development score."""
        return self.folder / "checkpoints" / "best"

    @property
    def last(self) -> Path:
        """The newest checkpoint."""
        return self.folder / "checkpoints" / "last"

    @property
    def prepared(self) -> Path:
        """Report on the prepared data."""
        return self.folder / "prepared.json"

    @property
    def training(self) -> Path:
        """Summary of the training run, written when it is finished."""
        return self.folder / "training.json"

    @property
    def report(self) -> Path:
        """The HTML report."""
        return self.folder / "report.html"

    @property
    def confidence(self) -> Path:
        """The calibration of the confidence of its translations."""
        return self.folder / "confidence.json"

    @property
    def datastore(self) -> Path:
        """The training tokens for retrieval, made by `python -m nmt.datastore`."""
        return self.folder / "datastore"

    @property
    def pretraining(self) -> Path:
        """The run on another corpus that this one starts from, if its settings ask for one."""
        return self.folder / "pretraining"

    @property
    def tensorboard(self) -> Path:
        """TensorBoard event files."""
        return self.folder / "tensorboard"

    def examples(self, split: str) -> Path:
        """The sentences of "dev" or "test" with all references, so that the run can be evaluated anywhere."""
        return self.folder / "data" / f"{split}.jsonl"

    @property
    def word_counts(self) -> Path:
        """How often each source word occurs in the training set, for evaluation anywhere."""
        return self.folder / "data" / "source_words.tsv"

    def evaluation(self, split: str, to: str | None = None) -> Path:
        """Translations, scores and attention of "dev" or "test", in the main direction or to a language."""
        return self.folder / (split if to is None else f"{split}-to-{to}")

    def ensemble(self, split: str, to: str | None = None) -> Path:
        """The same of the latest runs that translated together, of which this is the first."""
        return self.folder / "ensemble" / self.evaluation(split, to).name

    def reranked(self, split: str, to: str | None = None) -> Path:
        """The same of the latest ranking with a reverse model."""
        return self.folder / "reranked" / self.evaluation(split, to).name

    @property
    def log(self) -> Path:
        """The training log."""
        return self.folder / "train.log"

    def decoding(self) -> DecodingConfig:
        """The decoding settings of the run, the only settings needed after training.

        Raises:
            RunError: if they are missing or unreadable.
        """
        path = self.folder / CONFIG
        try:
            values = yaml.safe_load(path.read_text(encoding="utf-8"))
            decoding = values.get("decoding") if isinstance(values, dict) else None
            return from_dict(DecodingConfig, decoding, "decoding")
        except _UNREADABLE as error:
            raise RunError(f"{path}: missing or corrupt: {str(error).splitlines()[0]}") from error


def reopen_run(path: Path) -> tuple[Run, Config]:
    """A run to resume and its settings; `path` as for `find_run`.

    Raises:
        RunError: if there is none, or its settings cannot be read.
    """
    found = find_run(path)
    if not found.is_dir():
        raise RunError(f"resume={path}: no such run")
    refuse_exported(found, f"resume={path}")
    run = Run(found)
    try:
        values: Any = yaml.safe_load((run.folder / CONFIG).read_text(encoding="utf-8"))
        if not isinstance(values, dict) or not values:
            raise ConfigError("contains no settings")
        return run, from_dict(Config, rename_keys(values, RENAMED), "config")
    except _UNREADABLE as error:
        where = run.folder / CONFIG
        raise RunError(f"{where}: missing or corrupt: {str(error).splitlines()[0]}") from error


def write_config(run: Run, config: Config) -> None:
    """Write the settings of a run to its folder."""
    from omegaconf import OmegaConf  # slow to import, and not needed to translate

    write_text(run.folder / CONFIG, OmegaConf.to_yaml(OmegaConf.create(to_dict(config))))


@contextmanager
def locked(run: Run) -> Iterator[None]:
    """Lock the run for one training process; the operating system releases the lock when the process dies.
    File errors inside the block are reported together with the command to resume.

    Raises:
        RunError: if another process is training in this run, or a file in it cannot be written.
    """
    try:
        with ExitStack() as stack:
            try:
                stack.enter_context(lock_file(run.folder / ".lock", wait=False))
            except BlockingIOError as error:
                raise RunError(f"{run.folder}: another process is training in this run") from error
            yield
    except OSError as error:
        if error.errno is None or isinstance(error, BrokenPipeError):  # not about a file
            raise
        resume = command("python", "-m", "nmt.train", f"resume={run.folder}")
        raise RunError(f"{explain(error, run.folder)}, then resume with: {resume}") from error


def check_name(config: Config) -> None:
    """Reject a name that a new run cannot have.

    Raises:
        ConfigError: if `config.name` is taken or not a plain folder name.
        RunError: if a file or folder that is not ours is in the place of `latest`.
    """
    latest = Path(config.runs) / LATEST
    if latest.exists() and not is_pointer(latest):
        raise RunError(f"{latest}: reserved for the pointer to the newest run; move what is there")
    if config.name is None:
        return
    if Path(config.name).name != config.name or config.name in ("", "..", LATEST):
        raise ConfigError(
            f"name={config.name}: must be a plain folder name, and not {LATEST}; runs= is the parent folder"
        )
    folder = Path(config.runs) / config.name
    if folder.exists():
        raise ConfigError(f"name={config.name}: {folder} exists; choose another name")


def create_run(config: Config, name: str) -> Run:
    """Create a new run folder with the resolved settings in it.

    Args:
        config: the settings; `runs` is the parent folder.
        name: the default name if `config.name` is None; a number is appended if it is taken.

    Raises:
        ConfigError: if `config.name` is taken or not a plain folder name.
        RunError: if the folder cannot be created.
    """
    check_name(config)
    runs = Path(config.runs)
    default = f"{name}-{time.strftime('%Y%m%d-%H%M%S')}"
    for attempt in range(1, 1000):
        folder = runs / (config.name or (default if attempt == 1 else f"{default}-{attempt}"))
        try:
            folder.mkdir(parents=True)
            break
        except FileExistsError as error:
            if config.name is not None:
                raise ConfigError(f"name={config.name}: {folder} exists; choose another name") from error
        except OSError as error:
            raise RunError(explain(error, folder)) from error
    run = Run(folder)
    try:
        write_config(run, dataclasses.replace(config, name=folder.name))
    except OSError as error:
        shutil.rmtree(folder, ignore_errors=True)  # it could not be resumed without its settings
        raise RunError(explain(error, folder)) from error
    return run


def open_run(path: Path) -> Run:
    """A run that has a checkpoint, which is verified only when loaded. `path` as for `find_run`.

    Raises:
        RunError: if there is none; the message says how to train one.
    """
    found = find_run(path)
    if not found.exists():
        hint = "train a model first: `make demo` (minutes) or `python -m nmt.train`"
        if is_pointer(path):
            raise RunError(
                f"{path}: points to a run that no longer exists; select another with --run, or {hint}"
            )
        raise RunError(f"{path}: no such run; {hint}, or select one with --run")
    refuse_exported(found, str(path))
    run = Run(found)
    if not kept_checkpoints(run.best):
        raise RunError(f"{path}: contains no complete checkpoint; select another run with --run")
    return run


def refuse_exported(folder: Path, name: str) -> None:
    """Raise an error if a folder is not a run but an exported model.

    Args:
        folder: the folder.
        name: what the user has called it.

    Raises:
        RunError: if it is one; the message says what it is good for.
    """
    if is_exported(folder):
        raise RunError(
            f"{name}: an exported model, not a run; nmt.translate, nmt.align and nmt.serve work with it, "
            "here give the run that it was exported from"
        )
