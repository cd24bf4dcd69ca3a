"""Small corpora of files, for tests of the data pipeline."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from nmt.config.data import DataConfig

Pair = tuple[str, str]


def corpus(number: int = 60) -> list[Pair]:
    """Pairs without relations, but that every third source has a second translation."""
    pairs = [(f"Sentence {i} is here.", f"वाक्य {i} इथे आहे.") for i in range(number)]
    return pairs + [(source, f"{target} बरे") for source, target in pairs[::3]]


def write_tsv(path: Path, pairs: Iterable[Pair]) -> Path:
    path.write_text("".join(f"{source}\t{target}\n" for source, target in pairs), encoding="utf-8")
    return path


def settings(tmp_path: Path, pairs: Iterable[Pair] | None = None, **options: Any) -> DataConfig:
    """A tsv corpus of `pairs` with splits of about a fifth each."""
    file = tmp_path / "pairs.tsv"
    if pairs is not None or not file.exists():
        write_tsv(file, corpus() if pairs is None else pairs)
    usual = {"source": "tsv", "path": str(file), "dev_fraction": 0.2, "test_fraction": 0.2}
    values: dict[str, Any] = usual | options
    if values["source"] != "tsv":
        del values["path"]
    return DataConfig(cache=str(tmp_path / "cache"), **values)
