"""From a corpus to training, development and test parts: read, cleaned, counted, split, cached.

The result lives under `<data.cache>/prepared/<fingerprint>/`. The fingerprint covers the bytes of the
source files and every setting that matters, so a changed source is a new preparation.
"""

import functools
import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from nmt.config import DataConfig
from nmt.data.alignment import counts_from_one, format_pharaoh, outside, outside_error, parse_pharaoh
from nmt.data.examples import Example, load_examples, save_examples
from nmt.data.growth import changes, previous_preparation
from nmt.data.sources import RawPair, read_pairs, source_files
from nmt.data.split import PARTS, assign_parts, components
from nmt.data.text import clean, word_spans
from nmt.errors import DataError
from nmt.files import sha256, write_json

FORMAT = 1  # of the prepared files; a change makes old caches unused
LICENCES = {
    "manythings": "CC-BY 2.0 (France); attribution: www.manythings.org/anki and tatoeba.org",
    "sample": "MIT, made for this project",
}
_SETTINGS = (
    "source", "language", "source_column", "target_column", "alignment_column", "swap", "max_words",
    "max_ratio", "dev_fraction", "test_fraction",
)  # fmt: skip


@dataclass(frozen=True)
class Prepared:
    """A corpus ready for use.

    Attributes:
        parts: examples of "train", "dev" and "test".
        report: what the data was: source, counts, drops by reason, split sizes, fingerprint.
        folder: where it is cached.
        fresh: it was made just now, not loaded from the cache.
    """

    parts: dict[str, list[Example]]
    report: dict[str, Any]
    folder: Path
    fresh: bool = field(compare=False)


class _Pair(NamedTuple):
    source: str
    target: str
    alignment: str


def prepare(config: DataConfig) -> Prepared:
    """Read, clean and split a corpus, or load the same from the cache.

    Raises:
        DataError: when the corpus cannot be read, or leaves a part empty, or the cache cannot be written.
    """
    files = source_files(config)
    described = [{"name": file.name, "bytes": file.stat().st_size, "sha256": sha256(file)} for file in files]
    fingerprint = _fingerprint(config, [str(file["sha256"]) for file in described])
    folder = Path(config.cache) / "prepared" / fingerprint[:16]
    report_path = folder / "prepared.json"
    fresh = not report_path.exists()
    if fresh:
        parts, counts = _make(config, files)
        identity = _fingerprint(config, [str(file.resolve()) for file in files])
        previous = previous_preparation(folder, identity)
        report = {
            "format": FORMAT,
            "source": config.source,
            "licence": LICENCES.get(config.source),
            "files": described,
            **counts,
            "since_previous": None if previous is None else changes(previous, parts),
            "identity": identity,
            "fingerprint": fingerprint,
        }
        _save(folder, parts, report)
    return _load(folder, fresh)


def _save(folder: Path, parts: dict[str, list[Example]], report: dict[str, Any]) -> None:
    try:
        for part, examples in parts.items():
            save_examples(folder / f"{part}.jsonl", examples)
        write_json(folder / "prepared.json", report)  # last: it says the rest is there
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
        raise DataError(f"damaged ({error}); delete this folder to have it made again", folder) from error
    return Prepared(parts, report, folder, fresh)


def _fingerprint(config: DataConfig, files: list[str]) -> str:
    """A digest of the settings that matter and of what `files` says of the source."""
    content = [FORMAT, files, {name: getattr(config, name) for name in _SETTINGS}]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


# ---------------------------------------------------------------- making it


def _make(config: DataConfig, files: list[Path]) -> tuple[dict[str, list[Example]], dict[str, Any]]:
    dropped: Counter[str] = Counter(dict.fromkeys(("empty", "too_long", "ratio", "duplicate"), 0))
    pairs = list(_clean_pairs(config, files, dropped))
    if not pairs:
        raise DataError("no usable sentence pair in it", files[0])
    sides = [(pair.source, pair.target) for pair in pairs]
    component = components(sides)
    assigned = assign_parts(sides, component, config.dev_fraction, config.test_fraction)
    if config.swap:
        pairs = [_swapped(pair) for pair in pairs]
    grouped: dict[str, list[_Pair]] = {part: [] for part in PARTS}
    for pair, part in zip(pairs, assigned, strict=True):
        grouped[part].append(pair)
    parts = {part: _examples(part, grouped[part]) for part in PARTS}
    for part, examples in parts.items():
        if not examples:
            key = "data.test_fraction" if part == "test" else "data.dev_fraction"
            raise DataError(
                f"its {len(pairs)} usable pairs leave the {part} part empty; change {key}", files[0]
            )
    sizes = Counter(component)
    counts = {
        "pairs_read": len(pairs) + dropped.total(),
        "dropped": dict(dropped),
        "pairs_kept": len(pairs),
        "components": len(sizes),
        "largest_component": max(sizes.values()),
        "parts": {
            part: {
                "examples": len(examples),
                "sources": len({example.source for example in examples}),
                "pairs": len(grouped[part]),
            }
            for part, examples in parts.items()
        },
    }
    return parts, counts


def _clean_pairs(config: DataConfig, files: list[Path], dropped: Counter[str]) -> Iterator[_Pair]:
    """The pairs worth keeping, cleaned; the others are counted by reason."""
    seen: set[tuple[str, str]] = set()
    again = functools.partial(read_pairs, config, files)
    for raw in again():
        source, target = clean(raw.source), clean(raw.target)
        reason = _reason_to_drop(source, target, config)
        if reason is None and (source, target) in seen:
            reason = "duplicate"
        if reason is not None:
            dropped[reason] += 1
            continue
        seen.add((source, target))
        where = files[2] if len(files) == 3 else files[0]
        yield _Pair(source, target, _checked_alignment(raw, source, target, where, again))


def _reason_to_drop(source: str, target: str, config: DataConfig) -> str | None:
    if not source or not target:
        return "empty"
    if max(len(source.split()), len(target.split())) > config.max_words:
        return "too_long"
    shorter, longer = sorted((len(source), len(target)))  # characters: not every script has spaces
    return "ratio" if longer > config.max_ratio * shorter else None


def _checked_alignment(
    raw: RawPair, source: str, target: str, path: Path, again: Callable[[], Iterator[RawPair]]
) -> str:
    """The alignment of a cleaned pair, all of whose links are between words that are there; `again` reads
    the whole corpus, to tell what is wrong.
    """
    links = parse_pharaoh(raw.alignment or "", path, raw.line)
    if links:
        sizes = len(word_spans(source)), len(word_spans(target))
        link = outside(links, *sizes)
        if link is not None:
            every = (parse_pharaoh(pair.alignment or "", path, pair.line) for pair in again())
            raise outside_error(link, sizes, counts_from_one(every), path, raw.line)
    return format_pharaoh(links)


def _swapped(pair: _Pair) -> _Pair:
    links = frozenset((target, source) for source, target in parse_pharaoh(pair.alignment))
    return _Pair(pair.target, pair.source, format_pharaoh(links))


def _examples(part: str, pairs: Sequence[_Pair]) -> list[Example]:
    """Training: one example a pair. Development and test: one a source, with every translation."""
    if part == "train":
        return [Example(source, (target,), (alignment,)) for source, target, alignment in pairs]
    by_source: dict[str, list[_Pair]] = {}
    for pair in pairs:
        by_source.setdefault(pair.source, []).append(pair)
    return [
        Example(source, tuple(pair.target for pair in group), tuple(pair.alignment for pair in group))
        for source, group in by_source.items()
    ]
