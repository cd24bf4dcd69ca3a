"""The tokenised training set: token ids in flat arrays, written once to the cache, then memory-mapped.

Each array is a file of plain numbers, `<name>.bin`; an index, `<set>.json`, has types, sizes and digests, and
is written last, so that a set without an index is incomplete and is made again. The folder is in the
folder of the prepared corpus; its name is a digest of the tokenizers and of the limit on tokens.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, closing
from dataclasses import dataclass
from functools import partial
from itertools import compress
from pathlib import Path
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from nmt.alignment.pharaoh import parse_pharaoh
from nmt.alignment.words import Link, expand_links, piece_groups
from nmt.data.examples import CHUNK, Example, Numbered, StoredExamples
from nmt.data.keys import Keys, text_keys
from nmt.data.mixture import Mixture, part_of, part_of_rows, pieces_of
from nmt.data.prepare import Prepared, explained
from nmt.data.ragged import Ragged, ragged
from nmt.data.text import word_spans
from nmt.data.tokenizer import Tokenizer
from nmt.errors import DataError
from nmt.files import replacing, sha256, write_json

FORMAT = 1  # version of these files; a change makes them anew
_CHUNK = CHUNK
_ARRAYS = {
    "tokens": ("source", "source_offsets", "target", "target_offsets", "left_out", "distinct_sources"),
    "links": ("links", "links_offsets"),
}
"""The arrays of each set."""
_TYPES = ("uint8", "uint16", "uint32", "int64")
Arrays = Mapping[str, NDArray[Any]]


@dataclass(frozen=True, eq=False)
class TokenizedPairs:
    """A tokenised training set, memory-mapped; its texts stay in their file.

    Attributes:
        folder: its files.
        source, target: token ids of each pair, without special tokens, in the smallest integer type.
        left_out: line numbers, from 0, of the examples that have too many tokens.
        distinct_sources: number of distinct source sentences among the others.
    """

    folder: Path
    source: Ragged
    target: Ragged
    left_out: NDArray[np.int64]
    distinct_sources: int

    def __len__(self) -> int:
        return len(self.source)


def load_tokenized(
    prepared: Prepared, source: Tokenizer, target: Tokenizer, max_tokens: int, workers: int | None = None
) -> TokenizedPairs:
    """Tokenise the training set of a prepared corpus, or map it from the cache.

    Args:
        prepared: the corpus, as `prepare` returns it.
        source, target: the tokenizers.
        max_tokens: pairs with more tokens on a side are left out.
        workers: number of processes, by default one per core; the result does not depend on it.

    Raises:
        DataError: if the files are corrupt or cannot be written.
    """
    digests = [hashlib.sha256(tokenizer.model).hexdigest() for tokenizer in (source, target)]
    mixture = prepared.mixture
    pieces = [part.pieces for part in mixture] if pieces_of(mixture) else []
    content = [FORMAT, *digests, max_tokens, *([pieces] if pieces else [])]
    key = hashlib.sha256(json.dumps(content).encode()).hexdigest()[:16]
    folder = prepared.folder / f"tokens-{key}"
    train = prepared.splits["train"]
    if not (folder / "tokens.json").exists():
        assert isinstance(train, StoredExamples)
        examples = StoredExamples(train.path, train.lines)
        _write(folder, "tokens", _tokenized(examples, mixture, source, target, max_tokens, workers))
    arrays = _map(folder, "tokens")
    return TokenizedPairs(
        folder,
        Ragged(arrays["source"], arrays["source_offsets"]),
        Ragged(arrays["target"], arrays["target_offsets"]),
        arrays["left_out"],
        int(arrays["distinct_sources"][0]),
    )


def load_links(
    prepared: Prepared,
    train: TokenizedPairs,
    source: Tokenizer,
    target: Tokenizer,
    workers: int | None = None,
) -> Ragged:
    """The piece links (source, target) of each training pair for guided alignment, made or mapped from the
    cache; [L, 2] for L links.

    Args:
        prepared: the corpus.
        train: its tokenised training set.
        source, target: the tokenizers that `train` was made with.
        workers: as in `load_tokenized`.

    Raises:
        DataError: if the files are corrupt or cannot be written.
    """
    if not (train.folder / "links.json").exists():
        stored = prepared.splits["train"]
        assert isinstance(stored, StoredExamples)
        kept = StoredExamples(stored.path, stored.lines, frozenset(train.left_out.tolist()))
        _write(train.folder, "links", _links(kept, prepared.mixture, source, target, workers))
    arrays = _map(train.folder, "links")
    return Ragged(arrays["links"].reshape(-1, 2), arrays["links_offsets"])


def piece_links(example: Example, source: Tokenizer, target: Tokenizer) -> list[Link]:
    """The word alignment of a training example as piece links."""
    groups = []
    for tokenizer, text in ((source, example.source), (target, example.references[0])):
        tokens = tokenizer.encode_with_offsets(text)
        groups.append(piece_groups(tokens.offsets, word_spans(tokens.text)))
    return expand_links(parse_pharaoh(example.alignments[0]), *groups)


# ---------------------------------------------------------------- making


class _Growing:
    """Chunks of a `Ragged` to append: their values in the given type, and their offsets in all values."""

    def __init__(self, name: str, dtype: np.dtype[Any]) -> None:
        self._name, self._dtype, self._total = name, dtype, 0

    def start(self) -> Arrays:
        """The first offset."""
        return {self._name: np.empty(0, self._dtype), f"{self._name}_offsets": np.zeros(1, np.int64)}

    def add(self, chunk: Ragged) -> Arrays:
        """The arrays to append for further sequences."""
        offsets = chunk.offsets[1:] + self._total
        self._total += int(chunk.offsets[-1])
        return {self._name: chunk.values.astype(self._dtype).reshape(-1), f"{self._name}_offsets": offsets}


def _tokenized(
    examples: StoredExamples,
    mixture: Mixture,
    source: Tokenizer,
    target: Tokenizer,
    max_tokens: int,
    workers: int | None,
) -> Iterator[Arrays]:
    sides = [
        _Growing(name, np.min_scalar_type(len(tokenizer) - 1))
        for name, tokenizer in (("source", source), ("target", target))
    ]
    sources: list[Keys] = []
    yield {**sides[0].start(), **sides[1].start(), "left_out": np.empty(0, np.int64)}
    tokenise = partial(_tokenise, source, target, max_tokens, mixture)
    with closing(examples.map_chunks(tokenise, workers, _CHUNK)) as chunks:
        for ids, left_out, keys in chunks:
            arrays = [side.add(chunk) for side, chunk in zip(sides, ids, strict=True)]
            sources.append(keys)
            yield {**arrays[0], **arrays[1], "left_out": left_out}
    yield {"distinct_sources": np.array([len(np.unique(np.concatenate(sources)))], np.int64)}


def _tokenise(
    source: Tokenizer, target: Tokenizer, max_tokens: int, mixture: Mixture, chunk: Numbered
) -> tuple[list[Ragged], NDArray[np.int64], Keys]:
    """The ids of the examples that fit, source and target; the numbers of the others; the keys of the sources
    that fit.
    """
    ids = (
        _tagged(
            source.encode_all([example.source for example in chunk.examples]), mixture, source, chunk.first
        ),
        target.encode_all([example.references[0] for example in chunk.examples]),
    )
    fits = [max(len(one), len(other)) <= max_tokens for one, other in zip(*ids, strict=True)]
    types = (np.min_scalar_type(len(tokenizer) - 1) for tokenizer in (source, target))
    kept = [ragged(compress(some, fits), dtype=kind) for some, kind in zip(ids, types, strict=True)]
    left_out = np.flatnonzero(~np.array(fits, np.bool_)) + chunk.first
    return kept, left_out, text_keys(example.source for example in compress(chunk.examples, fits))


def _tagged(sources: list[list[int]], mixture: Mixture, tokenizer: Tokenizer, first: int) -> list[list[int]]:
    """The ids of consecutive lines from `first`, after the pieces of the part that each is from."""
    if not pieces_of(mixture):
        return sources
    before = [list(map(tokenizer.piece_id, part.pieces)) for part in mixture]
    parts = part_of(mixture, np.arange(first, first + len(sources)))
    return [before[part] + ids for part, ids in zip(parts, sources, strict=True)]


def _links(
    examples: StoredExamples, mixture: Mixture, source: Tokenizer, target: Tokenizer, workers: int | None
) -> Iterator[Arrays]:
    links, shifts, first = _Growing("links", np.dtype(np.uint32)), _shifts(mixture, examples), 0
    yield links.start()
    with closing(examples.map_chunks(partial(_chunk_links, source, target), workers, _CHUNK)) as chunks:
        for chunk in chunks:
            if shifts is not None:
                chunk.values[:, 0] += np.repeat(shifts[first : first + len(chunk)], chunk.lengths)
            first += len(chunk)
            yield links.add(chunk)


def _shifts(mixture: Mixture, examples: StoredExamples) -> NDArray[np.uint32] | None:
    """How many pieces stand before the source sentence of each pair, [N], or None if none do."""
    if not pieces_of(mixture):
        return None
    counts = np.array([len(part.pieces) for part in mixture], np.uint32)
    return counts[part_of_rows(mixture, np.array(sorted(examples.skipped), np.int64))]


def _chunk_links(source: Tokenizer, target: Tokenizer, chunk: Numbered) -> Ragged:
    return ragged((piece_links(example, source, target) for example in chunk.examples), (2,), np.uint32)


# ---------------------------------------------------------------- files


def _write(folder: Path, name: str, chunks: Iterable[Arrays]) -> None:
    """Write arrays, given in chunks, and their index."""
    types: dict[str, str] = {}
    with explained(folder):
        with ExitStack() as stack:
            files: dict[str, IO[bytes]] = {}
            for chunk in chunks:
                for key, values in chunk.items():
                    if key not in files:
                        files[key] = stack.enter_context(replacing(folder / f"{key}.bin", "wb"))
                        types[key] = values.dtype.name
                    files[key].write(values.tobytes())
        paths = {key: folder / f"{key}.bin" for key in types}
        index = {
            key: {"type": types[key], "bytes": path.stat().st_size, "sha256": sha256(path)}
            for key, path in paths.items()
        }
        write_json(folder / f"{name}.json", {"format": FORMAT, "arrays": index})


def _map(folder: Path, name: str) -> dict[str, NDArray[Any]]:
    """Map the arrays of an index.

    Raises:
        DataError: if a file is missing, or is not what was written.
    """
    try:
        index = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
        if index["format"] != FORMAT:
            raise ValueError(f"format {index['format']}, this version reads {FORMAT}")
        arrays = {key: _mapped(folder / f"{key}.bin", index["arrays"][key]) for key in _ARRAYS[name]}
        width = 2 if name == "links" else 1  # numbers of an element
        for key in arrays.keys() & {"source", "target", "links"}:
            if arrays[f"{key}_offsets"][-1] * width != len(arrays[key]):
                raise ValueError(f"{key}.bin: not of the length that its offsets say")
        return arrays
    except (OSError, ValueError, KeyError, IndexError, TypeError, AttributeError) as error:
        raise DataError(f"corrupt ({error}); delete this folder to tokenise again", folder) from error


def _mapped(path: Path, entry: Mapping[str, Any]) -> NDArray[Any]:
    if entry["type"] not in _TYPES:
        raise ValueError(f"{path.name}: unknown type")
    if path.stat().st_size != entry["bytes"] or sha256(path) != entry["sha256"]:
        raise ValueError(f"{path.name}: not the bytes that were written")
    if not entry["bytes"]:  # nothing to map
        return np.empty(0, entry["type"])
    return np.memmap(path, entry["type"], mode="r").view(np.ndarray)
