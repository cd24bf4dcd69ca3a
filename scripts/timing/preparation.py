"""Preparation of a corpus: pairs per second of its two parts."""

import tempfile
from pathlib import Path

from nmt.data.prepare import prepare
from nmt.data.vocabulary import load_corpus
from timing.corpora import settings, write_pairs
from timing.statistics import Measurement, Options, interleaved, spread

PAIRS, PAIRS_SMALL = 20_000, 500
SPLIT, TOKENISE = "pairs/s read, cleaned and split", "pairs/s tokenised"


def measure(options: Options) -> list[Measurement]:
    """Prepare the same pairs in a new cache in every repetition."""
    count = PAIRS_SMALL if options.small else PAIRS
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        path = Path(folder) / "pairs.tsv"
        write_pairs(path, count)
        caches = [
            settings(path, Path(folder) / f"cache-{number}", options.small)
            for number in range(options.repetitions + 1)
        ]
        first, second = iter(caches), iter(caches)

        def split() -> None:
            prepare(next(first))

        def tokenise() -> None:
            load_corpus(next(second))  # the split is in the cache

        seconds = interleaved({SPLIT: split}, options.repetitions, options.device)
        seconds |= interleaved({TOKENISE: tokenise}, options.repetitions, options.device)
    figures = {name: spread([count / one for one in taken]) for name, taken in seconds.items()}
    return [Measurement("preparation", {"pairs": count}, figures)]
