"""`python -m nmt.evaluate`: score a run on its development or test set, or on your own files."""

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from nmt import cli
from nmt.library.arguments import (
    add_combining_arguments,
    add_retrieval_arguments,
    check_combining,
    retrieval_options,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from nmt.config.decoding import DecodingConfig
    from nmt.data.examples import Example
    from nmt.data.word_counts import WordCounts
    from nmt.evaluation.buckets import Bucket
    from nmt.evaluation.error_categories import Sentence
    from nmt.evaluation.evaluator import Evaluation
    from nmt.runs.run import Run


def parser() -> argparse.ArgumentParser:
    """Return the argument parser."""
    parser = argparse.ArgumentParser(
        prog="python -m nmt.evaluate",
        description="Score a run: BLEU, chrF and TER with sacreBLEU signatures, against all references.",
    )
    parser.add_argument(
        "--split", choices=("dev", "test"), help="split of the run's own data (default: test)"
    )
    parser.add_argument(
        "--source", type=cli.path, metavar="FILE", help="sentences to translate instead, one per line"
    )
    parser.add_argument(
        "--reference", type=cli.path, metavar="FILE", nargs="+", action="extend", help="their translations"
    )
    parser.add_argument(
        "--output",
        type=cli.path,
        metavar="FOLDER",
        help="folder for translations, scores and attention (default: RUN/<split>, of several runs "
        "RUN/ensemble/<split> in the first, with --reverse RUN/reranked/<split>; with --source: none)",
    )
    parser.add_argument(
        "--heatmaps",
        type=int,
        default=8,
        metavar="N",
        help="draw heatmaps of the first N sentences (default: %(default)s)",
    )
    parser.add_argument(
        "--errors",
        action="store_true",
        help="also scores by category (rare words, names, numbers, questions, repeated words …), with "
        "examples in FOLDER/errors.md",
    )
    parser.add_argument(
        "--calibrate",
        action="store_true",
        help="instead, calibrate the confidence of translations on the run's development set, for runs older "
        "than it, and show how it agrees with chrF2 on the test set",
    )
    cli.add_target_argument(
        parser,
        "translate to this language, with a model that knows several: the run's own data, reversed, or "
        "--source",
    )
    cli.add_run_arguments(parser)
    add_combining_arguments(parser)
    add_retrieval_arguments(parser)
    return parser


def main() -> None:
    """Run the command."""
    arguments = parser().parse_args()
    _check(arguments)
    if arguments.calibrate:
        _calibrate(arguments)
        return
    from nmt.device import choose_device
    from nmt.evaluation.evaluator import evaluate
    from nmt.export.error_files import write_errors
    from nmt.export.evaluation_files import write_evaluation
    from nmt.library.loading import check_reverse
    from nmt.library.run_loading import languages
    from nmt.runs.load import load_combined, load_translator
    from nmt.runs.run import open_run
    from nmt.runs.scoring import recorded_word_counts, tokenizer_for

    runs = [open_run(path) for path in cli.runs_of(arguments)]
    reverse = open_run(Path(arguments.reverse)) if arguments.reverse else None
    if reverse is not None:
        check_reverse(reverse.folder, languages(reverse), runs[0].folder, languages(runs[0]))
    configs, device = [_decoding(run, arguments) for run in runs], choose_device(arguments.device)
    back = load_translator(reverse, reverse.decoding(), device) if reverse else None
    translator = load_combined(runs, configs, device, back)
    translator.encode.check(arguments.to, "--to ")
    to = None if arguments.to in translator.encode.targets[:1] else arguments.to  # None: the main direction
    examples = _examples(arguments, runs, to)
    tokenizer = tokenizer_for(runs[0], examples, to)
    counts = recorded_word_counts(runs[0])
    evaluation = evaluate(translator, examples, tokenizer, counts, to)
    print(evaluation.summary())
    if counts is None:
        print(f"no table by the rarest word: the run is older than it and has no {runs[0].word_counts}")
    errors = _find_errors(evaluation, examples, counts, tokenizer) if arguments.errors else None
    folder = _folder(arguments, runs, to)
    if folder is not None:
        names = [run.folder.name for run in runs]
        write_evaluation(
            folder,
            evaluation,
            examples,
            configs[0],
            arguments.heatmaps,
            names,
            reverse.folder.name if reverse else None,
        )
        if errors is not None:
            write_errors(folder, *errors)
            print(f"sentences by category:              {folder / 'errors.md'}, errors.tsv")
        print(f"translations, scores and attention: {folder}")


def _decoding(run: "Run", arguments: argparse.Namespace) -> "DecodingConfig":
    """The settings of a run, where the arguments say nothing else."""
    config = run.decoding()
    for name in ("beam_size", "combine", "candidates", "reverse_weight"):
        given = getattr(arguments, name)
        setattr(config, name, getattr(config, name) if given is None else given)
    config.lookahead = None if arguments.exact else config.lookahead
    return retrieval_options(arguments).decoding(config)


def _calibrate(arguments: argparse.Namespace) -> None:
    from nmt.data.examples import load_examples
    from nmt.device import choose_device
    from nmt.runs.calibration import agreement, calibrate_run
    from nmt.runs.load import load_translator
    from nmt.runs.run import open_run

    (path,) = cli.runs_of(arguments)
    run = open_run(path)
    translator = load_translator(run, run.decoding(), choose_device(arguments.device))
    calibrate_run(run, translator, load_examples(run.examples("dev")))
    found = agreement(run, translator, load_examples(run.examples("test")))
    print(
        f"test set: confidence {found.confidence:.3f}, sentence chrF2 {found.chrf:.3f} (means), "
        f"Spearman correlation {found.correlation:.3f}"
    )
    print(f"calibration: {run.confidence}")


def _find_errors(
    evaluation: "Evaluation",
    examples: "Sequence[Example]",
    counts: "WordCounts | None",
    tokenizer: str,
) -> "tuple[list[Sentence], list[list[str]], list[float], list[Bucket]]":
    """The sentences with their categories and chrF2, and the scores of the categories, which are printed."""
    from nmt.evaluation.buckets import format_buckets
    from nmt.evaluation.error_categories import categories, scores_by_category, translated_sentences

    sentences = translated_sentences(evaluation, examples, counts)
    found = [categories(sentence) for sentence in sentences]
    scores = scores_by_category(sentences, found, tokenizer)
    print(format_buckets({"category": scores}))
    return sentences, found, evaluation.sentence_chrf, scores


def _check(arguments: argparse.Namespace) -> None:
    from nmt.errors import ConfigError

    cli.check_stream("stdout", "redirect it to a file")
    if bool(arguments.source) != bool(arguments.reference):
        raise ConfigError("--source and --reference: give both, or neither")
    if arguments.source and arguments.split:
        raise ConfigError("--split and --source: give only one of them")
    given = {
        "--split": arguments.split,
        "--source": arguments.source,
        "--output": arguments.output,
        "--errors": arguments.errors,
        "--beam-size": arguments.beam_size,
        "--exact": arguments.exact,
        "--to": arguments.to,
        "--reverse": arguments.reverse,
        "a second --run": len(arguments.run or []) > 1,
    }
    for name, value in given.items():
        if arguments.calibrate and value:
            raise ConfigError(f"--calibrate and {name}: give only one of them")
    if arguments.heatmaps < 0:
        raise ConfigError(f"--heatmaps {arguments.heatmaps}: must be at least 0")
    for option, least in (("beam_size", 1), ("candidates", 1), ("reverse_weight", 0)):
        value = getattr(arguments, option)
        if value is not None and not value >= least:
            raise ConfigError(f"--{option.replace('_', '-')} {value:g}: must be at least {least}")
    check_combining(arguments)


def _folder(arguments: argparse.Namespace, runs: "Sequence[Run]", to: str | None) -> Path | None:
    """Where the results go; None: nowhere."""
    if arguments.output:
        return Path(arguments.output)
    if arguments.source:
        return None
    split = arguments.split or "test"
    if arguments.reverse:
        return runs[0].reranked(split, to)
    return runs[0].evaluation(split, to) if len(runs) == 1 else runs[0].ensemble(split, to)


def _examples(arguments: argparse.Namespace, runs: "Sequence[Run]", to: str | None) -> "list[Example]":
    from nmt.config.directions import directions
    from nmt.data.examples import load_examples, read_parallel
    from nmt.data.pairs import reversed_examples
    from nmt.errors import ConfigError
    from nmt.runs.run import reopen_run

    if arguments.source:
        return read_parallel(Path(arguments.source), [Path(path) for path in arguments.reference])
    split = arguments.split or "test"
    examples = load_examples(runs[0].examples(split))
    for run in runs[1:]:  # the training data of one must not have the test sentences of another
        if load_examples(run.examples(split)) != examples:
            raise ConfigError(
                f"{run.folder}: not the same {split} set as in {runs[0].folder}; give --source and "
                "--reference with sentences that none of the runs was trained on"
            )
    if to is None:
        return examples
    own = directions(reopen_run(runs[0].folder)[1].data)[0]
    if not any(way.reversed and way.languages and way.languages[1] == to for way in own):
        raise ConfigError(
            f"--to {to}: the {split} set of the run is not in it; give --source FILE --reference FILE"
        )
    return reversed_examples(examples)


if __name__ == "__main__":
    cli.run(main)
