"""What changed since a corpus was last prepared: new sentences, and sentences that moved between splits."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from nmt.data.examples import iterate_examples
from nmt.data.keys import Keys, text_keys
from nmt.errors import DataError


def previous_preparation(folder: Path, identity: str) -> Path | None:
    """The newest other preparation of the same files with the same settings, if any.

    Args:
        folder: of this preparation; its siblings are searched.
        identity: digest of file paths and settings that both share.
    """
    found: list[tuple[float, Path]] = []
    for report_path in folder.parent.glob("*/prepared.json"):
        try:
            found_identity = json.loads(report_path.read_text(encoding="utf-8"))["identity"]
        except (OSError, ValueError, KeyError, TypeError):
            continue  # corrupt: nothing to compare with
        if report_path.parent != folder and found_identity == identity:
            found.append((report_path.stat().st_mtime, report_path.parent))
    return max(found)[1] if found else None


def changes(previous: Path, sources: Mapping[str, Keys]) -> dict[str, Any] | None:
    """Count source sentences that are new, gone, or in another split (because components merged).

    Args:
        previous: folder of the earlier preparation; None is returned if it is corrupt.
        sources: keys of the source sentences of each split of the new one.
    """
    try:
        before = {
            split: text_keys(example.source for example in iterate_examples(previous / f"{split}.jsonl"))
            for split in sources
        }
    except DataError:
        return None
    old, old_splits = _last_split_of_each(before)
    new, new_splits = _last_split_of_each(sources)
    _, in_old, in_new = np.intersect1d(old, new, assume_unique=True, return_indices=True)
    return {
        "previous": previous.name,
        "new_sources": len(new) - len(in_new),
        "gone_sources": len(old) - len(in_old),
        "moved_sources": int((old_splits[in_old] != new_splits[in_new]).sum()),
    }


def _last_split_of_each(sources: Mapping[str, Keys]) -> tuple[Keys, NDArray[np.int64]]:
    """The distinct keys, and for each the number of the last split that has it."""
    keys = np.concatenate(list(sources.values()))
    splits = np.repeat(np.arange(len(sources)), [len(of_split) for of_split in sources.values()])
    distinct, last = np.unique(keys[::-1], return_index=True)
    return distinct, splits[::-1][last]
