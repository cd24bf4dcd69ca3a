"""`python -m nmt.align`: word alignments of given pairs, from a trained run or from the pairs alone."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from nmt import cli

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nmt.alignment.words import Link
    from nmt.decoding.result import Translation


def parser() -> argparse.ArgumentParser:
    """Return the argument parser."""
    parser = argparse.ArgumentParser(
        prog="python -m nmt.align",
        description="Force-decode given translations and write their word alignments in Pharaoh format: one "
        "line per pair, source-target, words counted from 0.",
    )
    parser.add_argument(
        "--source", type=cli.path, metavar="FILE", required=True, help="source sentences, one per line"
    )
    parser.add_argument(
        "--target", type=cli.path, metavar="FILE", required=True, help="their translations, one per line"
    )
    parser.add_argument(
        "--output", type=cli.path, metavar="FILE", help="output file (default: standard output)"
    )
    parser.add_argument(
        "--attention",
        type=cli.path,
        metavar="OUT",
        help="also write the attention matrices: OUT.npz, .jsonl, .html, .png, .svg",
    )
    parser.add_argument(
        "--gold",
        type=cli.path,
        metavar="FILE",
        help="score against these gold links (1-2 sure, 1?2 possible)",
    )
    parser.add_argument(
        "--threshold", type=float, metavar="P", help="link every source word with at least this attention"
    )
    parser.add_argument(
        "--shift", type=int, default=0, metavar="N", help="use the attention N pieces after each word"
    )
    parser.add_argument(
        "--reverse", type=cli.path, metavar="RUN", help="a run for the reverse direction, to symmetrise with"
    )
    parser.add_argument(
        "--symmetrise",
        choices=("intersection", "union", "grow-diag-final"),
        help="symmetrisation method with --reverse or --statistical (default: grow-diag-final)",
    )
    parser.add_argument(
        "--statistical",
        action="store_true",
        help="use no run: learn the alignments from these pairs alone, of which there should be thousands",
    )
    cli.add_target_argument(parser, "language of --target, of a model that knows several")
    cli.add_run_arguments(parser, search=False)
    return parser


def main() -> None:
    """Run the command."""
    arguments = parser().parse_args()
    _check(arguments)
    from nmt.alignment.aer import alignment_scores
    from nmt.alignment.pharaoh import format_pharaoh
    from nmt.data.sources.source import side_by_side
    from nmt.errors import DataError

    source, target = Path(arguments.source), Path(arguments.target)
    pairs = [(pair.source, pair.target) for pair in side_by_side(source, target)]
    for number, pair in enumerate(pairs, 1):
        if not all(side.strip() for side in pair):
            empty = source if not pair[0].strip() else target
            raise DataError("an empty line cannot be aligned; remove the pair from both files", empty, number)
    gold = _gold(Path(arguments.gold), pairs) if arguments.gold else None
    forced = (
        [] if arguments.statistical else _force_decode(arguments.run, pairs, arguments.device, arguments.to)
    )
    links = [one.links(arguments.shift, arguments.threshold) for one in forced]
    if arguments.reverse:
        links = _symmetrised(arguments, pairs, links)
    if arguments.statistical:
        links = _statistical(arguments, pairs)
    lines = "".join(format_pharaoh(one) + "\n" for one in links)
    scores = alignment_scores(links, *gold).summary() if gold else None
    with cli.open_output(arguments.output) as out:
        out.write(lines)
    if arguments.attention:
        from nmt.export.writer import write_attention

        write_attention(
            Path(arguments.attention), forced, shift=arguments.shift, threshold=arguments.threshold
        )
    if scores is not None:
        print(scores, file=sys.stderr)


def _check(arguments: argparse.Namespace) -> None:
    from nmt.errors import ConfigError
    from nmt.export.formats import check_attention_name, check_threshold

    cli.check_output(arguments.output)
    check_threshold(arguments.threshold)
    if arguments.statistical:
        for name in ("attention", "threshold", "shift", "reverse", "to"):
            if getattr(arguments, name):
                raise ConfigError(f"--{name}: needs a run; leave out --statistical")
        for name in ("run", "device"):
            if getattr(arguments, name) != parser().get_default(name):
                raise ConfigError(f"--{name}: has no effect with --statistical; leave one of them out")
    elif arguments.symmetrise and not arguments.reverse:
        raise ConfigError(f"--symmetrise {arguments.symmetrise}: needs --reverse RUN or --statistical")
    if arguments.attention:
        check_attention_name(arguments.attention)


def _force_decode(
    run: str, pairs: "Sequence[tuple[str, str]]", device: str, to: str | None
) -> "list[Translation]":
    from nmt.errors import ConfigError
    from nmt.library.loading import load_systems

    ((loaded,), _) = load_systems([Path(run)], device, None)
    translator = loaded.make(loaded.decoding.without_retrieval())
    translator.encode.check(to, "--to ")
    if not translator.heads:
        raise ConfigError(f"{run}: the model has no attention (model.decoder.style=vector)")
    sources, targets = [source for source, _ in pairs], [target for _, target in pairs]
    return translator.align(sources, targets, attention=True, to=to)


def _symmetrised(
    arguments: argparse.Namespace, pairs: "Sequence[tuple[str, str]]", links: "list[frozenset[Link]]"
) -> "list[frozenset[Link]]":
    from nmt.alignment.symmetrise import SYMMETRISATIONS

    swapped = [(target, source) for source, target in pairs]
    backward = _force_decode(arguments.reverse, swapped, arguments.device, _reverse_target(arguments))
    symmetrise = SYMMETRISATIONS[arguments.symmetrise or "grow-diag-final"]
    return [
        symmetrise(one, frozenset((s, t) for t, s in other.links(arguments.shift, arguments.threshold)))
        for one, other in zip(links, backward, strict=True)
    ]


def _reverse_target(arguments: argparse.Namespace) -> str | None:
    """The target language for the run of the reverse direction: None, if it has one direction."""
    from nmt.config.directions import known_directions, target_languages
    from nmt.errors import ConfigError
    from nmt.runs.latest import find_run
    from nmt.runs.run import reopen_run

    run, reverse = (find_run(Path(path)) for path in (arguments.run, arguments.reverse))
    data, reverse_data = reopen_run(run)[1].data, reopen_run(reverse)[1].data
    directions, targets = known_directions(data), target_languages(reverse_data)
    wanted = next((source for source, to in directions if arguments.to in (None, to)), None)
    if run.resolve() == reverse.resolve() and wanted not in targets:
        raise ConfigError(
            f"--reverse {arguments.reverse}: the same run as --run; give one that translates the other way"
        )
    return wanted if wanted in targets else None


def _statistical(
    arguments: argparse.Namespace, pairs: "Sequence[tuple[str, str]]"
) -> "list[frozenset[Link]]":
    from nmt.alignment.statistical import WordAligner
    from nmt.alignment.symmetrise import SYMMETRISATIONS
    from nmt.data.text import clean, words

    if not pairs:
        return []
    sides = (
        [[word.casefold() for word in words(clean(text))] for text in texts]
        for texts in zip(*pairs, strict=True)
    )
    symmetrise = SYMMETRISATIONS[arguments.symmetrise or "grow-diag-final"]
    return [symmetrise(*one.links()) for one in WordAligner(*sides).posteriors()]


def _gold(
    path: Path, pairs: "Sequence[tuple[str, str]]"
) -> "tuple[list[frozenset[Link]], list[frozenset[Link]]]":
    from nmt.data.gold import check_gold, read_gold
    from nmt.data.text import clean, words

    sure, possible = read_gold(path)
    sizes = [(len(words(clean(source))), len(words(clean(target)))) for source, target in pairs]
    check_gold(path, [one | other for one, other in zip(sure, possible, strict=True)], sizes)
    return sure, possible


if __name__ == "__main__":
    cli.run(main)
