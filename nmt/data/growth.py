"""What changed since a corpus was last prepared: new sentences, and sentences that moved between splits."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from nmt.data.examples import Example, load_examples
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


def changes(previous: Path, parts: Mapping[str, Sequence[Example]]) -> dict[str, Any] | None:
    """Count source sentences that are new, gone, or in another split (because components merged).

    Args:
        previous: folder of the earlier preparation; None is returned if it is corrupt.
        parts: the examples of the new one.
    """
    try:
        before = {e.source: part for part in parts for e in load_examples(previous / f"{part}.jsonl")}
    except DataError:
        return None
    now = {example.source: part for part, examples in parts.items() for example in examples}
    return {
        "previous": previous.name,
        "new_sources": len(now.keys() - before.keys()),
        "gone_sources": len(before.keys() - now.keys()),
        "moved_sources": sum(before[source] != now[source] for source in now.keys() & before.keys()),
    }
