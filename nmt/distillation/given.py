"""What is given to a training in stages is checked before hours of training."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import torch

from nmt.config.directions import main_direction
from nmt.config.settings import Config
from nmt.config.validation import check
from nmt.data.extra import named_corpus
from nmt.data.lines import file_lines
from nmt.data.sources.source import open_source
from nmt.device import choose_device
from nmt.distillation.labelling import common_tokenizers
from nmt.distillation.stage_runs import pretraining_config, reverse_config
from nmt.errors import ConfigError, DataError, RunError
from nmt.library.loading import check_reverse
from nmt.library.run_loading import languages
from nmt.runs.load import load_combined, load_translator
from nmt.runs.run import Run, open_run
from nmt.runs.transfer import found_initial
from nmt.training.precision import choose_precision


def check_given(config: Config) -> None:
    """Check that the corpus of pretraining and the texts can be read, that the given teachers can translate
    together, and the reverse model in the other direction. The corpus is downloaded if necessary.

    Raises:
        NmtError: names the setting.
    """
    if config.pretraining.requested:
        with named_corpus(config.pretraining.corpus, "pretraining"):
            open_source(config.pretraining.data(config.data)).files()
        with _named("pretraining"):
            check(pretraining_config(config), stored=True)
    for text in config.distillation.texts:
        with _named("distillation.texts"):
            for _ in file_lines(Path(text)):
                pass
    _check_teachers(config)
    _check_reverse(config)


def _check_teachers(config: Config) -> None:
    teachers = [_given("teachers", teacher) for teacher in config.distillation.teachers]
    alone = config.distillation.agreement is not None
    with _named("distillation.teachers"):
        if teachers and config.distillation.soft_weight:
            common_tokenizers(teachers)
        for group in [[one] for one in teachers] if alone else [teachers] if teachers else []:
            load_combined(group, [config.decoding] * len(group), torch.device("cpu"))


def _check_reverse(config: Config) -> None:
    distillation = config.distillation
    if distillation.reverse is not None:
        run = _given("reverse", distillation.reverse)
        with _named("distillation.reverse"):
            check_reverse(run.folder, languages(run), Path("the run"), main_direction(config.data))
            load_translator(run, run.decoding(), torch.device("cpu"))
    elif distillation.train_reverse:
        with _named("distillation.train_reverse=true"):
            check(reverse_config(config), stored=True)


def _given(name: str, path: str) -> Run:
    try:
        return open_run(Path(path))
    except RunError as error:
        raise RunError(f"distillation.{name}={path}: no such run, or one without a checkpoint") from error


def checked_teachers(config: Config, teachers: Sequence[Config]) -> list[Config]:
    """The settings of the teachers, which are the student's except for `distillation.teacher_overrides`.

    Args:
        config: the student's.
        teachers: of the teachers.

    Raises:
        ConfigError: if the teachers could not translate together, or make soft labels together.
    """
    found, soft_weight = [], config.distillation.soft_weight
    together = config.distillation.agreement is None and config.decoding.combine == "mean"
    for number, teacher in enumerate(teachers):
        with _named(f"distillation.teacher_overrides[{number}]"):
            if together and teacher.data != config.data:
                raise ConfigError(
                    "the teachers of an ensemble need the same data; leave its settings out, or add "
                    "distillation.agreement"
                )
            if soft_weight and teacher.data != config.data:
                raise ConfigError(
                    "soft labels need teachers with the same data; leave its settings out, or set "
                    "distillation.soft_weight=0"
                )
            choose_precision(teacher.training.precision, choose_device(teacher.device))
            found.append(replace(found_initial(teacher), seed=config.seed))
    return found


@contextmanager
def _named(key: str) -> Iterator[None]:
    """Let errors begin with the setting."""
    try:
        yield
    except (ConfigError, RunError, DataError) as error:
        raise type(error)(f"{key}: {error}") from error
