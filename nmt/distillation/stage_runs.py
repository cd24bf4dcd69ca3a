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
from nmt.distillation.parallel import Training, train_at_once
from nmt.errors import RunError, StoppedError
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
    tokenizer = replace(config.data.tokenizer, path=None)
    data = replace(config.data, swap=not config.data.swap, tokenizer=tokenizer)
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


@dataclass(frozen=True)
class StageRun:
    """A run that the student needs.

    Attributes:
        name: in the log.
        run: its folder.
        config: its settings, as far as the run does not have its own.
        overrides: the keys of the settings that are to be changed in a run that has begun.
    """

    name: str
    run: Run
    config: Config
    overrides: Sequence[str]

    def is_complete(self) -> bool:
        """Whether nothing is left to do; logs it."""
        if complete := self.run.report.exists():  # what a training writes last
            logger.info(f"{self.name}: complete: {self.run.folder}")
        return complete

    def request(self) -> Request:
        """To train it, or to go on; its settings are then in its folder."""
        folder, overrides = self.run.folder, tuple(self.overrides)
        if not (folder / CONFIG).exists():
            _write(self.config, self.run)
            overrides = ()
        return Request(replace(self.config, resume=str(folder)), folder.name, overrides, latest=False)


def pretrain(stages: Stages) -> None:
    """Train on the other corpus."""
    keys = {
        "data.cache": "data.cache",
        "pretraining.path": f"data.{location_of(stages.config.pretraining.corpus)}",
        "pretraining.target_path": "data.target_path",
    }
    overrides = [one for one in _of_all(stages.overrides) if not key_of(one).startswith("data.")]
    overrides += [f"{keys[key_of(one)]}=" for one in stages.overrides if key_of(one) in keys]
    config = pretraining_config(stages.config)
    _train(StageRun("pretraining", Run(stages.run.pretraining), config, overrides), stages)


def train_models(stages: Stages) -> tuple[list[Run], Run | None]:
    """The teachers and the reverse model, if there is to be one, which are trained unless they are given."""
    distillation = stages.config.distillation
    teachers, reverse = _teachers(stages), _reverse(stages)
    runs = teachers + reverse
    if distillation.processes > 1 and len(runs) > 1:
        _train_at_once(runs, stages)
    else:
        for run in runs:
            _train(run, stages)
    given = [open_run(Path(teacher)) for teacher in distillation.teachers]
    back = [open_run(Path(distillation.reverse))] if distillation.reverse else [one.run for one in reverse]
    return given or [one.run for one in teachers], back[0] if back else None


def _teachers(stages: Stages) -> list[StageRun]:
    """Those to train."""
    distillation = stages.config.distillation
    if distillation.teachers:
        return []
    found = []
    for number, teacher in enumerate(stages.teachers):
        if distillation.teacher_overrides and not (teacher.folder / CONFIG).exists():
            raise RunError(
                f"{teacher.folder}: its settings are missing; start the whole with another name, or delete "
                f"{stages.run.folder}"
            )
        name = f"teacher {number + 1} of {distillation.train_teachers}"
        config = teacher_config(stages.config, number, stages.run)
        found.append(StageRun(name, teacher, config, _of_all(stages.overrides)))
    return found


def _reverse(stages: Stages) -> list[StageRun]:
    """The reverse model, if it is to be trained."""
    distillation = stages.config.distillation
    if distillation.reverse is not None or not distillation.train_reverse:
        return []
    run, overrides = Run(stages.folder / "reverse"), _of_all(stages.overrides)
    return [StageRun("reverse model", run, reverse_config(stages.config), overrides)]


def _of_all(overrides: Sequence[str]) -> list[str]:
    """Without those that only the student has."""
    return [one for one in overrides if not key_of(one).startswith(("pretraining.", "distillation."))]


def _train(one: StageRun, stages: Stages) -> None:
    """Train a run in this process, or go on training it, unless it is complete.

    Args:
        one: the run.
        stages: of the student, which is to be resumed if a signal stops this one.
    """
    if one.is_complete():
        return
    logger.info(f"{one.name}: training in {one.run.folder}")
    try:
        train(one.request())
    except StoppedError as stop:
        said = stages.stopped(f"({one.name}), everything is saved")
        raise StoppedError(said, stop.code - 128) from stop
    finally:
        start_log(stages.run.log)


def _train_at_once(runs: Sequence[StageRun], stages: Stages) -> None:
    """The same with several runs, each in a process of its own."""
    left = [Training(one.name, one.request()) for one in runs if not one.is_complete()]
    if not left:
        return
    processes = min(stages.config.distillation.processes, len(runs))
    logger.info(
        f"training {len(left)} runs, {processes} at the same time; the lines of each are in its "
        f"{stages.run.log.name}"
    )
    try:
        train_at_once(left, processes)
    except StoppedError as stop:
        said = stages.stopped("while the teachers were trained, everything is saved")
        raise StoppedError(said, stop.code - 128) from stop


def _write(config: Config, run: Run) -> None:
    """Write the settings to a new run folder."""
    shutil.rmtree(run.folder, ignore_errors=True)  # without settings, if it was killed at once
    run.folder.mkdir(parents=True)
    write_config(run, replace(config, runs=str(run.folder.parent), name=run.folder.name))
