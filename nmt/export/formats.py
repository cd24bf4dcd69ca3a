"""Attention file formats by file extension; imports nothing heavy."""

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
    """Check the file extension.

    Raises:
        ConfigError: if it is unknown, with the list of supported ones.
    """
    if Path(name).suffix.lower() not in FORMATS:
        raise ConfigError(f"--attention {name}: must end in {', '.join(FORMATS)}")


def check_threshold(threshold: float | None) -> None:
    """Check that an attention threshold is in (0, 1].

    Raises:
        ConfigError: if not, with the bounds.
    """
    if threshold is not None and not 0 < threshold <= 1:
        raise ConfigError(f"--threshold {threshold:g}: must be above 0 and at most 1")
