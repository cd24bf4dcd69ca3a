"""Corpus preparation: read, clean, filter, split into train, dev and test, and cache.

The result is stored under `<data.cache>/prepared/<fingerprint>/`. The fingerprint covers the bytes of the
source files and every relevant setting, so a changed source is prepared again.
"""

import hashlib
import json
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.config.data import DataConfig
from nmt.config.directions import directions, target_languages
from nmt.config.extra_corpus import ExtraCorpus
from nmt.data.changes import changes, previous_preparation
from nmt.data.cleaned import TrainingPairs, write_cleaned
from nmt.data.empty import all_held_out, why_empty
from nmt.data.examples import Example, StoredExamples, load_examples, save_examples
from nmt.data.extra import OpenedCorpus, clean_extra, describe_extra, mixture_of, open_extra, with_settings
from nmt.data.held_out import HELD_OUT, HeldOut, held_out_files, read_held_out
from nmt.data.keys import Keys, SeenKeys, text_keys
from nmt.data.made_pairs import extra_corpora, made_identity, open_made
from nmt.data.mixture import Mixture
from nmt.data.pairs import grouped
from nmt.data.sources.source import open_source
from nmt.data.split import SPLITS, TRAIN, assign_splits, components, sharing
from nmt.errors import DataError
from nmt.files import replacing, sha256, write_json

FORMAT = 1  # version of the prepared files; a change invalidates old caches
_SETTINGS = (
    "source", "language", "source_column", "target_column", "alignment_column", "swap", "max_words",
    "max_ratio", "dev_fraction", "test_fraction",
)  # fmt: skip


@dataclass(frozen=True)
class Prepared:
    """A prepared corpus.

    Attributes:
        splits: examples of "train", which stay in their file, and of "dev" and "test".
        report: description of the data: source, counts, drops by reason, split sizes, fingerprint.
        folder: where it is cached.
        fresh: prepared just now, not loaded from the cache.
        mixture: the corpora of the training set, if there are several.
    """

    splits: dict[str, Sequence[Example]]
    report: dict[str, Any]
    folder: Path
    fresh: bool = field(compare=False)
    mixture: Mixture = ()


def prepare(config: DataConfig, workers: int | None = None) -> Prepared:
    """Read, clean and split a corpus, or load the result from the cache.

    Args:
        config: the data settings.
        workers: number of processes, by default one per core; the result does not depend on it.

    Raises:
        DataError: if the corpus cannot be read, a split is empty, or the cache cannot be written.
    """
    source, extra = open_source(config), open_extra(config)
    files = source.files()
    own = {split: held for split in sorted(HELD_OUT) if (held := held_out_files(config, split))}
    described = [_described(file) for file in files]
    digests = {split: [str(_described(file)["sha256"]) for file in held] for split, held in own.items()}
    further = [one.identity(lambda file: str(_described(file)["sha256"])) for one in extra]
    further += made_identity(config)
    fingerprint = _fingerprint(config, [str(file["sha256"]) for file in described], digests, further)
    folder = Path(config.cache) / "prepared" / fingerprint[:16]
    report_path = folder / "prepared.json"
    fresh = not report_path.exists()
    if fresh:
        locations = {split: [str(file.resolve()) for file in held] for split, held in own.items()}
        report = {
            "format": FORMAT,
            "source": config.source,
            "licence": source.licence,
            "files": described
            + [{**_described(file), "split": split} for split, held in own.items() for file in held],
        }
        further = [one.identity(lambda file: str(file.resolve())) for one in extra]
        further += made_identity(config)
        identity = _fingerprint(config, [str(file.resolve()) for file in files], locations, further)
        identities = {"identity": identity, "fingerprint": fingerprint}
        with explained(folder):
            _make(config, files, own, extra, folder, report, identities, workers)
    return _load(folder, fresh, extra_corpora(config), config)


def _described(file: Path) -> dict[str, Any]:
    return {"name": file.name, "bytes": file.stat().st_size, "sha256": sha256(file)}


@contextmanager
def explained(folder: Path) -> Iterator[None]:
    """Turn an `OSError` of writing to the cache into an error for the user.

    Args:
        folder: what is written.

    Raises:
        DataError: instead of an `OSError`.
    """
    try:
        yield
    except OSError as error:
        raise DataError(
            f"cannot be written ({error.strerror or error}); free some space or choose another folder with "
            "data.cache=FOLDER",
            folder,
        ) from error


def _load(folder: Path, fresh: bool, extra: Sequence[ExtraCorpus], config: DataConfig) -> Prepared:
    try:
        report = json.loads((folder / "prepared.json").read_text(encoding="utf-8"))
        if "parts" in report:  # the key of older versions
            report["splits"] = report.pop("parts")
        mixture = mixture_of(report, extra, config)
        report = with_settings(report, extra) if extra else report
        count = {split: int(report["splits"][split]["examples"]) for split in SPLITS}
        splits: dict[str, Sequence[Example]] = {
            "train": StoredExamples(folder / "train.jsonl", count["train"])
        }
        for split in ("dev", "test"):
            splits[split] = load_examples(folder / f"{split}.jsonl")
            if len(splits[split]) != count[split]:
                raise DataError("lines are missing", folder / f"{split}.jsonl", len(splits[split]) + 1)
    except (DataError, OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"corrupt ({error}); delete this folder to regenerate it", folder) from error
    return Prepared(splits, report, folder, fresh, mixture)


def _fingerprint(
    config: DataConfig, files: list[str], own: Mapping[str, list[str]], extra: list[list[Any]]
) -> str:
    """A digest of the relevant settings and of the strings in `files` (the source), `own` (user-provided
    sets) and `extra` (what identifies the extra corpora).
    """
    content = [FORMAT, files, {name: getattr(config, name) for name in _SETTINGS}, *([own] if own else [])]
    content += [{"extra": extra}] if extra else []
    ways = [len(ways) for ways in directions(config)]
    if max(ways) > 1 or target_languages(config):
        content += [{"directions": ways, "tagged": bool(target_languages(config))}]
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


# ---------------------------------------------------------------- preparation


def _make(
    config: DataConfig,
    files: list[Path],
    own: Mapping[str, list[Path]],
    extra: list[OpenedCorpus],
    folder: Path,
    report: dict[str, Any],
    identities: dict[str, str],
    workers: int | None,
) -> None:
    """Prepare the corpus in two passes: clean to a temporary file, then divide that file into the splits. The
    extra corpora follow, as it takes the dev and the test set to clean them.
    """
    tagged = bool(target_languages(config))
    both = [len(ways) > 1 for ways in directions(config)]
    own_sets = {split: read_held_out(config, held) for split, held in own.items()}
    held_out = HeldOut(own_sets, config.swap, either=tagged)
    reasons = ("empty", "too_long", "ratio", "duplicate", *held_out.reasons)
    dropped: Counter[str] = Counter(dict.fromkeys(reasons, 0))
    with suppress(FileExistsError):  # a file in its place: reported when the next line fails
        folder.parent.mkdir(parents=True)
    seen, temporary = SeenKeys(), tempfile.TemporaryFile
    with ExitStack() as stack:
        file = stack.enter_context(temporary(dir=folder.parent))
        cleaned = write_cleaned(config, files, dropped, held_out.reason, file, workers, seen)
        if not len(cleaned):
            raise DataError("no usable sentence pairs" + all_held_out(dropped), files[0])
        component = components(cleaned.first, cleaned.second)
        dev, test = (
            0.0 if split in own else fraction
            for split, fraction in (("dev", config.dev_fraction), ("test", config.test_fraction))
        )
        assigned = assign_splits(cleaned.first, component, dev, test, workers)
        _, sizes = np.unique(component, return_counts=True)
        held = {split: grouped(cleaned.pairs(assigned == SPLITS.index(split))) for split in ("dev", "test")}
        held |= {split: list(examples) for split, examples in held_out.sets.items()}
        in_train = assigned == TRAIN
        if tagged:
            shared = sharing(cleaned.first, cleaned.second, assigned)
            dropped.update(f"in_{SPLITS[split]}" for split in shared[shared != TRAIN])
            in_train &= shared == TRAIN
        kept = int(in_train.sum() + (assigned != TRAIN).sum())
        for split, size in {"train": int(in_train.sum()), **{k: len(v) for k, v in held.items()}}.items():
            if not size:
                raise DataError(why_empty(split, len(cleaned), sizes, dropped), files[0])
        made = Path(stack.enter_context(tempfile.TemporaryDirectory(dir=folder.parent)))
        extra = [*extra, *open_made(config, lambda: cleaned.lines(in_train), made)]
        further = [
            clean_extra(one, held, seen, stack.enter_context(temporary(dir=folder.parent)), workers)
            for one in extra
        ]
        training = [TrainingPairs(cleaned, in_train, both[0])]
        training += [one.trained(ways) for one, ways in zip(further, both[1:], strict=True)]
        trained = np.concatenate([one.sources() for one in training])
        report |= _counts(kept, sizes, dropped, trained, held)
        if extra:
            report["extra"] = [
                describe_extra(one, pairs, _described) for one, pairs in zip(extra, further, strict=True)
            ]
        if len(own) == len(HELD_OUT):
            report["dev_in_test"] = held_out.dev_in_test()
        previous = previous_preparation(folder, identities["identity"])
        sources = {split: text_keys(e.source for e in examples) for split, examples in held.items()}
        report["since_previous"] = previous and changes(previous, {"train": trained, **sources})
        lines = chain.from_iterable(one.lines() for one in training)
        _save(folder, lines, held, report | identities)


def _save(
    folder: Path, train: Iterator[bytes], held: Mapping[str, list[Example]], report: dict[str, Any]
) -> None:
    with replacing(folder / "train.jsonl", "wb") as file:
        file.writelines(train)
    for split, examples in held.items():
        save_examples(folder / f"{split}.jsonl", examples)
    write_json(folder / "prepared.json", report)  # last: marks the preparation as complete


def _counts(
    kept: int,
    sizes: NDArray[np.int64],
    dropped: Counter[str],
    trained: Keys,
    held: Mapping[str, list[Example]],
) -> dict[str, Any]:
    """The report's counts; `kept` pairs were not dropped, `sizes` are those of the components, `trained` has
    the source of every line of the training set, and all but the size of that is without extra corpora.
    """
    pairs = len(trained)
    train = {"examples": pairs, "sources": len(np.unique(trained)), "pairs": pairs}
    return {
        "pairs_read": kept + dropped.total(),
        "dropped": dict(dropped),
        "pairs_kept": kept,
        "components": len(sizes),
        "largest_component": int(sizes.max()),
        "splits": {"train": train, **{split: split_sizes(examples) for split, examples in held.items()}},
    }


def split_sizes(examples: Sequence[Example]) -> dict[str, int]:
    """Number of examples, distinct sources and pairs in a split."""
    return {
        "examples": len(examples),
        "sources": len({example.source for example in examples}),
        "pairs": sum(len(example.references) for example in examples),
    }
