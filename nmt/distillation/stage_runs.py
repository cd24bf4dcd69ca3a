"""The runs before that of the student: pretraining, the teachers and the reverse model. Each is a run like
any other, in a folder of the student's.
"""

import logging
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from nmt.cli import command
from nmt.config.distillation import DistillationConfig
from nmt.config.extra_corpus import location_of
from nmt.config.pretraining import PretrainingConfig
from nmt.config.schema import key_of
from nmt.config.settings import Config
from nmt.errors import RunError, StoppedError
from nmt.runs.latest import LATEST
from nmt.runs.logger import start_log
from nmt.runs.pipeline import train
from nmt.runs.resume import Request
from nmt.runs.run import CONFIG, Run, open_run, write_config

logger = logging.getLogger("nmt")
NO_DISTILLATION, NO_PRETRAINING = DistillationConfig(), PretrainingConfig()


@dataclass(frozen=True)
class Stages:
    """A run that is trained in stages.

    Attributes:
        run: its folder.
        config: its settings.
        overrides: those with which it is resumed; they also hold for the other runs.
    """

    run: Run
    config: Config
    overrides: tuple[str, ...] = ()

    @property
    def folder(self) -> Path:
        """Of distillation."""
        return self.run.folder / "distillation"

    @property
    def teachers(self) -> list[Run]:
        """Those that are trained here."""
        count = self.config.distillation.train_teachers
        return [Run(self.folder / "teachers" / str(number)) for number in range(1, count + 1)]

    def stopped(self, when: str) -> str:
        """What is said when a signal stops a stage."""
        resume = command("python", "-m", "nmt.train", f"resume={self.run.folder}")
        return f"stopped {when}; resume with: {resume}"


# ---------------------------------------------------------------- their settings


def pretraining_config(config: Config) -> Config:
    """The settings of pretraining; without R-Drop, which takes twice the time, and without guided alignment,
    as the corpus may have no alignments.
    """
    own = config.pretraining
    training = replace(
        config.training,
        epochs=own.epochs,
        batch_tokens=own.batch_tokens,
        learning_rate=own.learning_rate,
        rdrop=0.0,
        guided_alignment=0.0,
    )
    return replace(_alone(config), data=own.data(config.data), training=training)


def teacher_config(config: Config, number: int, run: Run) -> Config:
    """The settings of a teacher.

    Args:
        config: those of the student, or others for this teacher.
        number: of the teacher, from 0.
        run: the student's.
    """
    own = replace(_alone(config), seed=config.seed + number)
    if not config.pretraining.requested:
        return own
    initial = str(run.pretraining.resolve())
    return replace(own, training=replace(own.training, initialise_from=initial))


def reverse_config(config: Config) -> Config:
    """The settings of the reverse model; it starts from no other run, as that would be of this direction."""
    data = replace(config.data, swap=not config.data.swap)
    return replace(_alone(config), data=data, training=replace(config.training, initialise_from=None))


def _alone(config: Config) -> Config:
    return replace(config, resume=None, pretraining=NO_PRETRAINING, distillation=NO_DISTILLATION)


def write_teacher_settings(stages: Stages, others: Sequence[Config]) -> None:
    """Write the settings of teachers that are not those of the student, before any is trained.

    Args:
        stages: of the student.
        others: the different settings, which the teachers have in turn.
    """
    for number, teacher in enumerate(stages.teachers if others else ()):
        config = replace(others[number % len(others)], pretraining=stages.config.pretraining)
        _write(teacher_config(config, number, stages.run), teacher)


# ---------------------------------------------------------------- their training


def pretrain(stages: Stages) -> None:
    """Train on the other corpus."""
    keys = {
        "data.cache": "data.cache",
        "pretraining.path": f"data.{location_of(stages.config.pretraining.corpus)}",
        "pretraining.target_path": "data.target_path",
    }
    overrides = [one for one in _of_all(stages.overrides) if not key_of(one).startswith("data.")]
    overrides += [f"{keys[key_of(one)]}=" for one in stages.overrides if key_of(one) in keys]
    _train("pretraining", pretraining_config(stages.config), Run(stages.run.pretraining), stages, overrides)


def train_teachers(stages: Stages) -> list[Run]:
    """Train the teachers, unless they are given."""
    distillation = stages.config.distillation
    if distillation.teachers:
        return [open_run(Path(teacher)) for teacher in distillation.teachers]
    for number, teacher in enumerate(stages.teachers):
        if distillation.teacher_overrides and not (teacher.folder / CONFIG).exists():
            raise RunError(
                f"{teacher.folder}: its settings are missing; start the whole with another name, or delete "
                f"{stages.run.folder}"
            )
        config = teacher_config(stages.config, number, stages.run)
        name = f"teacher {number + 1} of {distillation.train_teachers}"
        _train(name, config, teacher, stages, _of_all(stages.overrides))
    return stages.teachers


def train_reverse(stages: Stages) -> Run | None:
    """Train the reverse model, if there is to be one, unless it is given."""
    distillation = stages.config.distillation
    if distillation.reverse is not None:
        return open_run(Path(distillation.reverse))
    if not distillation.train_reverse:
        return None
    run = Run(stages.folder / "reverse")
    _train("reverse model", reverse_config(stages.config), run, stages, _of_all(stages.overrides))
    return run


def _of_all(overrides: Sequence[str]) -> list[str]:
    """Without those that only the student has."""
    return [one for one in overrides if not key_of(one).startswith(("pretraining.", "distillation."))]


def _train(name: str, config: Config, run: Run, stages: Stages, overrides: Sequence[str]) -> None:
    """Train a run, or go on training it, unless it is complete.

    Args:
        name: in the log.
        config: its settings, as far as the run does not have its own.
        run: its folder.
        stages: of the student, which is to be resumed if a signal stops this one.
        overrides: the keys of the settings that are to be changed in a run that has begun.
    """
    if run.report.exists():  # what a training writes last
        logger.info(f"{name}: complete: {run.folder}")
        return
    logger.info(f"{name}: training in {run.folder}")
    if not (run.folder / CONFIG).exists():
        _write(config, run)
        overrides = ()
    try:
        train(Request(replace(config, resume=str(run.folder)), run.folder.name, tuple(overrides)))
    except StoppedError as stop:
        said = stages.stopped(f"({name}), everything is saved")
        raise StoppedError(said, stop.code - 128) from stop
    finally:
        start_log(stages.run.log)
        shutil.rmtree(run.folder.parent / LATEST, ignore_errors=True)  # there are no others to choose from


def _write(config: Config, run: Run) -> None:
    """Write the settings to a new run folder."""
    shutil.rmtree(run.folder, ignore_errors=True)  # without settings, if it was killed at once
    run.folder.mkdir(parents=True)
    write_config(run, replace(config, runs=str(run.folder.parent), name=run.folder.name))
