"""`python -m nmt.translate`: translate text line by line."""

import argparse
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from nmt import cli
from nmt.library.arguments import (
    add_combining_arguments,
    add_library_arguments,
    check_combining,
    translation_options,
)

if TYPE_CHECKING:
    from nmt.library.api import Translator
    from nmt.library.line_output import Line, Sink
    from nmt.library.options import TranslationOptions

_CHUNK = 512  # lines translated together, at most
_PROMPT = "> "


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
    parser.add_argument(
        "--json",
        action="store_true",
        help="print one JSON object per line: text, score, confidence, words, n best …",
    )
    parser.add_argument(
        "--worst",
        type=int,
        metavar="N",
        help="print only the N translations with the lowest confidence, worst first: confidence, line, "
        "source, translation, doubtful words, and what is remarkable, separated by tabs",
    )
    cli.add_target_argument(parser, "language of the translations, of a model that knows several")
    add_library_arguments(parser)
    _add_attention_arguments(parser)
    cli.add_run_arguments(parser)
    add_combining_arguments(parser)
    return parser


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
    options = _check(arguments)
    from nmt.errors import ConfigError
    from nmt.library.api import Translator

    runs = cli.runs_of(arguments)
    translator = Translator.load(
        *runs,
        device=arguments.device,
        batch_tokens=arguments.batch_tokens,
        combine=arguments.combine,
        reverse=arguments.reverse,
    )
    translator.check_target(arguments.to, "--to ")
    if options.attention and not translator.heads:
        wanted = "--attention" if arguments.attention else "--show"
        raise ConfigError(f"{wanted}: the model in {runs[0]} has no attention (model.decoder.style=vector)")
    with cli.open_output(arguments.output) as out, _attention_sink(arguments, translator.heads) as attention:
        sinks = [*_sinks(arguments, out.write), *attention]
        for lines in _translated(translator, arguments, options):
            for line in lines:
                for sink in sinks:
                    sink.add(line)
            out.flush()
        for sink in sinks:
            sink.finish()


def _translated(
    translator: "Translator", arguments: argparse.Namespace, options: "TranslationOptions"
) -> "Iterator[list[Line]]":
    """The translations of all lines, in order, in lists as they come."""
    from nmt.library.line_output import Line

    done = 0
    for chunk in _chunks(arguments):
        found = translator.translate(chunk, options)
        yield [Line(number, translation) for number, translation in enumerate(found, done + 1)]
        done += len(chunk)


def _chunks(arguments: argparse.Namespace) -> Iterator[list[str]]:
    """The lines to translate, in lists: of a file many at once, of standard input those that are waiting, and
    of a terminal each as it is typed.
    """
    from nmt.library import line_input

    size = max(_CHUNK, arguments.batch_tokens or 0)
    if arguments.text:
        return line_input.chunks(line_input.given_lines(arguments.text), size)
    if arguments.input not in (None, "-"):
        quiet = arguments.output is None and sys.stdout.isatty()  # the bar would be among the translations
        lines = line_input.lines_of_file(Path(arguments.input), progress=not quiet)
        return line_input.chunks(lines, size)
    if arguments.input is None and sys.stdin.isatty():
        return ([line] for line in line_input.typed_lines(_PROMPT if sys.stdout.isatty() else ""))
    return line_input.waiting_chunks(line_input.standard_input_lines(), size)


def _sinks(arguments: argparse.Namespace, write: Callable[[str], object]) -> "list[Sink]":
    """What is printed of every line."""
    from nmt.library.line_output import Each, Warnings, Worst, as_json, examples, plain, suspect

    printed: Sink
    if arguments.worst:
        show = (lambda line: as_json(line.translation, line.number)) if arguments.json else suspect
        printed = Worst(arguments.worst, show, write)
    elif arguments.json:
        printed = Each(lambda line: as_json(line.translation), write)
    else:
        printed = Each(lambda line: plain(line.translation, arguments.nbest or 1), write)
    sinks: list[Sink] = [printed, Warnings(sys.stderr.write)]
    if arguments.show:
        sinks.append(Each(_heatmap, sys.stderr.write))
    if arguments.examples and not arguments.json:
        sinks.append(Each(examples, sys.stderr.write))
    return sinks


@contextmanager
def _attention_sink(arguments: argparse.Namespace, heads: int) -> "Iterator[list[Sink]]":
    """What writes the attention of every line, if it is asked for."""
    if not arguments.attention:
        yield []
        return
    from nmt.export.writer import attention_writer
    from nmt.library.joining import joined
    from nmt.library.line_output import Each

    with attention_writer(
        Path(arguments.attention),
        pieces=arguments.pieces,
        grid=arguments.grid,
        threshold=arguments.threshold,
    ) as write:
        yield [Each(lambda line: joined(line.translation.segments, heads), write)]


def _heatmap(line: "Line") -> str:
    """A heatmap for standard error; standard output stays one line per input line."""
    from nmt.library.joining import joined
    from nmt.visualisation.terminal import heatmap_lines

    colour = sys.stderr.isatty() and "NO_COLOR" not in os.environ
    found = joined(line.translation.segments, heads=1)
    return "".join(f"{row}\n" for row in heatmap_lines(*found.words(), colour))


def _check(arguments: argparse.Namespace) -> "TranslationOptions":
    from nmt.errors import ConfigError
    from nmt.export.formats import check_attention_name, check_threshold

    if arguments.text and arguments.input:
        raise ConfigError("TEXT and --input: give only one of them")
    if not arguments.text and arguments.input in (None, "-"):
        cli.check_stream("stdin", "give TEXT or --input FILE")
    cli.check_output(arguments.output)
    for name in ("batch_tokens", "worst"):
        value = getattr(arguments, name)
        if value is not None and value < 1:
            raise ConfigError(f"--{name.replace('_', '-')} {value}: must be at least 1")
    _check_sampling(arguments)
    check_combining(arguments)
    check_threshold(arguments.threshold)
    kind = ""
    if arguments.attention:
        check_attention_name(arguments.attention)
        kind = Path(arguments.attention).suffix.lower()
    pictures = (".png", ".svg")
    for flag, kinds in (("grid", pictures), ("pieces", pictures), ("threshold", (".pharaoh",))):
        if getattr(arguments, flag) not in (None, False) and kind not in kinds:
            raise ConfigError(f"--{flag}: has no effect without --attention OUT{' or OUT'.join(kinds)}")
    return translation_options(arguments, attention=bool(arguments.attention or arguments.show))


def _check_sampling(arguments: argparse.Namespace) -> None:
    from nmt.errors import ConfigError

    search = {"--beam-size": arguments.beam_size, "--exact": arguments.exact or None, "--mbr": arguments.mbr}
    sampling = {
        "--temperature": arguments.temperature,
        "--top-k": arguments.top_k,
        "--top-p": arguments.top_p,
        "--seed": arguments.seed,
    }
    random = arguments.sample or arguments.mbr == "samples"
    for option, value in (search if arguments.sample else sampling).items():
        if value is not None and arguments.sample:
            raise ConfigError(f"--sample and {option}: give only one of them; sampling uses no beam")
        if value is not None and not random:
            raise ConfigError(f"{option} has no effect without --sample or --mbr samples; add one of them")
    if arguments.mbr and arguments.beam_size is not None:
        raise ConfigError("--mbr and --beam-size: give --mbr-size, the number of candidates, instead")
    if arguments.mbr_size is not None and not arguments.mbr:
        raise ConfigError("--mbr-size has no effect without --mbr; add --mbr nbest")


if __name__ == "__main__":
    cli.run(main)
