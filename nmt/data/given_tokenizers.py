"""Tokenizers that are not trained on the corpus, but those of a folder (`data.tokenizer.path`)."""

from pathlib import Path

from nmt.data.mixture import Mixture, pieces_of
from nmt.data.tokenizer import Tokenizer
from nmt.errors import ConfigError, RunError
from nmt.files import write_bytes

SIDES = ("source", "target")
_KEY = "data.tokenizer.path"


def given_tokenizers(folder: Path, mixture: Mixture = ()) -> tuple[Tokenizer, Tokenizer]:
    """The source and the target tokenizer of a folder, such as a checkpoint.

    Args:
        folder: has source.model and target.model.
        mixture: the corpora whose tags the source tokenizer has to know.

    Raises:
        ConfigError: if they are missing or corrupt, or do not know a tag.
    """
    try:
        source, target = (Tokenizer((folder / f"{side}.model").read_bytes()) for side in SIDES)
    except OSError as error:
        raise ConfigError(
            f"{_KEY}={folder}: no source.model and target.model there; give a folder that has them, such as "
            "RUN/checkpoints/best"
        ) from error
    except RunError as error:
        raise ConfigError(f"{_KEY}={folder}: {error}") from error
    if lacking := [piece for piece in pieces_of(mixture) if piece not in source.tags()]:
        raise ConfigError(
            f"{_KEY}={folder}: the source tokenizer has no piece {lacking[0]}; give one that was trained "
            "with the same tags and directions"
        )
    return source, target


def write_tokenizers(folder: Path, source: bytes, target: bytes) -> None:
    """Write SentencePiece models for `given_tokenizers`."""
    for side, model in zip(SIDES, (source, target), strict=True):
        write_bytes(folder / f"{side}.model", model)
