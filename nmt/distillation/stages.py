"""Training in stages, of which each is done once:

    pretraining   a run on another corpus, whose weights the teachers and the student start from
                  (transfer learning: Zoph et al. 2016, §3)
    teachers      trained here with different seeds, or given
    reverse       a model of the other direction, trained here or given; at the same time as the teachers, if
                  `distillation.processes` says so (`parallel.py`)
    sentences     the sources of the training set, and further ones
    synthetic     the best translation of each by the ensemble of the teachers, or what they agree on; the
                  reverse model ranks their candidates (Yee, Dauphin and Auli 2019)
    soft labels   the probabilities by the teachers of each token of these translations, if
                  `distillation.soft_weight` says so (word-level knowledge distillation: Kim and Rush 2016,
                  §3.1)
    student       trained on the training pairs and on the synthetic ones (sequence-level knowledge
                  distillation: Kim and Rush 2016, §3.2)

The run folder is that of the student; the rest is in its folders `pretraining/` and `distillation/`. A stage
that is complete has its result there, so the same command, or `resume=`, goes on with the first one that is
not. Pretraining needs no distillation, and distillation no pretraining or reverse model.
"""

import logging
import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from nmt.config.data import DataConfig
from nmt.config.extra_corpus import ExtraCorpus
from nmt.config.settings import Config
from nmt.distillation.given import check_given, checked_teachers
from nmt.distillation.labelling import label_pairs
from nmt.distillation.stage_runs import (
    NO_DISTILLATION,
    Stages,
    pretrain,
    train_models,
    write_teacher_settings,
)
from nmt.distillation.synthetic import make_synthetic
from nmt.errors import ConfigError
from nmt.runs.checkpoint import kept_checkpoints
from nmt.runs.latest import find_run
from nmt.runs.logger import errors_logged, start_log
from nmt.runs.pipeline import check_new, train
from nmt.runs.resume import HOW_FAST, Request, changed_settings, keep_settings, resumed
from nmt.runs.run import CONFIG, Run, create_run, locked, reopen_run, write_config
from nmt.training.signals import StopAtOnce

logger = logging.getLogger("nmt")


def train_in_stages(request: Request, teachers: Sequence[Config] = ()) -> float:
    """Train what the student learns from, unless it is given; then the student.

    Args:
        request: the settings, with `pretraining.requested` or `distillation.requested`; or a run with such
            settings to resume.
        teachers: of a new run: the settings of `distillation.teacher_overrides`.

    Returns:
        the best development score of the student, as `train`.

    Raises:
        ConfigError: if the run exists and has other settings, or under `torchrun`.
        StoppedError: if a signal was received; everything is saved.
        NmtError: for anything the user can fix.
    """
    if os.environ.get("WORLD_SIZE", "1") != "1":
        raise ConfigError(
            "pretraining and distillation cannot run under torchrun: train the first run and the teachers "
            "with it, then give them: training.initialise_from=RUN, and to one process "
            "distillation.teachers=[RUN,RUN,…]"
        )
    request = _continued(request)
    stages = _opened(request, teachers)
    run, config = stages.run, stages.config
    if _has_stages(run, config):
        start_log(run.log)
        with locked(run), errors_logged(run.log):
            if config.pretraining.requested:
                pretrain(stages)
            if config.distillation.requested:
                _begin_student(stages, _distil(stages))
        request = replace(request, config=replace(request.config, resume=str(run.folder)), overrides=())
    return train(request)


def is_staged(request: Request) -> bool:
    """Whether it asks for stages before the training, or for resuming a run whose training has not begun."""
    config = request.config
    if config.resume is None:
        return config.pretraining.requested or config.distillation.requested
    folder = find_run(Path(config.resume))
    if not (folder / CONFIG).exists():  # an error, or a process of torchrun on a machine without the run
        return False
    return _has_stages(*reopen_run(folder))


def _has_stages(run: Run, config: Config) -> bool:
    """Whether there are stages before the training of a run."""
    if config.distillation.requested:  # the student has not begun
        return True
    return config.pretraining.requested and not kept_checkpoints(run.last)


def _continued(request: Request) -> Request:
    """The request; or, if its run exists and has the same settings, a request to resume it."""
    config = request.config
    if config.resume is not None or config.name is None:
        return request
    run = Run(Path(config.runs) / config.name)
    if not (run.folder / CONFIG).exists():
        return request
    _, before = reopen_run(run.folder)
    asked, has_begun = Stages(run, before).folder, False
    if (asked / CONFIG).exists():  # the student has begun
        has_begun, (_, before) = True, reopen_run(asked)
    changed = changed_settings(before, config)
    for key, old, new in changed:
        if key not in HOW_FAST:
            raise ConfigError(
                f"name={config.name}: {run.folder} exists, with other settings ({key}: {old}, not {new}); "
                "choose another name"
            )
    overrides = () if has_begun else tuple(f"{key}={new}" for key, _, new in changed)
    return Request(replace(config, resume=str(run.folder)), request.name, overrides)


def _opened(request: Request, teachers: Sequence[Config]) -> Stages:
    """The run, which is new or resumed."""
    if request.config.resume is not None:
        config, run = resumed(request)
        if _has_stages(run, config):
            check_given(config)
            keep_settings(run, config)
        return Stages(run, config, request.overrides)
    check_given(request.config)
    teachers = checked_teachers(request.config, teachers)
    config = check_new(request)
    stages = Stages(create_run(config, request.name), config)
    write_teacher_settings(stages, teachers)
    return stages


def _distil(stages: Stages) -> DataConfig:
    """The data settings of the student, with the synthetic pairs and their soft labels."""
    teachers, reverse = train_models(stages)
    with StopAtOnce(stages.stopped("while the teachers translated; what is translated is saved")):
        synthetic = make_synthetic(stages, teachers, reverse)
    config = stages.config
    data = with_synthetic(config.data, synthetic, config.distillation.weight)
    if not config.distillation.soft_weight:
        return data
    with StopAtOnce(stages.stopped("while the teachers made soft labels; what is labelled is saved")):
        return label_pairs(replace(config, data=data), teachers, stages.folder / "soft_labels")


def with_synthetic(data: DataConfig, synthetic: Path, weight: float) -> DataConfig:
    """Data settings with the translations of teachers as the last corpus of `data.extra`.

    Args:
        data: the settings.
        synthetic: sources and translations, separated by tabs.
        weight: of the corpus.
    """
    first, second = (2, 1) if data.swap else (1, 2)  # columns are those before the swap
    extra = ExtraCorpus(
        path=str(synthetic),
        weight=weight,
        source_column=first,
        target_column=second,
    )
    return replace(data, extra=[*data.extra, extra])


def _begin_student(stages: Stages, data: DataConfig) -> None:
    """Write the settings of the student to its run folder: from now on, it is a run like any other."""
    config, run = stages.config, stages.run
    config = replace(config, name=run.folder.name, resume=None)
    write_config(Run(stages.folder), config)
    write_config(run, replace(config, data=data, distillation=NO_DISTILLATION))
    logger.info("student: training on the training pairs and the synthetic ones")
