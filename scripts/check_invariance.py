"""Check that a translation depends on nothing but its sentence: not on batch, order or neighbours.

python scripts/check_invariance.py --run runs/a [--ways search,library,command,server,onnx,int8] [--nbest 5]
python scripts/check_invariance.py --run runs/a --server http://127.0.0.1:8000

Every sentence of the test set is translated alone, in batches of 7 and 64, in another order, and beside a
sentence of 200 subwords: by the search itself, the library, the command, the server (in another order: by 32
clients at a time, a sentence in each request) and the exported model. With --server only by that server.
Texts and n-best lists must be those of the search of the sentence alone, and scores within 1e-5 (of the
exported model 1e-4); so must be the score of each hypothesis by forced decoding. The exported model in 8 bits
(int8) is compared with what it finds itself for the sentence alone. Exit status: 0 if all of it holds, 1 if
not.
"""

import argparse
import sys
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # runs from a checkout, without installation

from nmt import cli  # noqa: E402
from nmt.errors import ConfigError  # noqa: E402

if TYPE_CHECKING:
    from invariance.comparison import Comparison

    from nmt.runs.run import Run

WAYS = ("search", "library", "command", "server", "onnx", "int8")


def parser() -> argparse.ArgumentParser:
    """Return the argument parser."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python scripts/check_invariance.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--run", type=cli.path, metavar="RUN", default="runs/latest", help="default: %(default)s"
    )
    parser.add_argument("--ways", metavar="LIST", default=",".join(WAYS), help="default: %(default)s")
    parser.add_argument("--nbest", type=int, metavar="N", default=5, help="default: %(default)s")
    parser.add_argument(
        "--sentences", type=int, metavar="N", help="only the first N sentences (default: all)"
    )
    parser.add_argument(
        "--method", choices=("beam", "sample", "mbr"), default="beam", help="default: %(default)s"
    )
    parser.add_argument("--server", metavar="URL", help="check this server, whose first model is the run")
    return parser


def main() -> None:
    """Run the command."""
    arguments = parser().parse_args()
    ways = ["server"] if arguments.server else list(dict.fromkeys(arguments.ways.split(",")))
    for way in ways:
        if way not in WAYS:
            raise ConfigError(f"--ways {way}: choose from {', '.join(WAYS)}")
    for name, value in (("--nbest", arguments.nbest), ("--sentences", arguments.sentences)):
        if value is not None and value < 1:
            raise ConfigError(f"{name} {value}: must be at least 1")
    from nmt.data.examples import load_examples
    from nmt.runs.run import open_run

    run = open_run(Path(arguments.run))
    examples = load_examples(run.examples("test"))[: arguments.sentences]
    sentences = list(dict.fromkeys(example.source for example in examples))
    report(check(run, sentences, ways, arguments.method, arguments.nbest, arguments.server))


def check(
    run: "Run",
    sentences: Sequence[str],
    ways: Sequence[str],
    method: str,
    nbest: int,
    server: str | None = None,
) -> "Iterator[Comparison]":
    """All comparisons, as they are made; `server` is the address of one that runs already."""
    from invariance.arrangements import arrangements
    from invariance.comparison import EXPORTED, TOLERANCE, compare
    from invariance.ways import as_nbest, forced, found_alone, open_way, search_translator

    alone = found_alone(run, sentences, method, nbest)
    if method != "mbr":  # whose score is no log-probability
        yield forced(run, alone)
    tokenizer = search_translator(run, method, nbest, 1).source

    def size(text: str) -> int:
        return len(tokenizer.encode(text))

    expected = {sentence: as_nbest(group) for sentence, group in alone.items()}
    for way in sorted(ways, key=lambda way: way == "int8"):  # the last one, with results of its own
        with open_way(way, run, method, nbest, server) as translate:
            if way == "int8":
                expected = {sentence: translate([sentence])[0] for sentence in sentences}
            for name, calls in arrangements(sentences, size, by_file=way == "command").items():
                results = [pair for call in calls for pair in zip(call, translate(call), strict=True)]
                tolerance = EXPORTED if way == "onnx" else TOLERANCE
                yield compare(f"{way}, {name}", expected, results, tolerance)


def report(found: "Iterable[Comparison]") -> None:
    """Print the table, line by line, and exit with status 1 if something differs."""
    print("| check | sentences | other texts | other n-best lists | scores differ by at most |")
    print("|---|---:|---:|---:|---:|")
    holds = True
    for one in found:
        print(one.row(), flush=True)
        for line in one.examples:
            print(line, file=sys.stderr)
        holds &= one.holds
    if not holds:
        sys.exit(1)


if __name__ == "__main__":
    cli.run(main)
