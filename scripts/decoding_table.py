"""Compare search methods on a run: BLEU, chrF2 and sentences per second.

python scripts/decoding_table.py --run runs/a [--run runs/b --run runs/c] [--output table.md]

With the first run: greedy search, beams, minimum Bayes risk over an n-best list and over samples; then, if
there are several, their ensemble. All methods translate the same sentences, in turn and several times, so
that a machine that becomes slower meanwhile slows all of them.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # runs from a checkout, without installation

from nmt import cli  # noqa: E402
from nmt.errors import ConfigError  # noqa: E402

if TYPE_CHECKING:
    from timing.statistics import Spread

    from nmt.data.examples import Example
    from nmt.decoding.translator import Translator
    from nmt.runs.run import Run


@dataclass(frozen=True)
class Method:
    """A line of the table.

    Attributes:
        name: what it is called there.
        settings: of `decoding.*`, by name; the others are those of the first run.
        ensemble: whether all runs translate together.
    """

    name: str
    settings: dict[str, Any] = field(default_factory=dict)
    ensemble: bool = False


@dataclass(frozen=True)
class Result:
    """What a method reaches.

    Attributes:
        method: the line of the table.
        bleu, chrf: of its translations, 0 to 100.
        speed: sentences per second.
    """

    method: Method
    bleu: float
    chrf: float
    speed: "Spread"


def parser() -> argparse.ArgumentParser:
    """Return the argument parser."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python scripts/decoding_table.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--run", type=cli.path, action="append", metavar="RUN", help="run folder; several: also an ensemble"
    )
    parser.add_argument("--split", choices=("dev", "test"), default="test", help="default: %(default)s")
    parser.add_argument(
        "--sentences", type=int, metavar="N", help="only the first N sentences (default: all)"
    )
    parser.add_argument(
        "--repetitions", type=int, default=3, metavar="N", help="of each timing (default: %(default)s)"
    )
    parser.add_argument(
        "--threads", type=int, default=1, metavar="N", help="CPU threads (default: %(default)s)"
    )
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda …")
    parser.add_argument("--output", type=cli.path, metavar="FILE", help="also write the table, as Markdown")
    return parser


def methods(runs: int) -> list[Method]:
    """The lines of the table, for a number of runs."""
    beams = [Method("greedy" if size == 1 else f"beam {size}", {"beam_size": size}) for size in (1, 5, 12)]
    mbr = [
        Method("MBR, 12 best", {"method": "mbr", "mbr.size": 12}),
        *(
            Method(f"MBR, {n} samples", {"method": "mbr", "mbr.candidates": "samples", "mbr.size": n})
            for n in (16, 64)
        ),
    ]
    together = [Method(f"ensemble of {runs}, beam 5", {"beam_size": 5}, ensemble=True)] if runs > 1 else []
    return beams + mbr + together


def main() -> None:
    """Run the command."""
    arguments = parser().parse_args()
    for name, value in vars(arguments).items():
        if isinstance(value, int) and value < 1:
            raise ConfigError(f"--{name} {value}: must be at least 1")
    import torch

    from nmt.data.examples import load_examples
    from nmt.runs.run import open_run

    torch.set_num_threads(arguments.threads)
    runs = [open_run(Path(path)) for path in arguments.run or ["runs/latest"]]
    examples = load_examples(runs[0].examples(arguments.split))[: arguments.sentences]
    for run in runs[1:]:
        if load_examples(run.examples(arguments.split))[: arguments.sentences] != examples:
            raise ConfigError(f"{run.folder}: not the same {arguments.split} set as in {runs[0].folder}")
    found = measure(runs, examples, arguments.device, arguments.repetitions)
    lines = table(found)
    print(*lines, sep="\n")
    print(f"\n{len(examples)} sentences of the {arguments.split} set, {arguments.threads} CPU thread(s)")
    if arguments.output:
        from nmt.files import write_text

        write_text(Path(arguments.output), "\n".join(lines) + "\n")


def measure(
    runs: "Sequence[Run]", examples: "Sequence[Example]", device_name: str, repetitions: int
) -> list[Result]:
    """Translate the examples with each method; if several times, once more before, which is not timed."""
    from timing.statistics import interleaved, spread

    from nmt.device import choose_device
    from nmt.evaluation.metrics import corpus_scores
    from nmt.runs.scoring import recorded_tokenizer

    device, tokenizer = choose_device(device_name), recorded_tokenizer(runs[0])
    sources = [example.source for example in examples]
    texts: dict[str, list[str]] = {}
    works: dict[str, Callable[[], object]] = {}
    chosen = methods(len(runs))
    for method in chosen:
        translator = _translator(runs, method, device)
        works[method.name] = _work(translator, sources, texts, method.name)
    seconds = interleaved(works, repetitions, device, warm_up=repetitions > 1)
    found = []
    for method in chosen:
        references = [example.references for example in examples]
        scores = {one.name: one.value for one in corpus_scores(texts[method.name], references, tokenizer)}
        speed = spread([len(sources) / taken for taken in seconds[method.name]])
        found.append(Result(method, scores["BLEU"], scores["chrF2"], speed))
    return found


def _translator(runs: "Sequence[Run]", method: Method, device: Any) -> "Translator":
    from nmt.runs.load import load_ensemble

    config = runs[0].decoding()
    for key, value in method.settings.items():
        *groups, name = key.split(".")
        section = config
        for group in groups:
            section = getattr(section, group)
        assert hasattr(section, name), key
        setattr(section, name, value)
    return load_ensemble(runs if method.ensemble else runs[:1], config, device)


def _work(
    translator: "Translator", sources: Sequence[str], texts: dict[str, list[str]], name: str
) -> Callable[[], None]:
    def run() -> None:
        texts[name] = [best[0].text for best in translator.translate(sources)]

    return run


def table(results: Sequence[Result]) -> list[str]:
    """A table in Markdown: the last column is the median speed, with the quartiles."""
    lines = ["| search | BLEU | chrF2 | sentences/s |", "|---|---:|---:|---:|"]
    for method, bleu, chrf, speed in ((one.method, one.bleu, one.chrf, one.speed) for one in results):
        range_ = f"{speed.median:.0f} ({speed.lower:.0f} – {speed.upper:.0f})"
        lines.append(f"| {method.name} | {bleu:.1f} | {chrf:.1f} | {range_} |")
    return lines


if __name__ == "__main__":
    cli.run(main)
