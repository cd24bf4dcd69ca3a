"""The datastore of a run: a folder with the keys of its training tokens and the sentences that they are from.

    tokens.safetensors   keys, tokens, where each token is, and how features become keys
    sentences.tsv        the training pairs, a source and a target sentence per line, separated by a tab
    datastore.json       format, the checkpoint that the keys are of, sizes, SHA-256 of the files above

It is written atomically, and verified when it is read; reading never runs code from it.

Shapes: M training tokens, P pairs, F feature size, D dimensions of a key.
"""

import json
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError
from safetensors.numpy import load_file, save

from nmt.errors import RunError
from nmt.files import naming, replacing, sha256, sync_folder, write_bytes, write_json
from nmt.retrieval.token_memory import TokenMemory

FORMAT = 1
ABOUT, TOKENS, SENTENCES = "datastore.json", "tokens.safetensors", "sentences.tsv"


@dataclass(frozen=True)
class Datastore:
    """The training tokens of a run, as stored.

    Attributes:
        keys: float16 [M, D].
        tokens: int32 [M], end-of-sentence included.
        sentences: int32 [M], the pair that each is of, from 0.
        positions: int32 [M], its place in the target sentence, from 0.
        mean, components: features → keys: see `nmt.retrieval.features.Reduction`.
    """

    keys: NDArray[np.float16]
    tokens: NDArray[np.int32]
    sentences: NDArray[np.int32]
    positions: NDArray[np.int32]
    mean: NDArray[np.float32]
    components: NDArray[np.float32]

    def memory(self, device: torch.device) -> TokenMemory:
        """For retrieval on a device; keys take 4 bytes per number there."""
        mean, components, keys = (
            torch.from_numpy(part).to(device).float() for part in (self.mean, self.components, self.keys)
        )
        return TokenMemory(mean, components, keys, torch.from_numpy(self.tokens).to(device).long())


def save_datastore(
    folder: Path, store: Datastore, pairs: Iterable[tuple[str, str]], checkpoint: str, about: dict[str, Any]
) -> int:
    """Write a datastore atomically; one that is there is replaced.

    Args:
        folder: the datastore's.
        store: what to write.
        pairs: cleaned source and target sentences, P.
        checkpoint: digest of the checkpoint that the keys are of.
        about: further entries of `datastore.json`.

    Returns:
        its size in bytes.

    Raises:
        OSError: if writing fails; what was there before stays.
    """
    fresh, old = (folder.with_name(f".{folder.name}.{age}") for age in ("new", "old"))
    try:
        with naming(folder):
            shutil.rmtree(fresh, ignore_errors=True)
            fresh.mkdir(parents=True)
            arrays = {name: np.ascontiguousarray(part) for name, part in vars(store).items()}
            write_bytes(fresh / TOKENS, save(arrays))
            with replacing(fresh / SENTENCES) as file:
                file.writelines(f"{source}\t{target}\n" for source, target in pairs)
            sizes = {"format": FORMAT, "checkpoint": checkpoint, "tokens": len(store.tokens), **about}
            digests = {name: sha256(fresh / name) for name in (TOKENS, SENTENCES)}
            write_json(fresh / ABOUT, {**sizes, "sha256": digests})
            shutil.rmtree(old, ignore_errors=True)
            if folder.exists():
                folder.rename(old)
            fresh.rename(folder)
            sync_folder(folder.parent)
    finally:
        shutil.rmtree(fresh, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)
    return sum(file.stat().st_size for file in folder.iterdir())


def load_datastore(folder: Path, checkpoint: str, build: str) -> Datastore:
    """Read and verify a datastore.

    Args:
        folder: the datastore's.
        checkpoint: digest of the checkpoint that it is to be used with.
        build: the command that makes it, for messages.

    Raises:
        RunError: if there is none, it is corrupt, or its keys are of another checkpoint.
    """
    if not folder.exists():
        raise RunError(f"{folder}: there is no datastore; make it with: {build}")
    try:
        about = json.loads((folder / ABOUT).read_text(encoding="utf-8"))
        if about["format"] != FORMAT:
            raise ValueError(f"format {about['format']}, this version reads {FORMAT}")
        of = str(about["checkpoint"])
        if of == checkpoint:
            for name, digest in about["sha256"].items():
                if sha256(folder / Path(name).name) != digest:
                    raise ValueError(f"{name} is not what was written")
            store = Datastore(**load_file(folder / TOKENS))
            _check(store)
            return store
    except (OSError, ValueError, KeyError, TypeError, AttributeError, SafetensorError) as error:
        raise RunError(f"{folder}: missing or corrupt ({error}); make it again with: {build}") from error
    raise RunError(
        f"{folder}: outdated, as the run has another checkpoint than when it was made; make it again with: "
        f"{build}"
    )


_KINDS = {
    "keys": (np.float16, 2),
    "tokens": (np.int32, 1),
    "sentences": (np.int32, 1),
    "positions": (np.int32, 1),
    "mean": (np.float32, 1),
    "components": (np.float32, 2),
}
"""Type and number of dimensions of each array."""


def _check(store: Datastore) -> None:
    """Raise a ValueError for arrays of other types or sizes than they must have."""
    for name, (kind, dimensions) in _KINDS.items():
        part = getattr(store, name)
        if part.dtype != kind or part.ndim != dimensions:
            raise ValueError(f"{name}: {part.dtype} with {part.ndim} dimensions")
    M, D = store.keys.shape
    counts = {len(part) for part in (store.tokens, store.sentences, store.positions)}
    if counts != {M} or store.components.shape != (D, len(store.mean)) or not M:
        raise ValueError("arrays whose sizes do not match")


def read_sentences(folder: Path) -> Sequence[tuple[str, str]]:
    """The training pairs of a datastore that is verified, P."""
    lines = (folder / SENTENCES).read_text(encoding="utf-8").removesuffix("\n").split("\n")
    return [(source, target) for source, _, target in (line.partition("\t") for line in lines)]
