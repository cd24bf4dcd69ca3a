"""Checkpoints: a folder with everything needed to translate, written atomically, verified when read.

    model.safetensors   weights
    model.json          format, model settings, vocabulary sizes, training progress
    source.model        SentencePiece models
    target.model
    training.pt         optimizer and trainer state, in `last` only; loaded with `weights_only=True`
    manifest.json       SHA-256 of each of the files above

Loading a checkpoint never runs code from it: weights are safetensors, settings are plain data.
"""

import hashlib
import json
import logging
import shutil
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import IO, Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save

from nmt.config.model import ModelConfig
from nmt.config.schema import from_dict, rename_keys, to_dict
from nmt.config.settings import RENAMED
from nmt.data.tokenizer import PAD, Tokenizer
from nmt.errors import ConfigError, RunError
from nmt.files import naming, replacing, sha256, sync_folder, write_bytes, write_json
from nmt.model.initialise import empty_model
from nmt.model.translation import NO_DROPOUT, DropoutRates, TranslationModel
from nmt.runs.renamed import rename_state, rename_weights

logger = logging.getLogger("nmt")
FORMAT = 2
_READABLE = (1, FORMAT)
_NEEDED = ("model.safetensors", "model.json", "source.model", "target.model")


@dataclass
class Checkpoint:
    """A trained model and its tokenizers.

    Attributes:
        model: after loading, in evaluation mode on the requested device.
        config: the model settings.
        source, target: the tokenizers.
        progress: training progress: step, epoch, scores.
    """

    model: TranslationModel
    config: ModelConfig
    source: Tokenizer
    target: Tokenizer
    progress: dict[str, Any]


def save_checkpoint(
    folder: Path, checkpoint: Checkpoint, training: dict[str, Any] | None = None, keep: int = 1
) -> None:
    """Write a checkpoint to `folder` atomically. Previous checkpoints are rotated to `<name>.1` (the newest),
    `<name>.2` …

    Args:
        folder: such as `runs/<name>/checkpoints/best`.
        checkpoint: the checkpoint.
        training: the state needed to resume; plain values and tensors.
        keep: how many checkpoints to keep, including the new one; the previous one is removed only once the
            new one is in place.

    Raises:
        OSError: if writing fails; it names `folder`, and the previous checkpoint is kept.
    """
    fresh = folder.with_name(f".{folder.name}.new")
    try:
        with naming(folder):
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(parents=True)
            _write(fresh, checkpoint, training)
            _rotate(fresh, folder, keep)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _rotate(fresh: Path, folder: Path, keep: int) -> None:
    folders = [folder, *(folder.with_name(f"{folder.name}.{age}") for age in range(1, max(keep, 2)))]
    if folder.exists():  # if not, after a crash during rotation, do not rotate again
        _discard(folders[-1])
        for younger, older in reversed(list(pairwise(folders))):
            if younger.exists():
                younger.rename(older)
    fresh.rename(folder)
    sync_folder(folder.parent)
    for older in kept_checkpoints(folder)[keep:]:
        _discard(older)


def _discard(folder: Path) -> None:
    """Remove a checkpoint; renamed to a hidden name first, so that a partly deleted one is never used."""
    hidden = folder.with_name(f".{folder.name}.old")
    shutil.rmtree(hidden, ignore_errors=True)
    if folder.exists():
        folder.rename(hidden)
    shutil.rmtree(hidden, ignore_errors=True)


def _write(folder: Path, checkpoint: Checkpoint, training: dict[str, Any] | None) -> None:
    weights = {
        name: value.detach().cpu().contiguous() for name, value in checkpoint.model.state_dict().items()
    }
    write_bytes(folder / "model.safetensors", save(weights))
    write_bytes(folder / "source.model", checkpoint.source.model)
    write_bytes(folder / "target.model", checkpoint.target.model)
    description = {
        "format": FORMAT,
        "model": to_dict(checkpoint.config),
        "source_vocabulary": len(checkpoint.source),
        "target_vocabulary": len(checkpoint.target),
        "progress": checkpoint.progress,
    }
    write_json(folder / "model.json", description)
    if training is not None:
        with replacing(folder / "training.pt", "wb") as file:
            _save_state(training, file)
    write_json(folder / "manifest.json", {file.name: sha256(file) for file in sorted(folder.iterdir())})


def _save_state(training: dict[str, Any], file: IO[bytes]) -> None:
    try:
        torch.save(training, file)
    except RuntimeError as error:  # torch hides the OSError behind its own error about file positions
        raise error.__context__ or error from None


def kept_checkpoints(folder: Path) -> list[Path]:
    """The checkpoint at `folder`, if it exists, and the rotated ones, newest first."""
    rotated = (path for path in folder.parent.glob(f"{folder.name}.*") if path.suffix[1:].isdecimal())
    newest_first = sorted(rotated, key=lambda path: int(path.suffix[1:]))
    return [path for path in (folder, *newest_first) if path.exists()]


def find_checkpoint(folder: Path) -> Path:
    """The newest checkpoint at `folder`, or rotated from it, that passes verification; newer ones that are
    corrupt are reported in a warning.

    Raises:
        RunError: if there is none.
    """
    errors: list[RunError] = []
    for candidate in kept_checkpoints(folder):
        try:
            _verify(candidate)
        except RunError as error:
            errors.append(error)
            continue
        for found in errors:
            logger.warning(f"warning: {found}; using an older checkpoint: {candidate}")
        return candidate
    raise errors[0] if errors else RunError(f"{folder}: no checkpoint found")


def _verify(folder: Path) -> None:
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        digests = {str(name): str(digest) for name, digest in manifest.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise RunError(f"{folder / 'manifest.json'}: missing or corrupt") from error
    for name in sorted({*_NEEDED, *digests}):
        file = folder / name
        try:
            complete = Path(name).name == name and name in digests and sha256(file) == digests[name]
        except OSError:  # missing, a folder, or a disk error
            complete = False
        if not complete:
            raise RunError(f"{file}: missing or corrupt (its SHA-256 does not match the manifest)")


def _description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{path}: not valid JSON: {error}") from error
    found = description.get("format") if isinstance(description, dict) else None
    if found not in _READABLE:
        formats = " and ".join(map(str, _READABLE))
        raise RunError(f"{path}: checkpoint format {found}; this version reads formats {formats}")
    return dict(description)


def _tokenizer(path: Path) -> Tokenizer:
    try:
        return Tokenizer(path.read_bytes())
    except RunError as error:
        raise RunError(f"{path}: {error}") from error


def load_checkpoint(
    folder: Path,
    device: torch.device,
    dropout: DropoutRates = NO_DROPOUT,
) -> Checkpoint:
    """Read and verify a checkpoint.

    Args:
        folder: such as `runs/<name>/checkpoints/best`.
        device: the device for the weights.
        dropout: for a model that will be trained.

    Raises:
        RunError: if it is missing, corrupt, or of a format this version does not support.
    """
    return _read_checkpoint(find_checkpoint(folder), device, dropout)


def checkpoint_digest(folder: Path) -> str:
    """SHA-256 of the weights and tokenizers of the checkpoint that `load_checkpoint` reads.

    Raises:
        RunError: if there is none.
    """
    manifest = json.loads((find_checkpoint(folder) / "manifest.json").read_text(encoding="utf-8"))
    files = ("model.safetensors", "source.model", "target.model")
    return hashlib.sha256("".join(manifest[name] for name in files).encode()).hexdigest()


def load_for_resuming(
    folder: Path, device: torch.device, dropout: DropoutRates
) -> tuple[Checkpoint, dict[str, Any]]:
    """Read and verify a checkpoint and its training state; arguments as for `load_checkpoint`. Files are
    hashed once. Loading never executes code.

    Raises:
        RunError: as `load_checkpoint`, or if there is no training state.
    """
    folder = find_checkpoint(folder)
    checkpoint = _read_checkpoint(folder, device, dropout)
    try:
        state: dict[str, Any] = torch.load(folder / "training.pt", map_location="cpu", weights_only=True)
        if _description(folder / "model.json")["format"] == 1:
            state = rename_state(state)
    except Exception as error:  # torch raises many types for a file that is not its own
        raise RunError(f"{folder / 'training.pt'}: missing or corrupt") from error
    return checkpoint, state


def _read_checkpoint(folder: Path, device: torch.device, dropout: DropoutRates) -> Checkpoint:
    description = _description(folder / "model.json")
    source, target = (_tokenizer(folder / f"{side}.model") for side in ("source", "target"))
    try:
        settings = rename_keys({"model": description["model"]}, RENAMED)
        config = from_dict(ModelConfig, settings["model"], "model")
        model = empty_model(config, len(source), len(target), PAD, dropout)
        weights = load_file(folder / "model.safetensors")  # on the CPU: older versions do not know mps:0
        # Copied: in the file, tensors are not aligned, which changes rounding (and is slower).
        moved = {name: value.to(device, copy=True) for name, value in weights.items()}
        if description["format"] == 1:
            moved = rename_weights(moved)
        model.load_state_dict(moved, assign=True)
        model.to(device)  # cuDNN's layers make their weights contiguous here, not at their first forward pass
    except (ConfigError, SafetensorError, RuntimeError, KeyError) as error:
        first_line = str(error).splitlines()[0]
        raise RunError(f"{folder}: model.json and model.safetensors do not match: {first_line}") from error
    return Checkpoint(model.eval(), config, source, target, description.get("progress", {}))
