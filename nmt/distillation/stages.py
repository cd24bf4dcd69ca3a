"""Sequence-level knowledge distillation (Kim and Rush 2016, §3.2), in stages of which each is done once:

    teachers      trained here with different seeds, or given
    sentences     the sources of the training set, and further texts
    synthetic     the best translation of each by the ensemble of the teachers, or what they agree on
    student       trained on the training pairs and on the synthetic ones

The run folder is that of the student; the rest is in its folder `distillation/`. A stage that is complete has
its result there, so the same command, or `resume=`, goes on with the first one that is not.
"""

import logging
import os
import shutil
from dataclasses import replace
from itertools import islice
from pathlib import Path

import torch

from nmt.cli import command
from nmt.config.distillation import DistillationConfig
from nmt.config.extra_corpus import ExtraCorpus
from nmt.config.settings import Config
from nmt.data.examples import load_examples
from nmt.data.lines import file_lines
from nmt.data.prepare import Prepared, prepare
from nmt.distillation.sentences import write_sentences
from nmt.distillation.translating import translate_file
from nmt.errors import ConfigError, DataError, RunError, StoppedError
from nmt.runs.latest import find_run
from nmt.runs.load import load_combined
from nmt.runs.logger import errors_logged, start_log
from nmt.runs.pipeline import check_new, train
from nmt.runs.resume import Request, changed_settings, keep_settings, resumed
from nmt.runs.run import CONFIG, Run, create_run, locked, open_run, reopen_run, write_config
from nmt.training.signals import StopAtOnce

logger = logging.getLogger("nmt")
NO_DISTILLATION = DistillationConfig()


def distil(request: Request) -> float:
    """Train teachers, unless they are given; let them translate; train the student.

    Args:
        request: the settings, with `distillation.requested`; or a run with such settings to resume.

    Returns:
        the best development score of the student, as `train`.

    Raises:
        ConfigError: if the run exists and has other settings, or under `torchrun`.
        StoppedError: if a signal was received; everything is saved.
        NmtError: for anything the user can fix.
    """
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise ConfigError(
            "distillation cannot run under torchrun: train the teachers with it, then give them to a run of "
            "one process with distillation.teachers=[RUN,RUN,…]"
        )
    request = _continued(request)
    config, run = _opened(request)
    if config.distillation.requested:  # the student has not begun
        start_log(run.log)
        with locked(run), errors_logged(run.log):
            teachers = _teachers(request, config, run)
            with StopAtOnce(_stopped(run, "while the teachers translated; what is translated is saved")):
                synthetic = _synthetic(config, run, teachers)
            _begin_student(config, run, synthetic)
        logger.info("student: training on the training pairs and the synthetic ones")
        request = replace(request, config=replace(request.config, resume=str(run.folder)), overrides=())
    return train(request)


def is_distillation(request: Request) -> bool:
    """Whether it asks for distillation, or for resuming one whose student has not begun."""
    if request.config.resume is None:
        return request.config.distillation.requested
    folder = find_run(Path(request.config.resume))
    if not (folder / CONFIG).exists():  # an error, or a process of torchrun on a machine without the run
        return False
    return reopen_run(folder)[1].distillation.requested


def _continued(request: Request) -> Request:
    """The request; or, if its run exists and has the same settings, a request to resume it."""
    config = request.config
    if config.resume is not None or config.name is None:
        return request
    folder = Path(config.runs) / config.name
    if not (folder / CONFIG).exists():
        return request
    _, before = reopen_run(folder)
    if (_folder(Run(folder)) / CONFIG).exists():  # the student has begun
        _, before = reopen_run(_folder(Run(folder)))
    if changed := changed_settings(before, config):
        key, old, new = changed[0]
        raise ConfigError(
            f"name={config.name}: {folder} exists, with other settings ({key}: {old}, not {new}); choose "
            "another name"
        )
    return Request(replace(config, resume=str(folder)), request.name, ())


def _opened(request: Request) -> tuple[Config, Run]:
    """The settings and the run, which is new or resumed."""
    if request.config.resume is None:
        _check_given(request.config)
        config = check_new(request)
        return config, create_run(config, request.name)
    config, run = resumed(request)
    if config.distillation.requested:
        _check_given(config)
        keep_settings(run, config)
    return config, run


def _check_given(config: Config) -> None:
    """Check that the teachers can translate together, and that the texts can be read, before hours of
    training.
    """
    teachers = []
    for teacher in config.distillation.teachers:
        try:
            teachers.append(open_run(Path(teacher)))
        except RunError as error:
            said = f"distillation.teachers={teacher}: no such run, or one without a checkpoint"
            raise RunError(said) from error
    if teachers:
        try:
            alone = config.distillation.agreement is not None
            for group in [[one] for one in teachers] if alone else [teachers]:
                load_combined(group, [config.decoding] * len(group), torch.device("cpu"))
        except (ConfigError, RunError) as error:
            raise type(error)(f"distillation.teachers: {error}") from error
    for text in config.distillation.texts:
        try:
            for _ in file_lines(Path(text)):
                pass
        except DataError as error:
            raise DataError(f"distillation.texts: {error}") from error


def _stopped(run: Run, when: str) -> str:
    """What is said when a signal stops a stage."""
    resume = command("python", "-m", "nmt.train", f"resume={run.folder}")
    return f"stopped {when}; resume with: {resume}"


def _folder(run: Run) -> Path:
    return run.folder / "distillation"


# ---------------------------------------------------------------- teachers


def _teachers(request: Request, config: Config, run: Run) -> list[Run]:
    if config.distillation.teachers:
        return [open_run(Path(teacher)) for teacher in config.distillation.teachers]
    count = config.distillation.train_teachers
    teachers = [Run(_folder(run) / "teachers" / str(number)) for number in range(1, count + 1)]
    for number, teacher in enumerate(teachers):
        named = f"teacher {number + 1} of {count}"
        if teacher.report.exists():  # what a training writes last
            logger.info(f"{named}: complete: {teacher.folder}")
            continue
        logger.info(f"{named}: training in {teacher.folder}")
        _train_teacher(request, replace(config, seed=config.seed + number), teacher, run)
        start_log(run.log)
    return teachers


def _train_teacher(request: Request, config: Config, teacher: Run, run: Run) -> None:
    """Train a teacher, or go on training it; `run` is the one to resume if a signal stops it."""
    parent, name = str(teacher.folder.parent), teacher.folder.name
    config = replace(config, runs=parent, name=name, resume=None, distillation=NO_DISTILLATION)
    own = Request(config, request.name, ())
    if (teacher.folder / CONFIG).exists():
        overrides = request.overrides if request.config.resume else ()
        own = Request(replace(config, resume=str(teacher.folder)), request.name, overrides)
    else:
        shutil.rmtree(teacher.folder, ignore_errors=True)  # without settings, if it was killed at once
    try:
        train(own)
    except StoppedError as stop:
        said = _stopped(run, "in the training of a teacher, everything is saved")
        raise StoppedError(said, stop.code - 128) from stop


# ---------------------------------------------------------------- what they translate


def _synthetic(config: Config, run: Run, teachers: list[Run]) -> Path:
    """The synthetic pairs."""
    sentences, synthetic = _folder(run) / "sentences.txt", _folder(run) / "synthetic.tsv"
    if synthetic.exists():
        logger.info(f"synthetic pairs: complete: {synthetic}")
        return synthetic
    prepared = prepare(config.data, config.threads)
    _warn_of_other_splits(prepared, teachers)
    if not sentences.exists():
        own = islice(prepared.splits["train"], prepared.mixture[0].lines if prepared.mixture else None)
        if not config.distillation.training_sentences:
            own = islice(own, 0)
        texts = [Path(text) for text in config.distillation.texts]
        write_sentences(sentences, own, texts, config.data.max_words)
    logger.info(f"synthetic pairs: translating {sentences} with {len(teachers)} teachers")
    translate_file(
        sentences,
        synthetic,
        teachers,
        config.decoding,
        config.device,
        config.threads,
        config.distillation.agreement,
    )
    return synthetic


def _warn_of_other_splits(prepared: Prepared, teachers: list[Run]) -> None:
    for teacher in teachers:
        for split in ("dev", "test"):
            if load_examples(teacher.examples(split)) != prepared.splits[split]:
                logger.warning(
                    f"warning: {teacher.folder}: its {split} set is not that of this run, so it may have "
                    f"been trained on sentences of the {split} set of this run"
                )


# ---------------------------------------------------------------- the student


def _begin_student(config: Config, run: Run, synthetic: Path) -> None:
    """Write the settings of the student to its run folder: from now on, it is a run like any other."""
    first, second = (2, 1) if config.data.swap else (1, 2)  # columns are those before the swap
    extra = ExtraCorpus(
        path=str(synthetic),
        weight=config.distillation.weight,
        source_column=first,
        target_column=second,
    )
    data = replace(config.data, extra=[*config.data.extra, extra])
    config = replace(config, name=run.folder.name, resume=None)
    write_config(Run(_folder(run)), config)
    write_config(run, replace(config, data=data, distillation=NO_DISTILLATION))
