"""Of the translations of a text by several models, keep for each sentence the one most like the others.

python scripts/consensus.py sources.txt a.txt b.txt c.txt --agreement 60 --output synthetic.tsv

All files have a sentence per line. Writes source, tab, translation: pairs to train on with data.extra. Where
the models disagree they are often all wrong: --agreement leaves those sentences out.
"""

import argparse
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from typing import NamedTuple

from nmt import cli
from nmt.errors import ConfigError, DataError


class Chosen(NamedTuple):
    """A sentence, its chosen translation, and how much the models agree on it, 0 to 100."""

    source: str
    translation: str
    agreement: float


def parser() -> argparse.ArgumentParser:
    """Return the argument parser."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python scripts/consensus.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("sources", metavar="SOURCES", help="the sentences")
    parser.add_argument(
        "translations", metavar="TRANSLATIONS", nargs="+", help="two or more files, one of each model"
    )
    parser.add_argument(
        "--agreement",
        type=float,
        metavar="A",
        default=0.0,
        help="leave out sentences whose translation is less like the others (chrF2, 0 to 100; default: 0)",
    )
    parser.add_argument("--output", metavar="FILE", required=True, help="the pairs, tab-separated")
    return parser


def main() -> None:
    """Run the command."""
    arguments = parser().parse_args()
    if len(arguments.translations) < 2:
        raise ConfigError("one file of translations has nothing to agree with; give those of several models")
    if not 0 <= arguments.agreement <= 100:
        raise ConfigError(f"--agreement {arguments.agreement:g}: must be from 0 to 100")
    from nmt.files import replacing

    read = kept = 0
    with replacing(Path(arguments.output)) as file:
        for chosen in choose(Path(arguments.sources), [Path(path) for path in arguments.translations]):
            read += 1
            if chosen.translation and chosen.agreement >= arguments.agreement:
                kept += 1
                file.write(f"{chosen.source}\t{chosen.translation}\n")
    print(f"{kept:,} of {read:,} pairs: {arguments.output}")


def choose(sources: Path, translations: list[Path]) -> Iterator[Chosen]:
    """The chosen translation of each sentence.

    Raises:
        DataError: if a file cannot be read, has another number of lines, or a line has a tab.
    """
    from nmt.data.lines import file_lines
    from nmt.evaluation.consensus import consensus

    files = [sources, *translations]
    for number, lines in enumerate(zip_longest(*map(file_lines, files)), start=1):
        texts = [_text(path, number, line) for path, line in zip(files, lines, strict=True)]
        chosen, agreement = consensus(texts[1:])
        yield Chosen(texts[0], texts[1 + chosen], agreement)


def _text(path: Path, number: int, line: tuple[int, str] | None) -> str:
    if line is None:
        raise DataError(f"ends before line {number} of the others; each needs a line per sentence", path)
    if "\t" in line[1]:
        raise DataError("has a tab, which separates source and translation; replace it", path, number)
    return line[1]


if __name__ == "__main__":
    cli.run(main)
