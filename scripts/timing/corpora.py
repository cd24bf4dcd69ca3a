"""Generated sentence pairs, as a file that `data=tsv` reads."""

import random
import string
from pathlib import Path

from nmt.config.data import DataConfig, TokenizerConfig
from nmt.files import write_text

WORDS = 3000  # different ones on each side
PIECES, PIECES_SMALL = 2000, 400  # vocabulary


def write_pairs(path: Path, count: int) -> None:
    """Write pairs of 3 to 12 random words; frequent words are much more frequent than others."""
    chance = random.Random(count)
    sides = [_words(seed) for seed in (1, 2)]
    weights = [1 / rank for rank in range(1, WORDS + 1)]
    lines = []
    for _ in range(count):
        length = chance.randint(3, 12)
        pair = [" ".join(chance.choices(words, weights, k=length)) for words in sides]
        lines.append("\t".join(pair) + "\n")
    write_text(path, "".join(lines))


def _words(seed: int) -> list[str]:
    chance = random.Random(seed)
    return ["".join(chance.choices(string.ascii_lowercase, k=chance.randint(2, 9))) for _ in range(WORDS)]


def settings(path: Path, cache: Path, small: bool) -> DataConfig:
    """The data settings for a file of pairs."""
    return DataConfig(
        source="tsv",
        path=str(path),
        cache=str(cache),
        tokenizer=TokenizerConfig(vocab_size=PIECES_SMALL if small else PIECES),
    )
