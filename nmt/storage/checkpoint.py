"""Checkpoints: a folder with all that translating needs, written whole, verified when read.

    model.safetensors   weights
    model.json          format, settings of the model, sizes of the vocabularies, where training stood
    source.model        SentencePiece models
    target.model
    training.pt         optimizer and progress, in `last` only; read with `weights_only`
    manifest.json       SHA-256 of each of the files above

Reading a checkpoint runs no code from it: the weights are safetensors, the settings data.
"""

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
from torch.nn import RNNBase

from nmt.config import RENAMED, ModelConfig
from nmt.data.tokenizer import PAD, Tokenizer
from nmt.errors import ConfigError, RunError
from nmt.files import naming, replacing, sha256, sync_folder, write_bytes, write_json
from nmt.model.initialise import empty_model
from nmt.model.translation import NO_DROPOUT, DropoutRates, TranslationModel
from nmt.schema import from_dict, rename_keys, to_dict

logger = logging.getLogger("nmt")
FORMAT = 1
_NEEDED = ("model.safetensors", "model.json", "source.model", "target.model")


@dataclass
class Checkpoint:
    """A trained model and its tokenizers.

    Attributes:
        model: when loaded, in evaluation mode on the device asked for.
        config: the model's settings.
        source, target: the tokenizers.
        progress: where training stood: step, epoch, scores.
    """

    model: TranslationModel
    config: ModelConfig
    source: Tokenizer
    target: Tokenizer
    progress: dict[str, Any]


def save_checkpoint(
    folder: Path, checkpoint: Checkpoint, training: dict[str, Any] | None = None, keep: int = 1
) -> None:
    """Write a checkpoint to `folder`, whole or not at all. Those before it stand aside as `<name>.1`
    (the newest), `<name>.2` …

    Args:
        folder: such as `runs/<name>/checkpoints/best`.
        checkpoint: what to write.
        training: what going on needs; plain values and tensors.
        keep: how many are kept, the new one among them; at least one stands beside it while it comes.

    Raises:
        OSError: when it cannot be written; it names `folder`, and what stood there stays.
    """
    fresh = folder.with_name(f".{folder.name}.new")
    try:
        with naming(folder):
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(parents=True)
            _write(fresh, checkpoint, training)
            _put_in_place(fresh, folder, keep)
    except BaseException:
        shutil.rmtree(fresh, ignore_errors=True)
        raise


def _put_in_place(fresh: Path, folder: Path, keep: int) -> None:
    places = [folder, *(folder.with_name(f"{folder.name}.{age}") for age in range(1, max(keep, 2)))]
    if folder.exists():  # if not, a crash left an older one as the newest: it stays where it is
        _discard(places[-1])
        for younger, place in reversed(list(pairwise(places))):
            if younger.exists():
                younger.rename(place)
    fresh.rename(folder)
    sync_folder(folder.parent)
    for place in kept_checkpoints(folder)[keep:]:
        _discard(place)


def _discard(place: Path) -> None:
    """Remove a checkpoint, out of sight first: no half of one is ever taken for a whole."""
    hidden = place.with_name(f".{place.name}.old")
    shutil.rmtree(hidden, ignore_errors=True)
    if place.exists():
        place.rename(hidden)
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
    except RuntimeError as error:  # torch covers what stopped the file with a complaint about positions in it
        raise error.__context__ or error from None


def kept_checkpoints(folder: Path) -> list[Path]:
    """The checkpoint at `folder`, if it is there, and those that stood aside for it, newest first."""
    aside = (path for path in folder.parent.glob(f"{folder.name}.*") if path.suffix[1:].isdecimal())
    newest_first = sorted(aside, key=lambda path: int(path.suffix[1:]))
    return [path for path in (folder, *newest_first) if path.exists()]


def find_checkpoint(folder: Path) -> Path:
    """The newest checkpoint of `folder` and those that stood aside for it whose files are all as they were
    written; a warning names what is damaged in a newer one.

    Raises:
        RunError: when there is none.
    """
    damages: list[RunError] = []
    for candidate in kept_checkpoints(folder):
        try:
            _verify(candidate)
        except RunError as error:
            damages.append(error)
            continue
        for damage in damages:
            logger.warning(f"warning: {damage}; an older checkpoint is used: {candidate}")
        return candidate
    raise damages[0] if damages else RunError(f"{folder}: no checkpoint there")


def _verify(folder: Path) -> None:
    try:
        manifest = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
        digests = {str(name): str(digest) for name, digest in manifest.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise RunError(f"{folder / 'manifest.json'}: missing or damaged") from error
    for name in sorted({*_NEEDED, *digests}):
        file = folder / name
        try:
            whole = Path(name).name == name and name in digests and sha256(file) == digests[name]
        except OSError:  # missing, a folder, or where the disk has failed
            whole = False
        if not whole:
            raise RunError(f"{file}: missing or damaged (its SHA-256 is not the manifest's)")


def _description(path: Path) -> dict[str, Any]:
    try:
        description = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{path}: no JSON: {error}") from error
    found = description.get("format") if isinstance(description, dict) else None
    if found != FORMAT:
        raise RunError(f"{path}: checkpoint format {found}, this version reads {FORMAT}")
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
        device: where the weights go.
        dropout: for a model that is to be trained.

    Raises:
        RunError: when it is missing, damaged, or of a format this version does not know.
    """
    folder = find_checkpoint(folder)
    description = _description(folder / "model.json")
    source, target = (_tokenizer(folder / f"{side}.model") for side in ("source", "target"))
    try:
        settings = rename_keys({"model": description["model"]}, RENAMED)
        config = from_dict(ModelConfig, settings["model"], "model")
        model = empty_model(config, len(source), len(target), PAD, dropout)
        weights = load_file(folder / "model.safetensors")  # on the CPU: not every version knows mps:0
        # Copies, for in the file they stand at odd addresses, where sums are rounded otherwise (and slower).
        moved = {name: value.to(device, copy=True) for name, value in weights.items()}
        model.load_state_dict(moved, assign=True)
        for module in model.modules():
            if isinstance(module, RNNBase):
                module.flatten_parameters()  # into one piece of memory, as cuDNN wants it
    except (ConfigError, SafetensorError, RuntimeError, KeyError) as error:
        first_line = str(error).splitlines()[0]
        raise RunError(f"{folder}: model.json and model.safetensors do not fit: {first_line}") from error
    return Checkpoint(model.eval(), config, source, target, description.get("progress", {}))


def load_training(folder: Path) -> dict[str, Any]:
    """What going on needs, from a checkpoint saved with it. Nothing in the file is executed.

    Raises:
        RunError: when it is missing or damaged.
    """
    folder = find_checkpoint(folder)
    try:
        state: dict[str, Any] = torch.load(folder / "training.pt", map_location="cpu", weights_only=True)
    except Exception as error:  # torch has a dozen kinds for what is no file of its own
        raise RunError(f"{folder / 'training.pt'}: missing or damaged") from error
    return state
