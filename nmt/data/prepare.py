"""Corpus preparation: read, clean, filter, split into train, dev and test, and cache.

The result is stored under `<data.cache>/prepared/<fingerprint>/`. The fingerprint covers the bytes of the
source files and every relevant setting, so a changed source is prepared again.
"""

import hashlib
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nmt.config.data import DataConfig
from nmt.data.examples import Example, load_examples, save_examples
from nmt.data.growth import changes, previous_preparation
from nmt.data.held_out import HELD_OUT, HeldOut, held_out_files, read_held_out
from nmt.data.pairs import Pair, clean_pairs, grouped, swapped
from nmt.data.sources.base import open_source
from nmt.data.split import LARGE_COMPONENT, PARTS, assign_parts, components
from nmt.errors import DataError
from nmt.files import sha256, write_json

FORMAT = 1  # version of the prepared files; a change invalidates old caches
_SETTINGS = (
    "source", "language", "source_column", "target_column", "alignment_column", "swap", "max_words",
    "max_ratio", "dev_fraction", "test_fraction",
)  # fmt: skip


@dataclass(frozen=True)
class Prepared:
    """A prepared corpus.

    Attributes:
        parts: examples of "train", "dev" and "test".
        report: description of the data: source, counts, drops by reason, split sizes, fingerprint.
        folder: where it is cached.
        fresh: prepared just now, not loaded from the cache.
    """

    parts: dict[str, list[Example]]
    report: dict[str, Any]
    folder: Path
    fresh: bool = field(compare=False)


def prepare(config: DataConfig) -> Prepared:
    """Read, clean and split a corpus, or load the result from the cache.

    Raises:
        DataError: if the corpus cannot be read, a split is empty, or the cache cannot be written.
    """
    source = open_source(config)
    files = source.files()
    own = {split: held for split in sorted(HELD_OUT) if (held := held_out_files(config, split))}
    described = [_described(file) for file in files]
    digests = {split: [str(_described(file)["sha256"]) for file in held] for split, held in own.items()}
    fingerprint = _fingerprint(config, [str(file["sha256"]) for file in described], digests)
    folder = Path(config.cache) / "prepared" / fingerprint[:16]
    report_path = folder / "prepared.json"
    fresh = not report_path.exists()
    if fresh:
        parts, counts = _make(config, files, own)
        places = {split: [str(file.resolve()) for file in held] for split, held in own.items()}
        identity = _fingerprint(config, [str(file.resolve()) for file in files], places)
        previous = previous_preparation(folder, identity)
        report = {
            "format": FORMAT,
            "source": config.source,
            "licence": source.licence,
            "files": described
            + [{**_described(file), "split": split} for split, held in own.items() for file in held],
            **counts,
            "since_previous": None if previous is None else changes(previous, parts),
            "identity": identity,
            "fingerprint": fingerprint,
        }
        _save(folder, parts, report)
    return _load(folder, fresh)


def _described(file: Path) -> dict[str, Any]:
    return {"name": file.name, "bytes": file.stat().st_size, "sha256": sha256(file)}


def _save(folder: Path, parts: dict[str, list[Example]], report: dict[str, Any]) -> None:
    try:
        for part, examples in parts.items():
            save_examples(folder / f"{part}.jsonl", examples)
        write_json(folder / "prepared.json", report)  # last: marks the preparation as complete
    except OSError as error:
        raise DataError(
            f"cannot be written ({error.strerror or error}); free some space or choose another folder with "
            "data.cache=FOLDER",
            folder,
        ) from error


def _load(folder: Path, fresh: bool) -> Prepared:
    try:
        report = json.loads((folder / "prepared.json").read_text(encoding="utf-8"))
        parts = {part: load_examples(folder / f"{part}.jsonl") for part in PARTS}
        for part, examples in parts.items():
            if len(examples) != report["parts"][part]["examples"]:
                raise DataError("lines are missing", folder / f"{part}.jsonl", len(examples) + 1)
    except (DataError, OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"corrupt ({error}); delete this folder to regenerate it", folder) from error
    return Prepared(parts, report, folder, fresh)


def _fingerprint(config: DataConfig, files: list[str], own: Mapping[str, list[str]]) -> str:
    """A digest of the relevant settings and of the strings in `files` (the source) and `own` (user-provided
    sets).
    """
    content = [FORMAT, files, {name: getattr(config, name) for name in _SETTINGS}, *([own] if own else [])]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


# ---------------------------------------------------------------- preparation


def _make(
    config: DataConfig, files: list[Path], own: Mapping[str, list[Path]]
) -> tuple[dict[str, list[Example]], dict[str, Any]]:
    held_out = HeldOut({split: read_held_out(config, held) for split, held in own.items()}, config.swap)
    reasons = ("empty", "too_long", "ratio", "duplicate", *held_out.reasons)
    dropped: Counter[str] = Counter(dict.fromkeys(reasons, 0))
    pairs = list(clean_pairs(config, files, dropped, held_out.reason))
    if not pairs:
        raise DataError("no usable sentence pairs" + _all_held_out(dropped), files[0])
    sides = [(pair.source, pair.target) for pair in pairs]
    component = components(sides)
    fractions = [
        0.0 if split in own else fraction
        for split, fraction in (("dev", config.dev_fraction), ("test", config.test_fraction))
    ]
    assigned = assign_parts(sides, component, *fractions)
    if config.swap:
        pairs = [swapped(pair) for pair in pairs]
    by_part: dict[str, list[Pair]] = {part: [] for part in PARTS}
    for pair, part in zip(pairs, assigned, strict=True):
        by_part[part].append(pair)
    train = [Example(source, (target,), (links,)) for source, target, links in by_part["train"]]
    parts = {"train": train, "dev": grouped(by_part["dev"]), "test": grouped(by_part["test"])}
    parts |= {split: list(examples) for split, examples in held_out.sets.items()}
    sizes = Counter(component)
    for part, examples in parts.items():
        if not examples:
            raise DataError(_why_empty(part, len(pairs), sizes, dropped), files[0])
    counts = {
        "pairs_read": len(pairs) + dropped.total(),
        "dropped": dict(dropped),
        "pairs_kept": len(pairs),
        "components": len(sizes),
        "largest_component": max(sizes.values()),
        "parts": {part: part_sizes(examples) for part, examples in parts.items()},
    }
    if len(own) == len(HELD_OUT):
        counts["dev_in_test"] = held_out.dev_in_test()
    return parts, counts


def part_sizes(examples: Sequence[Example]) -> dict[str, int]:
    """Number of examples, distinct sources and pairs in a split."""
    return {
        "examples": len(examples),
        "sources": len({example.source for example in examples}),
        "pairs": sum(len(example.references) for example in examples),
    }


def _all_held_out(dropped: Mapping[str, int]) -> str:
    shared = sum(count for reason, count in dropped.items() if reason.startswith("in_"))
    return f"; {shared} share a sentence with the development or test set" if shared else ""


def _why_empty(part: str, pairs: int, sizes: Mapping[int, int], dropped: Mapping[str, int]) -> str:
    """Error message for an empty split: the cause and the remedy."""
    own = "dev and test sets of your own (data.dev_path, data.test_path)"
    if part != "train":
        own = (
            f"a {part} set of your own (data.{part}_path=FILE.tsv, or data.{part}_source_path=FILE and "
            f"data.{part}_target_paths=FILE)"
        )
    lost = "".join(
        f"; {dropped[reason]:,} more were dropped by {key}"
        for reason, key in (("too_long", "data.max_words"), ("ratio", "data.max_ratio"))
        if dropped[reason] > pairs
    )
    divisible = sum(size <= LARGE_COMPONENT for size in sizes.values())
    if divisible < len(PARTS):
        return (
            f"all of its {pairs:,} usable pairs are connected through shared sentences (the largest "
            f"connected component has {max(sizes.values()):,}), and a component is never split, so that "
            f"train, dev and test share no sentence; this leaves the {part} set empty; provide {own}, "
            f"or add pairs that share no sentence with these{lost}"
        )
    if part == "train":
        return (
            f"its {pairs:,} usable pairs leave nothing to train on; lower data.dev_fraction and "
            f"data.test_fraction{lost}"
        )
    return (
        f"its {pairs:,} usable pairs leave the {part} set empty: they form {len(sizes):,} components of "
        f"pairs that share sentences, and each goes to one split; raise data.{part}_fraction, or provide "
        f"{own}{lost}"
    )
