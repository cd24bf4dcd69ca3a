"""What a run loses where its input is not as in an edited corpus: without final marks, in lower case …

python scripts/input_robustness.py [--run runs/latest] [--split dev] [--output table.md]

BLEU and chrF2 of the sentences that a variation changes, and of the same sentences unchanged. Translations
and references are compared without their final marks, so that a mark that is missing in the translation too
is no error.
"""

import argparse
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

ROOT = Path(__file__).resolve().parents[1]
if __name__ == "__main__":
    sys.path.insert(0, str(ROOT))  # runs from a checkout, without installation

from nmt import cli  # noqa: E402
from nmt.data.input_variants import without_final_mark  # noqa: E402
from nmt.errors import ConfigError  # noqa: E402

if TYPE_CHECKING:
    from nmt.data.examples import Example

_MARK = re.compile(r"\s*([?!]+)(?=\s|$)")

VARIATIONS: dict[str, Callable[[str], str]] = {
    "no final mark": without_final_mark,
    "first letter in lower case": lambda text: text[:1].lower() + text[1:],
    "lower case": str.lower,
    "lower case, no final mark": lambda text: without_final_mark(text).lower(),
    "capitals": str.upper,
    "’ as apostrophe": lambda text: text.replace("'", "’"),
    "no apostrophes": lambda text: text.replace("'", ""),
    "no commas": lambda text: text.replace(",", ""),
    "space before ? and !": lambda text: _MARK.sub(r" \1", text),
    "?? and !!": lambda text: _MARK.sub(r"\1\1", text),
}


def parser() -> argparse.ArgumentParser:
    """Return the argument parser."""
    assert __doc__
    parser = argparse.ArgumentParser(
        prog="python scripts/input_robustness.py",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--run", type=cli.path, default="runs/latest", help="run folder (default: %(default)s)"
    )
    parser.add_argument("--split", choices=("dev", "test"), default="test", help="default: %(default)s")
    parser.add_argument("--sentences", type=int, metavar="N", help="only the first N (default: all)")
    parser.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda …")
    parser.add_argument("--output", type=cli.path, metavar="FILE", help="also write the table, as Markdown")
    return parser


def main() -> None:
    """Run the command."""
    arguments = parser().parse_args()
    if arguments.sentences is not None and arguments.sentences < 1:
        raise ConfigError(f"--sentences {arguments.sentences}: must be at least 1")
    from nmt import Translator
    from nmt.data.examples import load_examples
    from nmt.runs.run import open_run
    from nmt.runs.scoring import recorded_tokenizer

    run = open_run(Path(arguments.run))
    examples = load_examples(run.examples(arguments.split))[: arguments.sentences]
    translator = Translator.load(arguments.run, device=arguments.device)
    lines = table(
        examples,
        lambda texts: [one.text for one in translator.translate(texts)],
        recorded_tokenizer(run),
    )
    print(*lines, sep="\n")
    if arguments.output:
        from nmt.files import write_text

        write_text(Path(arguments.output), "\n".join(lines) + "\n")


def table(
    examples: "Sequence[Example]", translate: Callable[[list[str]], list[str]], tokenizer: str
) -> list[str]:
    """A table in Markdown, with a line for each variation that changes some sentence.

    Args:
        examples: at least one.
        translate: returns the translations of texts.
        tokenizer: of BLEU.
    """
    lines = [
        "| input | sentences | BLEU | unchanged | chrF2 | unchanged |",
        "|---|---:|---:|---:|---:|---:|",
    ]
    edited = translate([example.source for example in examples])
    for name, change in VARIATIONS.items():
        typed = {n: change(one.source) for n, one in enumerate(examples)}
        changed = [n for n, text in typed.items() if text != examples[n].source]
        if not changed:
            continue
        chosen = [examples[n] for n in changed]
        bleu, chrf = _scores(translate([typed[n] for n in changed]), chosen, tokenizer)
        own_bleu, own_chrf = _scores([edited[n] for n in changed], chosen, tokenizer)
        lines.append(
            f"| {name} | {len(changed)} | {bleu:.1f} | {own_bleu:.1f} | {chrf:.1f} | {own_chrf:.1f} |"
        )
    return lines


def _scores(texts: Sequence[str], examples: "Sequence[Example]", tokenizer: str) -> tuple[float, float]:
    """BLEU and chrF2, without final marks."""
    from nmt.evaluation.metrics import corpus_scores

    references = [[without_final_mark(text) for text in example.references] for example in examples]
    scores = corpus_scores([without_final_mark(text) for text in texts], references, tokenizer)
    found = {score.name: score.value for score in scores}
    return found["BLEU"], found["chrF2"]


if __name__ == "__main__":
    cli.run(main)
