"""Preparation of a corpus: pairs per second of its two parts."""

import tempfile
from collections.abc import Callable
from pathlib import Path

from nmt.data.prepare import prepare
from nmt.data.vocabulary import load_corpus
from timing.corpora import settings, write_pairs
from timing.statistics import Measurement, Options, interleaved, spread

PAIRS, PAIRS_SMALL = 60_000, 500  # worker processes do not start for few
SPLIT, TOKENISE = "pairs/s read, cleaned and split", "pairs/s tokenised"


def measure(options: Options) -> list[Measurement]:
    """Prepare the same pairs in a new cache in every repetition, with each number of processes."""
    count = PAIRS_SMALL if options.small else PAIRS
    figures: dict[int, dict[str, list[float]]] = {threads: {} for threads in options.threads}
    with tempfile.TemporaryDirectory(prefix="benchmark-") as folder:
        write_pairs(Path(folder) / "pairs.tsv", count)
        for name in (SPLIT, TOKENISE):  # for the second, the split is in the cache
            works = {threads: _work(name, Path(folder), threads, options) for threads in options.threads}
            for threads, seconds in interleaved(works, options.repetitions, options.device).items():
                figures[threads][name] = [count / one for one in seconds]
    return [
        Measurement(
            "preparation",
            {"pairs": count, "threads": threads},
            {name: spread(values) for name, values in of_threads.items()},
        )
        for threads, of_threads in figures.items()
    ]


def _work(name: str, folder: Path, threads: int, options: Options) -> Callable[[], None]:
    numbers = iter(range(options.repetitions + 1))

    def run() -> None:
        cache = folder / f"cache-{threads}-{next(numbers)}"
        data = settings(folder / "pairs.tsv", cache, options.small)
        if name == SPLIT:
            prepare(data, threads)
        else:
            load_corpus(data, threads)

    return run
