"""Training: speed, utilisation and peak memory by model, batch size, threads and precision."""

from collections.abc import Callable
from typing import Any, NamedTuple

from nmt.data.batches import MicroBatches
from nmt.training.precision import choose_precision
from timing.clock import profiled
from timing.flops import MatrixRate, matrix_sizes, update_flops
from timing.memory import peak_memory, updates
from timing.statistics import Measurement, Options, Spread, interleaved, spread, with_threads
from timing.workload import Updates, compose

SPEED, EACH = "target tokens/s", "ms per update"
USED, MEMORY = "FLOP utilisation", "peak memory, MiB"
PRODUCT = "GFLOP/s, best"
BUSY, KERNELS = "GPU busy", "kernels per update"


class Variant(NamedTuple):
    """The conditions of a measurement; `Rate` has those on which the rate of matrix products depends."""

    model: str
    batch: int
    threads: int
    precision: str

    @property
    def rate(self) -> "Rate":
        """The matrix products to compare it with."""
        return Rate(self.threads, self.precision)


class Rate(NamedTuple):
    """The conditions of a matrix product."""

    threads: int
    precision: str


def measure(options: Options) -> list[Measurement]:
    """Time the same updates in every repetition, interleaved with matrix products."""
    sets = {batch: updates(batch, options.small) for batch in options.batch_tokens}
    works = _works(options, sets)
    rates = _rates(options)
    timed: dict[Variant | Rate, Callable[[], object]] = {
        variant: with_threads(variant.threads, work) for variant, work in works.items()
    }
    timed |= {rate: with_threads(rate.threads, matrices.measure) for rate, matrices in rates.items()}
    if options.device.type == "cuda":
        for work in works.values():  # a CUDA graph is captured when a shape comes again: in the next pass
            work()
    seconds = interleaved(timed, options.repetitions, options.device)
    flops, memory = _flops(options, sets), _memory(options)
    found = [
        Measurement("matrix product", _key(rate, options), {PRODUCT: spread([matrices.best / 1e9])})
        for rate, matrices in rates.items()
    ]
    for variant, work in works.items():
        batches = sets[variant.batch]
        figures = _speed(seconds[variant], batches)
        if operations := flops[variant.model, variant.batch]:
            rate = rates[variant.rate].best
            figures[USED] = spread([operations / (taken * rate) for taken in seconds[variant]])
        figures |= _gpu(work, options, seconds[variant], len(batches))
        if peak := memory[variant.model, variant.batch, variant.precision]:
            figures[MEMORY] = spread([peak / 2**20])
        found.append(Measurement("training", _key(variant, options), figures))
    return found


def _key(conditions: "Variant | Rate", options: Options) -> dict[str, Any]:
    return {**conditions._asdict(), "device": options.device.type}


def _works(options: Options, sets: dict[int, list[MicroBatches]]) -> dict[Variant, Callable[[], int]]:
    """For each variant, a function that runs its updates; those that differ in threads share a model."""
    works = {}
    for model in options.models:
        for precision in options.precisions:
            config = compose(model, options.small, f"training.precision={precision}")
            for batch, batches in sets.items():
                update = Updates(config, options.device)
                for threads in options.threads:
                    works[Variant(model, batch, threads, precision)] = _in_turn(update, batches)
    return works


def _in_turn(update: Callable[[MicroBatches], int], batches: list[MicroBatches]) -> Callable[[], int]:
    return lambda: sum(update(one) for one in batches)


def _rates(options: Options) -> dict[Rate, MatrixRate]:
    sizes = matrix_sizes(options.device, options.small)
    dtypes = {name: choose_precision(name, options.device).dtype for name in options.precisions}
    return {
        Rate(threads, name): MatrixRate(options.device, dtype, sizes)
        for threads in options.threads
        for name, dtype in dtypes.items()
    }


def _flops(options: Options, sets: dict[int, list[MicroBatches]]) -> dict[tuple[str, int], float | None]:
    """The operations of a repetition, by model and batch size."""
    found: dict[tuple[str, int], float | None] = {}
    for model in options.models:
        flops = update_flops(compose(model, options.small, "training.precision=fp32"))
        for size, batches in sets.items():
            all_of = [batch for update in batches for batch in update.batches]
            found[model, size] = None if flops is None else sum(map(flops, all_of))
    return found


def _memory(options: Options) -> dict[tuple[str, int, str], int | None]:
    return {
        (model, batch, precision): peak_memory(model, batch, precision, options.device, options.small)
        for model in options.models
        for batch in options.batch_tokens
        for precision in options.precisions
    }


def _speed(seconds: list[float], batches: list[MicroBatches]) -> dict[str, Spread]:
    tokens = sum(update.tokens for update in batches)
    return {
        SPEED: spread([tokens / taken for taken in seconds]),
        EACH: spread([1000 * taken / len(batches) for taken in seconds]),
    }


def _gpu(work: Callable[[], int], options: Options, seconds: list[float], count: int) -> dict[str, Spread]:
    """The utilisation of a GPU; nothing on other devices."""
    gpu, kernels = profiled(work, options.device, 1)
    if gpu is None or kernels is None:
        return {}
    return {
        BUSY: spread([min(1.0, gpu / taken) for taken in seconds]),
        KERNELS: spread([kernels / count]),
    }
