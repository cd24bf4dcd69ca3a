"""The files that attention can be written to, by the ending of their names; nothing heavy is imported."""

from pathlib import Path

from nmt.errors import ConfigError

FORMATS = {
    ".png": "a picture",
    ".svg": "a picture",
    ".npz": "the matrices, for numpy",
    ".jsonl": "the matrices, one JSON object a line",
    ".html": "an interactive page",
    ".pharaoh": "word alignments, one line each",
}


def check_attention_name(name: str) -> None:
    """Refuse a name whose ending says nothing.

    Raises:
        ConfigError: naming the endings there are.
    """
    if Path(name).suffix.lower() not in FORMATS:
        raise ConfigError(f"--attention {name}: must end in {', '.join(FORMATS)}")


def check_threshold(threshold: float | None) -> None:
    """Refuse a share of attention that is none.

    Raises:
        ConfigError: naming the bounds.
    """
    if threshold is not None and not 0 < threshold <= 1:
        raise ConfigError(f"--threshold {threshold:g}: must be above 0 and at most 1")
