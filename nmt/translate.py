"""`python -m nmt.translate`: translate text line by line."""

import argparse
import json
import math
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from nmt import cli

if TYPE_CHECKING:
    from nmt.decoding.result import Translation
    from nmt.decoding.translator import Translator

_CHUNK = 512  # lines translated together, unless input is interactive


def parser() -> argparse.ArgumentParser:
    """Return the argument parser."""
    parser = cli.TextParser(
        prog="python -m nmt.translate",
        description="Translate sentences with a trained run. Reads standard input without TEXT and --input.",
    )
    parser.add_argument("text", nargs="*", metavar="TEXT", help="a sentence to translate")
    parser.add_argument(
        "--input", type=cli.path, metavar="FILE", help="translate the lines of FILE (-: standard input)"
    )
    parser.add_argument(
        "--output", type=cli.path, metavar="FILE", help="output file (default: standard output)"
    )
    parser.add_argument(
        "--nbest",
        type=int,
        metavar="N",
        help="print the N best translations, separated by tabs (the beam is at least N; default: 1)",
    )
    parser.add_argument(
        "--batch-tokens",
        type=int,
        metavar="N",
        help="batch size in source pieces × beam size; N lines are read at a time, if more than 512, so that "
        "they can be sorted. 65536 is fast on a GPU (default: decoding.batch_tokens of the run)",
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object per line, with scores")
    _add_sampling_arguments(parser)
    _add_attention_arguments(parser)
    cli.add_run_arguments(parser)
    return parser


def _add_sampling_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--sample",
        action="store_true",
        help="draw each translation from the model's distribution instead of searching for the best one",
    )
    parser.add_argument(
        "--temperature",
        type=float,
        metavar="T",
        help="--sample: divide the log-probabilities by T; below 1 favours probable tokens (default: 1)",
    )
    parser.add_argument(
        "--seed",
        type=int,
        metavar="N",
        help="--sample: another N draws other translations (default: 0)",
    )


def _add_attention_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--attention",
        type=cli.path,
        metavar="OUT",
        help="also write the alignment: OUT.png or .svg (heatmap), .html (interactive page), .npz or .jsonl "
        "(attention matrices), or .pharaoh (links)",
    )
    parser.add_argument("--show", action="store_true", help="print a small heatmap after each translation")
    parser.add_argument(
        "--threshold",
        type=float,
        metavar="P",
        help="OUT.pharaoh: link every source word with at least this attention",
    )
    parser.add_argument("--grid", action="store_true", help="one image of all sentences")
    parser.add_argument("--sheet", dest="grid", action="store_true", help=argparse.SUPPRESS)  # its old name
    parser.add_argument("--pieces", action="store_true", help="heatmaps of pieces instead of words")


def main() -> None:
    """Run the command."""
    arguments = parser().parse_args()
    _check(arguments)
    from nmt.device import choose_device
    from nmt.errors import ConfigError
    from nmt.runs.load import load_ensemble
    from nmt.runs.run import open_run

    runs = [open_run(path) for path in cli.runs_of(arguments)]
    config = runs[0].decoding()
    config.beam_size = max(arguments.beam_size or config.beam_size, arguments.nbest or 1)
    config.batch_tokens = arguments.batch_tokens or config.batch_tokens
    config.lookahead = None if arguments.exact else config.lookahead
    if arguments.sample:
        config.method = "sample"
        config.sampling.temperature = 1.0 if arguments.temperature is None else arguments.temperature
        config.sampling.seed = arguments.seed or 0
    translator = load_ensemble(runs, config, choose_device(arguments.device))
    if (arguments.attention or arguments.show) and not translator.heads:
        wanted = "--attention" if arguments.attention else "--show"
        raise ConfigError(
            f"{wanted}: the model in {runs[0].folder} has no attention (model.decoder.style=vector)"
        )
    kept: list[Translation] = []
    with cli.open_output(arguments.output) as out:
        for number, best in enumerate(_translate(translator, arguments), 1):
            out.write(_line(best, arguments.json) + "\n")
            if arguments.show:
                print(*_heatmap(best[0]), sep="\n", file=sys.stderr)
            if not best[0].finished and best[0].source.ids:
                print(
                    f"warning: line {number}: the translation was truncated at the length limit",
                    file=sys.stderr,
                )
            if arguments.attention:
                kept.append(best[0])
            out.flush()
    if arguments.attention:
        from nmt.export.writer import write_attention

        write_attention(
            Path(arguments.attention),
            kept,
            pieces=arguments.pieces,
            grid=arguments.grid,
            threshold=arguments.threshold,
        )


def _check(arguments: argparse.Namespace) -> None:
    from nmt.errors import ConfigError
    from nmt.export.formats import check_attention_name, check_threshold

    if arguments.text and arguments.input:
        raise ConfigError("TEXT and --input: give only one of them")
    if not arguments.text and arguments.input in (None, "-"):
        cli.check_stream("stdin", "give TEXT or --input FILE")
    cli.check_output(arguments.output)
    for name in ("beam_size", "nbest", "batch_tokens"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise ConfigError(f"--{name.replace('_', '-')} {value}: must be at least 1")
    _check_sampling(arguments)
    check_threshold(arguments.threshold)
    kind = ""
    if arguments.attention:
        check_attention_name(arguments.attention)
        kind = Path(arguments.attention).suffix.lower()
    pictures = (".png", ".svg")
    for flag, kinds in (("grid", pictures), ("pieces", pictures), ("threshold", (".pharaoh",))):
        if getattr(arguments, flag) not in (None, False) and kind not in kinds:
            raise ConfigError(f"--{flag}: has no effect without --attention OUT{' or OUT'.join(kinds)}")


def _check_sampling(arguments: argparse.Namespace) -> None:
    from nmt.errors import ConfigError

    search = {
        "--beam-size": arguments.beam_size,
        "--nbest": arguments.nbest,
        "--exact": arguments.exact or None,
    }
    sampling = {"--temperature": arguments.temperature, "--seed": arguments.seed}
    for option, value in (search if arguments.sample else sampling).items():
        if value is not None and arguments.sample:
            raise ConfigError(f"--sample and {option}: give only one of them; sampling uses no beam")
        if value is not None:
            raise ConfigError(f"{option} has no effect without --sample; add --sample")
    if arguments.temperature is not None and not 0 < arguments.temperature < math.inf:
        raise ConfigError(
            f"--temperature {arguments.temperature:g}: must be above 0 and finite; for the most probable "
            "tokens, use --beam-size 1 instead of --sample"
        )
    if arguments.seed is not None and arguments.seed < 0:
        raise ConfigError(f"--seed {arguments.seed}: must be at least 0")


def _heatmap(translation: "Translation") -> list[str]:
    """Heatmap lines for standard error; standard output stays one line per input line."""
    from nmt.visualisation.terminal import heatmap_lines

    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    return heatmap_lines(*translation.words(), colour)


def _translate(translator: "Translator", arguments: argparse.Namespace) -> "Iterator[list[Translation]]":
    """The n best translations, or the sample, of every line, in order; on a terminal, line by line as it is
    typed.
    """
    lines = _lines(arguments)
    attention = bool(arguments.attention or arguments.show)
    interactive = not arguments.text and arguments.input is None and sys.stdin.isatty()
    for chunk in _chunks(lines, 1 if interactive else max(_CHUNK, arguments.batch_tokens or 0)):
        yield from translator.translate(chunk, arguments.nbest or 1, attention)


def _chunks(lines: Iterator[str], size: int) -> Iterator[list[str]]:
    """Lists of `size` lines; lines before one that cannot be read are still yielded."""
    from nmt.errors import DataError

    chunk: list[str] = []
    try:
        for line in lines:
            chunk.append(line)
            if len(chunk) == size:
                yield chunk
                chunk = []
    except DataError:
        yield chunk
        raise
    yield chunk


def _lines(arguments: argparse.Namespace) -> Iterator[str]:
    from nmt.data.lines import decoded_lines, file_lines

    if arguments.text:
        # Append a newline, so that an empty TEXT counts as a line too.
        lines = enumerate((text.encode("utf-8", "surrogateescape") + b"\n" for text in arguments.text), 1)
        yield from (line for number, text in lines for _, line in decoded_lines([text], f"TEXT {number}"))
    elif arguments.input in (None, "-"):
        yield from (line for _, line in decoded_lines(sys.stdin.buffer, "standard input"))
    else:
        yield from (line for _, line in file_lines(Path(arguments.input)))


def _line(best: "list[Translation]", as_json: bool) -> str:
    if not as_json:
        return "\t".join(translation.text for translation in best)
    rows = [
        {
            "translation": t.text,
            "score": t.score,
            "log_probability": t.log_probability,
            "finished": t.finished,
        }
        for t in best
    ]
    return json.dumps({"source": best[0].source.text, **rows[0], "nbest": rows}, ensure_ascii=False)


if __name__ == "__main__":
    cli.run(main)
