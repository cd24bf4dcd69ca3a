"""An exported model: the folder that `python -m nmt.export` writes, verified when it is opened.

    encoder.onnx, step.onnx      graphs
    weights.bin                  their weights
    source.model, target.model   SentencePiece models
    exported.json                format, precision, settings of the model and of the search, what the run was
    confidence.json              calibration of the confidence, if the run has one
    manifest.json                SHA-256 of each of the files above

Opening it never runs code from it: the graphs have operators of ONNX and ONNX Runtime only. The weights are
mapped into memory, so that of the tables only what is looked up is read.
"""

import json
from pathlib import Path
from typing import Any, NamedTuple

from nmt.config.decoding import DecodingConfig
from nmt.config.schema import from_dict
from nmt.data.tokenizer import Tokenizer
from nmt.errors import ConfigError, RunError
from nmt.files import sha256
from nmt.onnx import names
from nmt.onnx.onnx_model import OnnxModel, Sessions
from nmt.onnx.sessions import open_session


class About(NamedTuple):
    """What the library wants to know of the run.

    Attributes:
        name: of the run.
        limit: input of more source subwords than this is split.
        languages: codes of the source and the target language; None: unknown.
        directions: those of each direction of a model with several target languages, the main one first.
        copies_unknown: whether text is copied of which most characters are not in the vocabulary.
    """

    name: str
    limit: int
    languages: tuple[str, str] | None = None
    directions: tuple[tuple[str, str], ...] = ()
    copies_unknown: bool = False


class Exported(NamedTuple):
    """What a `nmt.decoding.translator.Translator` is made of, and more for `nmt.Translator`."""

    model: OnnxModel
    source: Tokenizer
    target: Tokenizer
    decoding: DecodingConfig
    about: About


def open_exported(folder: Path, threads: int | None = None) -> Exported:
    """Open an exported model.

    Args:
        folder: written by `python -m nmt.export`.
        threads: number of threads; None: one per core.

    Raises:
        RunError: if it is missing, damaged, or of a format that this version does not read.
    """
    _verify(folder)
    settings = _settings(folder / names.SETTINGS)
    sessions = Sessions(*(open_session(folder / name, threads) for name in names.GRAPHS))
    _check_interface(folder, sessions)
    source, target = (_tokenizer(folder / name) for name in (names.SOURCE_TOKENIZER, names.TARGET_TOKENIZER))
    try:
        decoding = from_dict(DecodingConfig, settings["decoding"], "decoding")
        heads, groups = int(settings["heads"]), int(settings["groups"])
        about = _about(settings["about"])
    except (ConfigError, KeyError, TypeError, ValueError) as error:
        raise RunError(f"{folder / names.SETTINGS}: {error}; export the run again") from error
    return Exported(OnnxModel(sessions, heads, groups), source, target, decoding, about)


def exported_decoding(folder: Path) -> DecodingConfig:
    """The settings of the search of an exported model.

    Raises:
        RunError: if they cannot be read.
    """
    path = folder / names.SETTINGS
    try:
        return from_dict(DecodingConfig, _settings(path)["decoding"], "decoding")
    except (ConfigError, KeyError) as error:
        raise RunError(f"{path}: {error}; export the run again") from error


def _about(settings: dict[str, Any]) -> About:
    languages = settings["languages"]
    pair = None if languages is None else (str(languages[0]), str(languages[1]))
    directions = tuple((str(source), str(target)) for source, target in settings.get("directions", ()))
    copies = settings.get("copies_unknown", False) is True
    return About(str(settings["name"]), int(settings["limit"]), pair, directions, copies)


def _verify(folder: Path) -> None:
    if not folder.is_dir():
        raise RunError(f"{folder}: no such folder")
    try:
        manifest = json.loads((folder / names.MANIFEST).read_text(encoding="utf-8"))
        digests = {str(name): str(digest) for name, digest in manifest.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise RunError(f"{folder / names.MANIFEST}: missing or corrupt; export the run again") from error
    for name in (*names.FILES, *({names.CONFIDENCE} & digests.keys())):
        file = folder / name
        try:
            complete = sha256(file) == digests.get(name)
        except OSError:  # missing, a folder, or a disk error
            complete = False
        if not complete:
            raise RunError(
                f"{file}: missing or corrupt (its SHA-256 does not match the manifest); export the run again"
            )


def _settings(path: Path) -> dict[str, Any]:
    try:
        settings = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise RunError(f"{path}: not valid JSON: {error}") from error
    found = settings.get("format") if isinstance(settings, dict) else None
    if found != names.FORMAT:
        raise RunError(f"{path}: format {found}; this version reads format {names.FORMAT}")
    return dict(settings)


def _check_interface(folder: Path, sessions: Sessions) -> None:
    """The graphs must be of one model."""
    encoded = {value.name for value in sessions.encoder.get_outputs()}
    read = {value.name for value in sessions.step.get_inputs()}
    returned = {value.name for value in sessions.step.get_outputs()}
    states = {name.removeprefix(names.STATE) for name in encoded if name.startswith(names.STATE)}
    needed = {names.LOG_PROBABILITIES, *(names.NEXT + state for state in states)}
    if not encoded or not read >= encoded | {names.TOKENS} or not returned >= needed:
        raise RunError(f"{folder / names.STEP}: not the decoder of {names.ENCODER}; export the run again")


def _tokenizer(path: Path) -> Tokenizer:
    try:
        return Tokenizer(path.read_bytes())
    except RunError as error:
        raise RunError(f"{path}: {error}") from error
