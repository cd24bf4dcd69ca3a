"""Search: sentences per second, greedy and with a beam, of one sentence and of many at a time."""

from collections.abc import Callable
from typing import NamedTuple

import torch

from nmt.config.settings import Config
from nmt.model.inference.prepared import PreparedModel
from timing.statistics import Measurement, Options, interleaved, spread, with_threads
from timing.workload import compose, new_model, search_batch, sentences

SPEED = "sentences/s"
BEAMS, BATCHES, BATCHES_SMALL = (1, 5), (1, 64), (1, 8)  # sentences
ALONE, ALONE_SMALL = 8, 1  # sentences that are translated one by one


class Variant(NamedTuple):
    """The conditions of a measurement."""

    model: str
    beam: int
    batch: int
    threads: int


def measure(options: Options) -> list[Measurement]:
    """Translate the same sentences in every repetition; the model is in float32, and prepared."""
    works: dict[Variant, Callable[[], object]] = {}
    counts: dict[Variant, int] = {}
    for name in options.models:
        config = compose(name, options.small)
        torch.manual_seed(config.seed)
        prepared = PreparedModel(new_model(config, options.device).eval())
        for beam in BEAMS:
            for batch in BATCHES_SMALL if options.small else BATCHES:
                texts = sentences(_count(batch, options.small), seed=3)
                batches = [texts[at : at + batch] for at in range(0, len(texts), batch)]
                for threads in options.threads:
                    variant = Variant(name, beam, batch, threads)
                    works[variant] = with_threads(threads, _search(prepared, config, batches, beam))
                    counts[variant] = len(texts)
    seconds = interleaved(works, options.repetitions, options.device)
    return [
        Measurement(
            "search",
            {**variant._asdict(), "device": options.device.type},
            {SPEED: spread([counts[variant] / one for one in taken])},
        )
        for variant, taken in seconds.items()
    ]


def _count(batch: int, small: bool) -> int:
    return batch if batch > 1 else ALONE_SMALL if small else ALONE


def _search(
    model: PreparedModel, config: Config, batches: list[list[list[int]]], beam: int
) -> Callable[[], None]:
    def run() -> None:
        for batch in batches:
            search_batch(model, batch, beam, config.decoding.length_penalty)

    return run
