"""Scaling: the exponent of time against batch size, sentence length, vocabulary and corpus size."""

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch

from nmt.data.batches import MicroBatches, collate
from nmt.data.vocabulary import load_corpus
from timing.corpora import settings, write_pairs
from timing.statistics import Measurement, Options, exponent, interleaved, spread, with_threads
from timing.workload import Updates, compose

EXPONENT, FIRST, LAST = "exponent", "s, smallest", "s, largest"
FIXED, FIXED_SMALL = 16, 4  # sentences, and tokens of each
SIZES: dict[str, tuple[int, ...]] = {
    "batch size": (8, 16, 32, 64),  # sentences
    "length": (8, 16, 32, 64),  # tokens
    "vocabulary": (1000, 4000, 16_000, 64_000),  # pieces
    "corpus size": (2500, 5000, 10_000, 20_000),  # pairs
}
SMALL: dict[str, tuple[int, ...]] = {
    "batch size": (2, 8),
    "length": (4, 8),
    "vocabulary": (1000, 2000),
    "corpus size": (200, 800),
}


def measure(options: Options) -> list[Measurement]:
    """Fit the exponents: those of an update for the first model, that of preparing a corpus."""
    model = options.models[0]
    found = []
    for name in ("batch size", "length", "vocabulary"):
        sizes = (SMALL if options.small else SIZES)[name]
        seconds = interleaved(_updates(options, model, name, sizes), options.repetitions, options.device)
        key: dict[str, Any] = {
            "work": "update",
            "against": name,
            "model": model,
            "threads": options.threads[0],
        }
        found.append(fitted(key | {"device": options.device.type}, sizes, seconds))
    sizes = (SMALL if options.small else SIZES)["corpus size"]
    key = {
        "work": "preparation",
        "against": "corpus size",
        "threads": options.threads[0],
        "device": "cpu",
    }
    return [*found, fitted(key, sizes, _preparations(options, sizes))]


def fitted(key: dict[str, Any], sizes: Sequence[int], seconds: dict[int, list[float]]) -> Measurement:
    """The exponent of each repetition, and the times of the smallest and the largest size.

    Args:
        key: the conditions.
        sizes: in ascending order.
        seconds: by size, the time of each repetition.
    """
    rounds = zip(*(seconds[size] for size in sizes), strict=True)
    figures = {
        EXPONENT: spread([exponent(sizes, taken) for taken in rounds]),
        FIRST: spread(seconds[sizes[0]]),
        LAST: spread(seconds[sizes[-1]]),
    }
    return Measurement("scaling", key | {"from": sizes[0], "to": sizes[-1]}, figures)


def _updates(
    options: Options, model: str, name: str, sizes: Sequence[int]
) -> dict[int, Callable[[], object]]:
    """For each size, a function that runs one update; all in float32."""
    config = compose(model, options.small, "training.precision=fp32")
    same = None if name == "vocabulary" else Updates(config, options.device)
    fixed = FIXED_SMALL if options.small else FIXED
    works: dict[int, Callable[[], object]] = {}
    for size in sizes:
        update = same or Updates(config, options.device, vocabulary=size)
        count = size if name == "batch size" else fixed
        batches = _batch(count, size if name == "length" else fixed)
        works[size] = with_threads(options.threads[0], _bound(update, batches))
    return works


def _bound(update: Callable[[MicroBatches], int], batches: MicroBatches) -> Callable[[], int]:
    return lambda: update(batches)


def _batch(count: int, length: int) -> MicroBatches:
    """An update of sentence pairs of the same length, end-of-sentence included."""
    generator = torch.Generator().manual_seed(1)
    tokens = torch.randint(4, min(SIZES["vocabulary"]), (2, count, length - 1), generator=generator).tolist()
    batch = collate(*tokens)
    return MicroBatches([batch], batch.tokens)


def _preparations(options: Options, sizes: Sequence[int]) -> dict[int, list[float]]:
    """The times of `load_corpus`, always with a new cache."""
    with tempfile.TemporaryDirectory(prefix="benchmark-") as name:
        folder = Path(name)
        works: dict[int, Callable[[], object]] = {}
        for size in sizes:
            write_pairs(folder / f"{size}.tsv", size)
            works[size] = _preparation(folder, size, options)
        return interleaved(works, options.repetitions, options.device)


def _preparation(folder: Path, size: int, options: Options) -> Callable[[], None]:
    caches = iter(range(options.repetitions + 1))

    def run() -> None:
        cache = folder / f"cache-{size}-{next(caches)}"
        load_corpus(settings(folder / f"{size}.tsv", cache, options.small), options.threads[0])

    return run
