"""The synthetic pairs of a distillation: which sentences, and their translations by the teachers."""

import logging
from collections.abc import Iterable, Iterator, Sequence
from itertools import islice
from pathlib import Path

from nmt.config.settings import Config
from nmt.data.examples import Example, load_examples
from nmt.data.pairs import reversed_examples
from nmt.data.prepare import Prepared, prepare
from nmt.distillation.sentences import further, usable, write_distinct
from nmt.distillation.stage_runs import Stages
from nmt.distillation.translating import Teachers, translate_file
from nmt.runs.run import Run

logger = logging.getLogger("nmt")


def make_synthetic(stages: Stages, teachers: Sequence[Run], reverse: Run | None) -> Path:
    """Let the teachers translate, unless they have; what is translated is not translated again.

    Args:
        stages: of the student.
        teachers: the runs of the teachers.
        reverse: the run that ranks their candidates, if any.

    Returns:
        the file of the synthetic pairs, as `translate_file` writes it.
    """
    config, distillation = stages.config, stages.config.distillation
    sentences, synthetic = stages.folder / "sentences.txt", stages.folder / "synthetic.tsv"
    if synthetic.exists():
        logger.info(f"synthetic pairs: complete: {synthetic}")
        return synthetic
    prepared = prepare(config.data, config.threads)
    _warn_of_other_splits(prepared, teachers, reverse)
    if not sentences.exists():
        write_distinct(sentences, _sentences(config, prepared))
    ranked = "" if reverse is None else f"; their candidates are ranked with {reverse.folder}"
    logger.info(f"synthetic pairs: translating {sentences} with {len(teachers)} teachers{ranked}")
    together = Teachers(
        folders=tuple(run.folder for run in teachers),
        decoding=distillation.decoding(config.decoding),
        device=config.device,
        agreement=distillation.agreement,
        reverse=None if reverse is None else reverse.folder,
    )
    translate_file(sentences, synthetic, together, config.threads, distillation.processes)
    return synthetic


def _sentences(config: Config, prepared: Prepared) -> Iterator[str]:
    """Those to translate, of which some may occur several times."""
    distillation = config.distillation
    if distillation.training_sentences:
        yield from _main_sources(prepared)
    for text in distillation.texts:
        yield from usable(Path(text), config.data.max_words)
    if distillation.pretraining_sentences:
        other = prepare(config.pretraining.data(config.data), config.threads)
        known = (example.source for example in prepared.splits["train"])
        yield from further(_main_sources(other), known)


def _main_sources(prepared: Prepared) -> Iterator[str]:
    """The training sources of the main corpus in the main direction."""
    lines = prepared.mixture[0].lines if prepared.mixture else None
    return (example.source for example in islice(prepared.splits["train"], lines))


def _warn_of_other_splits(prepared: Prepared, teachers: Sequence[Run], reverse: Run | None) -> None:
    """Warn of runs that may have been trained on the dev or test set of this one."""
    for split in ("dev", "test"):
        own = prepared.splits[split]
        other = [run for run in teachers if load_examples(run.examples(split)) != own]
        if reverse is not None:
            turned = reversed_examples(load_examples(reverse.examples(split)))
            other += [reverse] if _pairs(turned) != _pairs(own) else []
        for run in other:
            logger.warning(
                f"warning: {run.folder}: its {split} set is not that of this run, so it may have "
                f"been trained on sentences of the {split} set of this run"
            )


def _pairs(examples: Iterable[Example]) -> set[tuple[str, str]]:
    return {(example.source, text) for example in examples for text in example.references}
