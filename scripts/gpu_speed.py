"""Measure a full-size model on a device: speed of training and beam search, and GPU utilisation.

python scripts/gpu_speed.py --model transformer --device cuda:0 --output FILE.json
python scripts/gpu_speed.py --model transformer --device cuda:0 --nondeterministic

Sentences are random, of 3 to 30 tokens; the model is untrained. With --nondeterministic, only lists the
operations of an update for which PyTorch has no deterministic kernel, one per line.
"""

import argparse
import itertools
import json
import warnings
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from timing.clock import profiled, repeated, wait
from timing.workload import Updates, compose, micro_batches, new_model, search_batch, sentences

from nmt import cli
from nmt.config.settings import Config
from nmt.data.grouping import sorted_batches
from nmt.device import choose_device
from nmt.files import write_json
from nmt.training.precision import choose_precision

BATCHES = (640, 4096, 16384)  # tokens
CYCLE = 6  # updates that are repeated, so that their shapes come again
WARM_UP, PROFILED, AT_LEAST = 2 * CYCLE, CYCLE, CYCLE  # updates; on a GPU the second cycle captures them
SMALL_BATCHES = (128, 256)  # tokens: what a CPU can do in seconds


@dataclass(frozen=True)
class Speed:
    """A measurement.

    Attributes:
        model: file in configs/model.
        work: "training", "plain" (training without CUDA graphs) or "beam 5".
        batch: maximum batch size in tokens; in search, source pieces × beam.
        precision: dtype of matrix products.
        per_second: target tokens without padding in training, or sentences in search.
        milliseconds: per update, or per search step.
        busy: fraction of that time in which the GPU is busy; None if not measured.
        kernels: run per update, or per search step; None if not measured.
        graphs: CUDA graphs captured; None if they are not used.
    """

    model: str
    work: str
    batch: int
    precision: str
    per_second: float
    milliseconds: float
    busy: float | None
    kernels: float | None
    graphs: int | None = None


def parser() -> argparse.ArgumentParser:
    """Return the argument parser."""
    assert __doc__
    parser = argparse.ArgumentParser(prog="python scripts/gpu_speed.py", description=__doc__.splitlines()[0])
    parser.add_argument("--model", required=True, help="a file in configs/model")
    parser.add_argument("--device", default="auto", help="auto, cpu, cuda:1 …")
    parser.add_argument("--output", metavar="FILE", help="JSON file for the measurements")
    parser.add_argument(
        "--seconds", type=float, default=3.0, help="duration of each measurement (default: %(default)s)"
    )
    parser.add_argument("--small", action="store_true", help="a small model and small batches")
    parser.add_argument(
        "--nondeterministic", action="store_true", help="only list the operations that are not deterministic"
    )
    return parser


def main() -> None:
    """Run the command."""
    arguments = parser().parse_args()
    device = choose_device(arguments.device)
    config = compose(arguments.model, arguments.small)
    if device.type == "cuda":
        torch.cuda.set_device(device)
    if arguments.nondeterministic:
        print(*nondeterministic(config, device), sep="\n")
        return
    sizes = SMALL_BATCHES if arguments.small else BATCHES
    plain = compose(arguments.model, arguments.small, "training.cuda_graphs=false")
    found = [training_speed(arguments.model, config, device, one, arguments.seconds) for one in sizes]
    found.append(training_speed(arguments.model, plain, device, sizes[0], arguments.seconds))
    found.append(search_speed(arguments.model, config, device, arguments.seconds, arguments.small))
    rows = [asdict(speed) for speed in found]
    if arguments.output:
        write_json(Path(arguments.output), rows)
    else:
        print(json.dumps(rows, indent=2))


# ---------------------------------------------------------------- training


def training_speed(name: str, config: Config, device: torch.device, max_tokens: int, seconds: float) -> Speed:
    """Time the same few updates over and over for `seconds`, then run them under the profiler."""
    updates = Updates(config, device)
    stream = itertools.cycle(list(itertools.islice(micro_batches(max_tokens), CYCLE)))

    def update() -> int:
        return updates(next(stream))

    for _ in range(WARM_UP if device.type == "cuda" else 1):
        update()
    tokens, count, spent = repeated(update, device, seconds, AT_LEAST)
    gpu, kernels = profiled(update, device, PROFILED)
    graphs = updates.train_step.graphs
    return Speed(
        name,
        "training" if config.training.cuda_graphs else "plain",
        max_tokens,
        precision_name(config, device),
        per_second=tokens / spent,
        milliseconds=1000 * spent / count,
        busy=None if gpu is None else min(1.0, gpu / (spent / count)),
        kernels=kernels,
        graphs=None if graphs is None else graphs.count,
    )


def precision_name(config: Config, device: torch.device) -> str:
    """The name of the dtype, such as bfloat16."""
    return str(choose_precision(config.training.precision, device).dtype).removeprefix("torch.")


# ---------------------------------------------------------------- search


def search_speed(name: str, config: Config, device: torch.device, seconds: float, small: bool) -> Speed:
    """Time beam search over batches of sentences; translations are two tokens longer than their source."""
    torch.manual_seed(config.seed)
    model, decoding = new_model(config, device).eval(), config.decoding
    texts = sentences(32 if small else 512, seed=3)
    max_tokens = max(1, decoding.batch_tokens // decoding.beam_size)
    batches = [
        [texts[i] for i in chosen] for chosen in sorted_batches([len(t) + 1 for t in texts], max_tokens)
    ]
    steps = sum(max(len(text) for text in batch) + 3 for batch in batches)

    def work() -> int:
        for batch in batches:
            search_batch(model, batch, decoding.beam_size, decoding.length_penalty)
        return len(texts)

    search_batch(model, batches[0], decoding.beam_size, decoding.length_penalty)  # warm-up
    count, rounds, spent = repeated(work, device, seconds, at_least=1)
    gpu, kernels = profiled(work, device, 1)
    return Speed(
        name,
        f"beam {decoding.beam_size}",
        decoding.batch_tokens,
        str(next(model.parameters()).dtype).removeprefix("torch."),
        per_second=count / spent,
        milliseconds=1000 * spent / (rounds * steps),
        busy=None if gpu is None else min(1.0, gpu * rounds / spent),
        kernels=None if kernels is None else kernels / steps,
    )


# ---------------------------------------------------------------- why two runs differ


def nondeterministic(config: Config, device: torch.device) -> list[str]:
    """PyTorch's warnings in an update with deterministic algorithms requested: one sentence per operation
    without a deterministic kernel. Operations that have both kinds of kernels are not included.
    """
    update, batch = Updates(config, device), next(micro_batches(min(BATCHES)))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        torch.use_deterministic_algorithms(True, warn_only=True)
        try:
            update(batch)
            wait(device)
        finally:
            torch.use_deterministic_algorithms(False)
    said = [str(warning.message).split(". ")[0].split(", but you set")[0] for warning in caught]
    return sorted({one for one in said if "eterministic" in one})


if __name__ == "__main__":
    cli.run(main)
